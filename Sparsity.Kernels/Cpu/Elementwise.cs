using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>Operations on each entry by itself, and the count of nonzero entries.</summary>
internal static unsafe class Elementwise
{
    private const int EntriesOfItem = 1 << 16;

    /// <summary>Overwrites sum with a + b, activations of equal shape.</summary>
    public static void Add(WorkerPool pool, CpuActivations a, CpuActivations b, CpuActivations sum)
    {
        if (a.IsSingleToken)
        {
            TensorPrimitives.Add(SingleToken.Values(a), SingleToken.Values(b), SingleToken.Values(sum));
            return;
        }

        pool.Run(a.Tiles, new AddJob(a, b, sum));
    }

    /// <summary>Overwrites target with source, activations of equal shape.</summary>
    public static void Copy(WorkerPool pool, CpuActivations source, CpuActivations target)
    {
        if (source.IsSingleToken)
        {
            SingleToken.Values(source).CopyTo(SingleToken.Values(target));
            return;
        }

        pool.Run(source.Tiles, new CopyJob(source, target));
    }

    public static void Zero(WorkerPool pool, CpuActivations target) => pool.Run(target.Tiles, new ZeroJob(target));

    public static void Zero(WorkerPool pool, CpuWeights target) =>
        pool.Run((target.Length + EntriesOfItem - 1) / EntriesOfItem, new ZeroWeightsJob(target));

    /// <summary>Adds source to target, weights of equal shape, and clears it.</summary>
    public static void MoveInto(WorkerPool pool, CpuWeights source, CpuWeights target) =>
        pool.Run((target.Length + EntriesOfItem - 1) / EntriesOfItem, new MoveJob(source, target));

    public static int CountNonzero(ReadOnlySpan<float> values)
    {
        int zeros = 0;
        int i = 0;
        fixed (float* data = values)
        {
            for (; i <= values.Length - Vector512<float>.Count; i += Vector512<float>.Count)
            {
                zeros += System.Numerics.BitOperations.PopCount(
                    Vector512.Equals(Vector512.Load(data + i), Vector512<float>.Zero).ExtractMostSignificantBits()
                );
            }
        }

        for (; i < values.Length; i++)
        {
            zeros += values[i] == 0 ? 1 : 0;
        }

        return values.Length - zeros;
    }

    private readonly struct AddJob(CpuActivations a, CpuActivations b, CpuActivations sum) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int count = a.Channels * a.Width;
            TensorPrimitives.Add(
                new ReadOnlySpan<float>(a.Lanes(tile, 0), count),
                new ReadOnlySpan<float>(b.Lanes(tile, 0), count),
                new Span<float>(sum.Lanes(tile, 0), count)
            );
        }
    }

    private readonly struct ZeroJob(CpuActivations target) : IParallelJob
    {
        public void Execute(int tile, int worker) => new Span<float>(target.Lanes(tile, 0), target.Channels * target.Width).Clear();
    }

    private readonly struct ZeroWeightsJob(CpuWeights target) : IParallelJob
    {
        public void Execute(int item, int worker) =>
            target.Values.Slice(item * EntriesOfItem, Math.Min(EntriesOfItem, target.Length - (item * EntriesOfItem))).Clear();
    }

    private readonly struct MoveJob(CpuWeights source, CpuWeights target) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int count = Math.Min(EntriesOfItem, target.Length - (item * EntriesOfItem));
            Span<float> moved = source.Values.Slice(item * EntriesOfItem, count);
            Span<float> sum = target.Values.Slice(item * EntriesOfItem, count);
            TensorPrimitives.Add(sum, moved, sum);
            moved.Clear();
        }
    }

    private readonly struct CopyJob(CpuActivations source, CpuActivations target) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int count = source.Channels * source.Width;
            new ReadOnlySpan<float>(source.Lanes(tile, 0), count).CopyTo(new Span<float>(target.Lanes(tile, 0), count));
            int valid = target.ValidLanes(tile);
            for (int channel = 0; valid < target.Width && channel < target.Channels; channel++)
            {
                // A copy may be given as a gradient, whose padding is zero.
                new Span<float>(target.Lanes(tile, channel) + valid, target.Width - valid).Clear();
            }
        }
    }
}
