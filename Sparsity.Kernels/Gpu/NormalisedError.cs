using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// The normalised mean squared error of a prediction [B,T,C] (docs/method.md section 5): sum (x - t)^2 / sum t^2. Backward, with the
/// denominator P taken as a constant: dx = 2 (x - t) / P, dt = -dx.
/// </summary>
internal static class NormalisedError
{
    /// <summary>Overwrites two numbers of sums with sum (x - t)^2 and sum t^2: runs of entries, then the runs.</summary>
    public static void Forward(GpuDevice device, GpuActivations prediction, GpuActivations target, GpuScalars sums, int index)
    {
        int groups = ScalarSums.GroupsOf(target.Length);
        ArrayView<float> partial = device.Workspace<float>("reduction", 2 * GpuScalars.Parts * groups);
        device.Launch(
            groups,
            1,
            device.RowThreads(Math.Min(target.Length, ScalarSums.EntriesOfGroup)),
            new SumKernel(prediction.View, prediction.Stride, target.View, target.Stride, target.Channels, target.Length, partial, groups)
        );
        ScalarSums.AddRuns(device, partial, groups, sums.Overwritten(index));
        ScalarSums.AddRuns(
            device,
            partial.SubView(GpuScalars.Parts * groups, GpuScalars.Parts * groups),
            groups,
            sums.Overwritten(index + 1)
        );
    }

    /// <summary>Accumulates into predictionGradient and targetGradient [B,T,C], where given.</summary>
    public static void Backward(
        GpuDevice device,
        GpuActivations prediction,
        GpuActivations target,
        GpuScalars sums,
        int index,
        float gradientScale,
        GpuActivations? predictionGradient,
        GpuActivations? targetGradient
    )
    {
        ArrayView<float> squares = sums.View.SubView((index + 1) * GpuScalars.Parts, GpuScalars.Parts);
        Accumulate(device, prediction, target, squares, 2 * gradientScale, predictionGradient);
        Accumulate(device, prediction, target, squares, -2 * gradientScale, targetGradient);
    }

    private static void Accumulate(
        GpuDevice device,
        GpuActivations prediction,
        GpuActivations target,
        ArrayView<float> squares,
        float factor,
        GpuActivations? gradient
    )
    {
        if (gradient is not null)
        {
            device.LaunchForEach(
                target.Length,
                new BackwardKernel(
                    prediction.View,
                    prediction.Stride,
                    target.View,
                    target.Stride,
                    squares,
                    factor,
                    gradient.View,
                    gradient.Stride,
                    target.Channels,
                    target.Length
                )
            );
        }
    }

    /// <summary>A group sums a run of entries.</summary>
    internal readonly struct SumKernel(
        ArrayView<float> prediction,
        int predictionStride,
        ArrayView<float> target,
        int targetStride,
        int channels,
        int length,
        ArrayView<float> partial,
        int groups
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            int first = Grid.IdxX * ScalarSums.EntriesOfGroup;
            int end = first + ScalarSums.EntriesOfGroup < length ? first + ScalarSums.EntriesOfGroup : length;
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

            int at = Grid.IdxX * GpuScalars.Parts;
            Store(PreciseSum.OfGroup(error, shared), at);
            Store(PreciseSum.OfGroup(square, shared), at + (groups * GpuScalars.Parts));
        }

        /// <summary>The run's sum, with no squares to scale.</summary>
        private void Store(PreciseSum sum, int at)
        {
            PreciseSum none = default;
            sum.Store(partial, at);
            none.Store(partial, at + 2);
            none.Store(partial, at + 4);
        }
    }

    internal readonly struct BackwardKernel(
        ArrayView<float> prediction,
        int predictionStride,
        ArrayView<float> target,
        int targetStride,
        ArrayView<float> squares,
        float factor,
        ArrayView<float> gradient,
        int gradientStride,
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
                float difference = prediction[(row * predictionStride) + channel] - target[(row * targetStride) + channel];
                gradient[(row * gradientStride) + channel] += difference * (factor / (squares[0] + squares[1]));
            }
        }
    }
}
