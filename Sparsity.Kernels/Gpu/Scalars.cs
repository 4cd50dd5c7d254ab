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

/// <summary>Sums of many numbers in two floats each: a group sums a run of them, and a last group the runs, in order.</summary>
internal static class ScalarSums
{
    public const int EntriesOfGroupBits = 14;
    public const int EntriesOfGroup = 1 << EntriesOfGroupBits;

    /// <summary>Overwrites a number of sums with the sum of values [B,T,1].</summary>
    public static void Sum(GpuDevice device, GpuActivations values, GpuScalars sums, int index)
    {
        int groups = GroupsOf(values.Rows);
        ArrayView<float> partial = device.Workspace<float>("reduction", GpuScalars.Parts * groups);
        device.Launch(
            groups,
            1,
            device.RowThreads(Math.Min(values.Rows, EntriesOfGroup)),
            new SumKernel(values.View, values.Stride, values.Rows, partial)
        );
        AddRuns(device, partial, groups, sums.Overwritten(index));
    }

    /// <summary>Runs that so many entries are cut into.</summary>
    public static int GroupsOf(int entries) => (entries + EntriesOfGroup - 1) / EntriesOfGroup;

    /// <summary>Overwrites a number with the sum of the runs' [groups, 6].</summary>
    public static void AddRuns(GpuDevice device, ArrayView<float> partial, int groups, ArrayView<float> total) =>
        device.Launch(1, 1, device.RowThreads(groups), new TotalKernel(partial, groups, total));

    internal readonly struct SumKernel(ArrayView<float> values, int stride, int rows, ArrayView<float> partial) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            int first = Grid.IdxX * EntriesOfGroup;
            int end = first + EntriesOfGroup < rows ? first + EntriesOfGroup : rows;
            PreciseSum sum = default;
            for (int row = first + Group.IdxX; row < end; row += Group.DimX)
            {
                PreciseSum.Add(ref sum, values[row * stride]);
            }

            PreciseSum none = default;
            int at = Grid.IdxX * GpuScalars.Parts;
            PreciseSum.OfGroup(sum, shared).Store(partial, at);
            none.Store(partial, at + 2);
            none.Store(partial, at + 4);
        }
    }

    /// <summary>One group.</summary>
    internal readonly struct TotalKernel(ArrayView<float> partial, int groups, ArrayView<float> total) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            for (int part = 0; part < GpuScalars.Parts; part += 2)
            {
                PreciseSum sum = default;
                for (int group = Group.IdxX; group < groups; group += Group.DimX)
                {
                    PreciseSum.Add(ref sum, partial[(group * GpuScalars.Parts) + part]);
                    PreciseSum.Add(ref sum, partial[(group * GpuScalars.Parts) + part + 1]);
                }

                PreciseSum.OfGroup(sum, shared).Store(total, part);
            }
        }
    }
}
