using ILGPU;
using ILGPU.Algorithms;

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

    /// <summary>Overwrites weights and both moments; clears the gradients.</summary>
    public static void Step(
        GpuWeightList weights,
        GpuWeightList gradients,
        GpuWeightList firstMoments,
        GpuWeightList secondMoments,
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
        weights.LaunchForEach(
            launch => new StepKernel(
                launch.Table.Runs,
                launch[0],
                launch[1],
                launch[2],
                launch[3],
                gradientScale,
                rate,
                rootCorrection,
                1 - beta1,
                beta2,
                1 - beta2,
                epsilon
            ),
            gradients,
            firstMoments,
            secondMoments
        );
        for (int i = 0; i < gradients.Tensors.Count; i++)
        {
            gradients[i].Changed(0);
        }
    }

    /// <summary>
    /// Overwrites a number of results with sqrt(sum of squares / number of entries): runs of 2^14 entries, then the runs. Squares of large
    /// and of small entries are summed scaled, so that they neither overflow nor vanish.
    /// </summary>
    public static void RootMeanSquare(GpuDevice device, GpuWeightList tensors, GpuScalars results, int index)
    {
        IReadOnlyList<GpuWeightList.Launch> launches = tensors.Launches(ScalarSums.EntriesOfGroup);
        int groups = launches.Sum(launch => launch.Table.Groups);
        ArrayView<float> sums = device.Workspace<float>("reduction", groups * GpuScalars.Parts);
        int first = 0;
        foreach (GpuWeightList.Launch launch in launches)
        {
            device.Launch(
                launch.Table.Groups,
                1,
                device.RowThreads(Math.Min(launch.Longest, ScalarSums.EntriesOfGroup)),
                new SquaresKernel(launch.Table.Runs, launch[0], sums, first)
            );
            first += launch.Table.Groups;
        }

        ScalarSums.AddRuns(device, sums, groups, results.Overwritten(index, tensors.Tensors.Sum(tensor => (long)tensor.Length)));
    }

    internal readonly struct StepKernel(
        TensorRuns runs,
        ArrayView<float> weights,
        ArrayView<float> gradients,
        ArrayView<float> firstMoments,
        ArrayView<float> secondMoments,
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
            int tensor = runs.OfGroup(out int first, out int end);
            ArrayView<float> weight = weights.SubView(runs.PlaceOf(tensor, 0), end);
            ArrayView<float> gradient = gradients.SubView(runs.PlaceOf(tensor, 1), end);
            ArrayView<float> firstMoment = firstMoments.SubView(runs.PlaceOf(tensor, 2), end);
            ArrayView<float> secondMoment = secondMoments.SubView(runs.PlaceOf(tensor, 3), end);
            for (int i = first + Group.IdxX; i < end; i += Group.DimX)
            {
                float g = gradient[i] * gradientScale;
                float m = firstMoment[i];
                m += oneMinusBeta1 * (g - m);
                float v = (oneMinusBeta2 * (g * g)) + (secondMoment[i] * beta2);
                firstMoment[i] = m;
                secondMoment[i] = v;
                weight[i] -= rate * (m / ((XMath.Sqrt(v) / rootCorrection) + epsilon));
                gradient[i] = 0f;
            }
        }
    }

    /// <summary>
    /// A group sums the squares of a run of entries: of those of ordinary size, the large, and the small; two floats each.
    /// </summary>
    internal readonly struct SquaresKernel(TensorRuns runs, ArrayView<float> tensors, ArrayView<float> sums, int firstGroup) : IKernel
    {
        private const float Large = 1e12f;
        private const float Small = 1e-15f;

        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            int tensor = runs.OfGroup(out int first, out int end);
            ArrayView<float> values = tensors.SubView(runs.PlaceOf(tensor, 0), end);
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
