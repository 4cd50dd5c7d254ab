using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// The normalised mean squared error of a prediction [B,T,C] (spec section 5): sum (x - t)^2 / sum t^2. Backward, with the denominator P taken as a constant:
/// dx = 2 (x - t) / P, dt = -dx.
/// </summary>
internal static class NormalisedError
{
    private const int EntriesOfGroup = 1 << 14;

    /// <summary>Overwrites sums [1,2] with sum (x - t)^2 and sum t^2: runs of entries, then the runs, each in two floats.</summary>
    public static void Forward(GpuDevice device, GpuActivations prediction, GpuActivations target, GpuWeights sums)
    {
        int groups = (target.Length + EntriesOfGroup - 1) / EntriesOfGroup;
        ArrayView<float> partial = device.Workspace<float>("reduction", 4 * groups);
        device.Launch(
            groups, 1, device.RowThreads(Math.Min(target.Length, EntriesOfGroup)),
            new SumKernel(prediction.View, prediction.Stride, target.View, target.Stride, target.Channels, target.Length, partial));
        device.Launch(1, 1, device.RowThreads(groups), new TotalKernel(partial, groups, sums.View));
        sums.Changed(sums.Length);
    }

    /// <summary>Accumulates into predictionGradient and targetGradient [B,T,C], where given.</summary>
    public static void Backward(
        GpuDevice device, GpuActivations prediction, GpuActivations target, GpuWeights sums, float gradientScale, GpuActivations? predictionGradient, GpuActivations? targetGradient)
    {
        Accumulate(device, prediction, target, sums, 2 * gradientScale, predictionGradient);
        Accumulate(device, prediction, target, sums, -2 * gradientScale, targetGradient);
    }

    private static void Accumulate(GpuDevice device, GpuActivations prediction, GpuActivations target, GpuWeights sums, float factor, GpuActivations? gradient)
    {
        if (gradient is not null)
        {
            device.LaunchForEach(
                target.Length,
                new BackwardKernel(
                    prediction.View, prediction.Stride, target.View, target.Stride, sums.View, factor, gradient.View, gradient.Stride, target.Channels, target.Length));
            gradient.IsKept = false;
        }
    }

    /// <summary>A group sums a run of entries.</summary>
    internal readonly struct SumKernel(
        ArrayView<float> prediction, int predictionStride, ArrayView<float> target, int targetStride, int channels, int length, ArrayView<float> partial) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            int first = Grid.IdxX * EntriesOfGroup;
            int end = first + EntriesOfGroup < length ? first + EntriesOfGroup : length;
            PreciseSum error = default;
            PreciseSum square = default;
            for (int i = first + Group.IdxX; i < end; i += Group.DimX)
            {
                int row = i / channels;
                int channel = i - (row * channels);
                float wanted = target[(row * targetStride) + channel];
                PreciseSum.AddSquare(ref error, prediction[(row * predictionStride) + channel] - wanted);
                PreciseSum.AddSquare(ref square, wanted);
            }

            error = PreciseSum.OfGroup(error, shared);
            square = PreciseSum.OfGroup(square, shared);
            if (Group.IdxX == 0)
            {
                int at = Grid.IdxX * 4;
                partial[at] = error.High;
                partial[at + 1] = error.Low;
                partial[at + 2] = square.High;
                partial[at + 3] = square.Low;
            }
        }
    }

    /// <summary>One group.</summary>
    internal readonly struct TotalKernel(ArrayView<float> partial, int groups, ArrayView<float> sums) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            PreciseSum error = default;
            PreciseSum square = default;
            for (int group = Group.IdxX; group < groups; group += Group.DimX)
            {
                PreciseSum.Add(ref error, partial[group * 4]);
                PreciseSum.Add(ref error, partial[(group * 4) + 1]);
                PreciseSum.Add(ref square, partial[(group * 4) + 2]);
                PreciseSum.Add(ref square, partial[(group * 4) + 3]);
            }

            error = PreciseSum.OfGroup(error, shared);
            square = PreciseSum.OfGroup(square, shared);
            if (Group.IdxX == 0)
            {
                sums[0] = error.High + error.Low;
                sums[1] = square.High + square.Low;
            }
        }
    }

    internal readonly struct BackwardKernel(
        ArrayView<float> prediction, int predictionStride, ArrayView<float> target, int targetStride, ArrayView<float> sums, float factor,
        ArrayView<float> gradient, int gradientStride, int channels, int length) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / channels;
                int channel = i - (row * channels);
                float difference = prediction[(row * predictionStride) + channel] - target[(row * targetStride) + channel];
                gradient[(row * gradientStride) + channel] += difference * (factor / sums[1]);
            }
        }
    }
}
