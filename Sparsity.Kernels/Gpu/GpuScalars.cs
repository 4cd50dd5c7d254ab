using ILGPU;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Numbers in device memory, each the sum of six floats: a sum in two floats, and two more such sums, of squares too large and too small
/// for float32, scaled. The host adds them in double, and makes a root mean square of those that stand for one.
/// </summary>
internal sealed class GpuScalars : ScalarTensor
{
    /// <summary>Floats of a number.</summary>
    public const int Parts = 6;

    private readonly DeviceMemory<float> _memory;
    private readonly long[] _entries;

    public GpuScalars(GpuDevice device, string name, int count)
        : base(name, count)
    {
        _memory = device.Allocate<float>(name, count * Parts);
        _entries = new long[count];
    }

    public ArrayView<float> View => _memory.View;

    /// <summary>The memory of a number, for an operation that overwrites it.</summary>
    /// <param name="entries">How many squares it is the sum of, if their root mean square is asked for; else 0.</param>
    public ArrayView<float> Overwritten(int index, long entries = 0)
    {
        _entries[index] = entries;
        return View.SubView(index * Parts, Parts);
    }

    /// <param name="parts">As copied from the view.</param>
    public void Fetch(ReadOnlySpan<float> parts)
    {
        for (int i = 0; i < Count; i++)
        {
            ReadOnlySpan<float> own = parts.Slice(i * Parts, Parts);
            double total =
                (double)own[0]
                + own[1]
                + (((double)own[2] + own[3]) / Square(AdamW.ScaleOfLarge))
                + (((double)own[4] + own[5]) / Square(AdamW.ScaleOfSmall));
            Fetched[i] = _entries[i] > 0 ? Math.Sqrt(total / _entries[i]) : total;
        }

        static double Square(double scale) => scale * scale;
    }

    protected override void Dispose(bool disposing) => _memory.Dispose();
}
