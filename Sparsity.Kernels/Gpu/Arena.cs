using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Memory in which several tensors lie one behind the other, each from a multiple of <see cref="TensorRuns.Unit"/> numbers on. A kernel
/// that goes over all of them is given one view and finds each by its place: views themselves cannot stand in OpenCL's buffers.
/// </summary>
internal sealed class Arena<T>
    where T : unmanaged
{
    private readonly DeviceMemory<T> _memory;
    private readonly int[] _places;
    private readonly int[] _lengths;
    private int _inUse;

    /// <param name="device">Whose memory.</param>
    /// <param name="name">What it holds, for the message when there is no room.</param>
    /// <param name="lengths">Of each tensor, at least one.</param>
    public Arena(GpuDevice device, string name, params int[] lengths)
    {
        _lengths = lengths;
        _places = new int[lengths.Length];
        _inUse = lengths.Length;
        int end = 0;
        for (int i = 0; i < lengths.Length; i++)
        {
            _places[i] = end;
            end = checked(end + UnitsOf(lengths[i]));
        }

        _memory = device.Allocate<T>(name, lengths.Length == 1 ? lengths[0] : (long)end * TensorRuns.Unit);
    }

    /// <summary>How many tensors, from the first on, one arena takes: places are counted in 32 bits.</summary>
    public static int HowManyFit(ReadOnlySpan<int> lengths)
    {
        long end = 0;
        int count = 0;
        while (count < lengths.Length && (end += UnitsOf(lengths[count])) <= int.MaxValue)
        {
            count++;
        }

        return count;
    }

    /// <summary>All tensors, with gaps between them.</summary>
    public ArrayView<T> View => _memory.View;

    /// <summary>Where a tensor begins, in units.</summary>
    public int PlaceOf(int tensor) => _places[tensor];

    public ArrayView<T> ViewOf(int tensor) => View.SubView((long)_places[tensor] * TensorRuns.Unit, _lengths[tensor]);

    private static int UnitsOf(int length) => (int)(((long)length + TensorRuns.Unit - 1) / TensorRuns.Unit);

    /// <summary>To be called once for each tensor: the last gives the memory back.</summary>
    public void Release()
    {
        _inUse--;
        if (_inUse == 0)
        {
            _memory.Dispose();
        }
    }
}
