using ILGPU;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Up to eight tensors that one launch goes over, one behind the other: each is cut into runs of <see cref="ScalarSums.EntriesOfGroup"/>
/// entries, and a group takes a run. A table of views in device memory would do for any number, but OpenCL's buffers cannot stand in one.
/// </summary>
internal readonly struct TensorRuns
{
    /// <summary>Tensors of one launch.</summary>
    public const int Most = 8;

    private readonly ArrayView<float> _view0;
    private readonly ArrayView<float> _view1;
    private readonly ArrayView<float> _view2;
    private readonly ArrayView<float> _view3;
    private readonly ArrayView<float> _view4;
    private readonly ArrayView<float> _view5;
    private readonly ArrayView<float> _view6;
    private readonly ArrayView<float> _view7;
    private readonly int _length0;
    private readonly int _length1;
    private readonly int _length2;
    private readonly int _length3;
    private readonly int _length4;
    private readonly int _length5;
    private readonly int _length6;
    private readonly int _length7;

    /// <param name="tensors">At least one more than <paramref name="first"/>.</param>
    /// <param name="first">The first of up to eight of them.</param>
    public TensorRuns(IReadOnlyList<WeightTensor> tensors, int first)
    {
        (_view0, _length0) = At(0);
        (_view1, _length1) = At(1);
        (_view2, _length2) = At(2);
        (_view3, _length3) = At(3);
        (_view4, _length4) = At(4);
        (_view5, _length5) = At(5);
        (_view6, _length6) = At(6);
        (_view7, _length7) = At(7);

        // No group comes to those that are not there, but every argument must be a view.
        (ArrayView<float> View, int Length) At(int place) =>
            first + place < tensors.Count
                ? (((GpuWeights)tensors[first + place]).View, tensors[first + place].Length)
                : (((GpuWeights)tensors[first]).View, 0);
    }

    /// <summary>In a kernel: the tensor that the group works on, and its run of entries.</summary>
    public ArrayView<float> OfGroup(out int first, out int end)
    {
        ArrayView<float> view = _view0;
        int length = _length0;
        int run = Grid.IdxX;
        PassOn(_view1, _length1, ref view, ref length, ref run);
        PassOn(_view2, _length2, ref view, ref length, ref run);
        PassOn(_view3, _length3, ref view, ref length, ref run);
        PassOn(_view4, _length4, ref view, ref length, ref run);
        PassOn(_view5, _length5, ref view, ref length, ref run);
        PassOn(_view6, _length6, ref view, ref length, ref run);
        PassOn(_view7, _length7, ref view, ref length, ref run);
        first = run * ScalarSums.EntriesOfGroup;
        end = first + ScalarSums.EntriesOfGroup < length ? first + ScalarSums.EntriesOfGroup : length;
        return view;
    }

    /// <summary>To the next tensor, if the run lies behind the end of this one.</summary>
    private static void PassOn(ArrayView<float> next, int nextLength, ref ArrayView<float> view, ref int length, ref int run)
    {
        int runs = (length + ScalarSums.EntriesOfGroup - 1) >> ScalarSums.EntriesOfGroupBits;
        if (run >= runs)
        {
            view = next;
            length = nextLength;
            run -= runs;
        }
    }
}
