using ILGPU;
using ILGPU.Algorithms;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Adam with bias correction and dense moments, and the root mean square of the whole gradient (docs/method.md section 2, steps 3 and 4).
/// </summary>
internal static class AdamW
{
    /// <summary>2^-80, by which entries are multiplied whose squares might overflow.</summary>
    public const float ScaleOfLarge = 8.271806e-25f;

    /// <summary>2^80, by which entries are multiplied whose squares might vanish.</summary>
    public const float ScaleOfSmall = 1.2089258e24f;

    /// <summary>Overwrites weights and both moments; clears the gradient.</summary>
    public static void Step(
        GpuDevice device,
        GpuWeights weights,
        GpuWeights gradient,
        GpuWeights firstMoment,
        GpuWeights secondMoment,
        float gradientScale,
        float learningRate,
        float beta1,
        float beta2,
        float epsilon,
        int step
    )
    {
        // As PyTorch: w -= (rate / c1) * m / (sqrt(v) / sqrt(c2) + epsilon), the corrections in double on the host.
        var rate = (float)(learningRate / (1 - Math.Pow(beta1, step)));
        var rootCorrection = (float)Math.Sqrt(1 - Math.Pow(beta2, step));
        device.LaunchForEach(
            weights.Length,
            new StepKernel(
                weights.View,
                gradient.View,
                firstMoment.View,
                secondMoment.View,
                weights.Length,
                gradientScale,
                rate,
                rootCorrection,
                1 - beta1,
                beta2,
                1 - beta2,
                epsilon
            )
        );
        gradient.Changed(0);
    }

    /// <summary>
    /// Overwrites a number of results with sqrt(sum of squares / number of entries): runs of 2^14 entries, then the runs. Squares of large
    /// and of small entries are summed scaled, so that they neither overflow nor vanish.
    /// </summary>
    public static void RootMeanSquare(GpuDevice device, IReadOnlyList<WeightTensor> tensors, GpuScalars results, int index)
    {
        int groups = 0;
        long entries = 0;
        for (int i = 0; i < tensors.Count; i++)
        {
            groups += ScalarSums.GroupsOf(tensors[i].Length);
            entries += tensors[i].Length;
        }

        ArrayView<float> sums = device.Workspace<float>("reduction", groups * GpuScalars.Parts);
        int first = 0;
        for (int i = 0; i < tensors.Count; i += TensorRuns.Most)
        {
            int own = 0;
            int longest = 0;
            for (int j = i; j < Math.Min(i + TensorRuns.Most, tensors.Count); j++)
            {
                own += ScalarSums.GroupsOf(tensors[j].Length);
                longest = Math.Max(longest, tensors[j].Length);
            }

            device.Launch(
                own,
                1,
                device.RowThreads(Math.Min(longest, ScalarSums.EntriesOfGroup)),
                new SquaresKernel(new TensorRuns(tensors, i), sums, first)
            );
            first += own;
        }

        ScalarSums.AddRuns(device, sums, groups, results.Overwritten(index, entries));
    }

    internal readonly struct StepKernel(
        ArrayView<float> weights,
        ArrayView<float> gradient,
        ArrayView<float> firstMoment,
        ArrayView<float> secondMoment,
        int length,
        float gradientScale,
        float rate,
        float rootCorrection,
        float oneMinusBeta1,
        float beta2,
        float oneMinusBeta2,
        float epsilon
    ) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                float g = gradient[i] * gradientScale;
                float m = firstMoment[i];
                m += oneMinusBeta1 * (g - m);
                float v = (oneMinusBeta2 * (g * g)) + (secondMoment[i] * beta2);
                firstMoment[i] = m;
                secondMoment[i] = v;
                weights[i] -= rate * (m / ((XMath.Sqrt(v) / rootCorrection) + epsilon));
                gradient[i] = 0f;
            }
        }
    }

    /// <summary>
    /// A group sums the squares of a run of entries: of those of ordinary size, the large, and the small; two floats each.
    /// </summary>
    internal readonly struct SquaresKernel(TensorRuns tensors, ArrayView<float> sums, int firstGroup) : IKernel
    {
        private const float Large = 1e12f;
        private const float Small = 1e-15f;

        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            ArrayView<float> values = tensors.OfGroup(out int first, out int end);
            PreciseSum ordinary = default;
            PreciseSum large = default;
            PreciseSum small = default;
            for (int i = first + Group.IdxX; i < end; i += Group.DimX)
            {
                float value = values[i];
                float magnitude = value < 0f ? -value : value;
                if (magnitude > Large)
                {
                    PreciseSum.AddSquare(ref large, value * ScaleOfLarge);
                }
                else if (magnitude < Small)
                {
                    PreciseSum.AddSquare(ref small, value * ScaleOfSmall);
                }
                else
                {
                    // NaN comes here.
                    PreciseSum.AddSquare(ref ordinary, value);
                }
            }

            int at = (firstGroup + Grid.IdxX) * GpuScalars.Parts;
            PreciseSum.OfGroup(ordinary, shared).Store(sums, at);
            PreciseSum.OfGroup(large, shared).Store(sums, at + 2);
            PreciseSum.OfGroup(small, shared).Store(sums, at + 4);
        }
    }
}
