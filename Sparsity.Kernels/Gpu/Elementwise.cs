using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>Operations on each entry by itself, and the count of nonzero entries.</summary>
internal static class Elementwise
{
    private const int EntriesOfGroup = 1 << 14;

    /// <summary>Overwrites sum with a + b, activations of equal shape.</summary>
    public static void Add(GpuDevice device, GpuActivations a, GpuActivations b, GpuActivations sum)
    {
        if (!AbsTopK.TryAdd(device, a, b, sum))
        {
            int channels = GpuActivations.EntriesOfRow(a, b, sum);
            device.LaunchForEach(sum.Length, new AddKernel(a.View, a.Stride, b.View, b.Stride, sum.View, sum.Stride, channels, sum.Length));
        }
    }

    /// <summary>Overwrites target with source, activations of equal shape; AbsTopK's backward on the target may take it on.</summary>
    public static void Copy(GpuDevice device, GpuActivations source, GpuActivations target)
    {
        device.Hold(new HeldCopy(source, target));
        target.IsMostlyZero = source.IsMostlyZero;
    }

    /// <summary>Overwrites target with numbers that lie without gaps.</summary>
    public static void Copy(GpuDevice device, ArrayView<float> source, GpuActivations target)
    {
        device.LaunchForEach(
            target.Length,
            new CopyKernel(source, target.Channels, target.View, target.Stride, target.Channels, target.Length)
        );
    }

    /// <summary>Overwrites numbers that lie without gaps with source.</summary>
    public static void Copy(GpuDevice device, GpuActivations source, ArrayView<float> target) =>
        device.LaunchForEach(
            source.Length,
            new CopyKernel(source.View, source.Stride, target, source.Channels, source.Channels, source.Length)
        );

    public static void Zero(GpuDevice device, GpuActivations target)
    {
        device.LaunchForEach(target.Length, new ZeroKernel(target.View, target.Stride, GpuActivations.EntriesOfRow(target), target.Length));
    }

    /// <summary>Adds each source to its target, weights of equal shape, and clears it.</summary>
    public static void MoveInto(GpuWeightList sources, GpuWeightList targets)
    {
        sources.LaunchForEach(launch => new MoveKernel(launch.Table.Runs, launch[0], launch[1]), targets);
        for (int i = 0; i < sources.Tensors.Count; i++)
        {
            sources[i].Changed(0);
        }
    }

    /// <summary>In place: weights *= factor.</summary>
    public static void Scale(GpuWeightList weights, float factor)
    {
        weights.LaunchForEach(launch => new ScaleKernel(launch.Table.Runs, launch[0], factor));
        for (int i = 0; i < weights.Tensors.Count; i++)
        {
            weights[i].Changed(weights[i].NonzeroBound);
        }
    }

    /// <summary>Waits for the device.</summary>
    public static int CountNonzero(GpuDevice device, GpuWeights weights)
    {
        int groups = (weights.Length + EntriesOfGroup - 1) / EntriesOfGroup;
        ArrayView<float> counts = device.Workspace<float>("reduction", groups);
        device.Launch(
            groups,
            1,
            device.RowThreads(Math.Min(weights.Length, EntriesOfGroup)),
            new CountKernel(weights.View, counts, weights.Length)
        );
        var perGroup = new float[groups];
        device.Read(counts, perGroup.AsSpan());
        return (int)perGroup.Sum(count => (long)count);
    }

    internal readonly struct AddKernel(
        ArrayView<float> a,
        int strideA,
        ArrayView<float> b,
        int strideB,
        ArrayView<float> sum,
        int strideSum,
        int channels,
        int length
    ) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / channels;
                int channel = i - (row * channels);
                sum[(row * strideSum) + channel] = a[(row * strideA) + channel] + b[(row * strideB) + channel];
            }
        }
    }

    internal readonly struct CopyKernel(
        ArrayView<float> source,
        int sourceStride,
        ArrayView<float> target,
        int targetStride,
        int channels,
        int length
    ) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / channels;
                int channel = i - (row * channels);
                target[(row * targetStride) + channel] = source[(row * sourceStride) + channel];
            }
        }
    }

    internal readonly struct ZeroKernel(ArrayView<float> target, int stride, int channels, int length) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / channels;
                target[(row * stride) + i - (row * channels)] = 0f;
            }
        }
    }

    internal readonly struct MoveKernel(TensorRuns runs, ArrayView<float> sources, ArrayView<float> targets) : IKernel
    {
        public void Execute()
        {
            int tensor = runs.OfGroup(out int first, out int end);
            ArrayView<float> source = sources.SubView(runs.PlaceOf(tensor, 0), end);
            ArrayView<float> target = targets.SubView(runs.PlaceOf(tensor, 1), end);
            for (int i = first + Group.IdxX; i < end; i += Group.DimX)
            {
                target[i] += source[i];
                source[i] = 0f;
            }
        }
    }

    internal readonly struct ScaleKernel(TensorRuns runs, ArrayView<float> weights, float factor) : IKernel
    {
        public void Execute()
        {
            int tensor = runs.OfGroup(out int first, out int end);
            ArrayView<float> own = weights.SubView(runs.PlaceOf(tensor, 0), end);
            for (int i = first + Group.IdxX; i < end; i += Group.DimX)
            {
                own[i] *= factor;
            }
        }
    }

    /// <summary>A group counts a run of entries; at most 2^14, which a float holds exactly.</summary>
    internal readonly struct CountKernel(ArrayView<float> values, ArrayView<float> counts, int length) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(GroupReduction.MaximumThreads);
            int first = Grid.IdxX * EntriesOfGroup;
            int end = first + EntriesOfGroup < length ? first + EntriesOfGroup : length;
            float count = 0f;
            for (int i = first + Group.IdxX; i < end; i += Group.DimX)
            {
                count += values[i] != 0f ? 1f : 0f;
            }

            count = GroupReduction.Sum(count, shared);
            if (Group.IdxX == 0)
            {
                counts[Grid.IdxX] = count;
            }
        }
    }

    /// <summary>A copy, put off.</summary>
    internal sealed record HeldCopy(GpuActivations Source, GpuActivations Target) : IHeldLaunch
    {
        public void Launch(GpuDevice device)
        {
            int channels = GpuActivations.EntriesOfRow(Source, Target);
            device.LaunchForEach(
                Target.Length,
                new CopyKernel(Source.View, Source.Stride, Target.View, Target.Stride, channels, Target.Length)
            );
        }
    }
}
