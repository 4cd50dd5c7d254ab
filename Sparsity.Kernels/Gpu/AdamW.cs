using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>Adam with bias correction and dense moments, and the root mean square of the whole gradient (spec section 2, steps 3 and 4).</summary>
internal static class AdamW
{
    private const int EntriesOfGroup = 1 << 14;

    /// <summary>Overwrites weights and both moments.</summary>
    public static void Step(
        GpuDevice device, GpuWeights weights, GpuWeights gradient, GpuWeights firstMoment, GpuWeights secondMoment,
        float gradientScale, float learningRate, float beta1, float beta2, float epsilon, int step)
    {
        // As PyTorch: w -= (rate / c1) * m / (sqrt(v) / sqrt(c2) + epsilon), the corrections in double on the host.
        var rate = (float)(learningRate / (1 - Math.Pow(beta1, step)));
        var rootCorrection = (float)Math.Sqrt(1 - Math.Pow(beta2, step));
        device.LaunchForEach(
            weights.Length,
            new StepKernel(
                weights.View, gradient.View, firstMoment.View, secondMoment.View, weights.Length,
                gradientScale, rate, rootCorrection, 1 - beta1, beta2, 1 - beta2, epsilon));
        weights.Changed(weights.Length);
        firstMoment.Changed(weights.Length);
        secondMoment.Changed(weights.Length);
    }

    /// <summary>
    /// sqrt(sum of squares / number of entries): runs of 2^14 entries on the device, the runs in double on the host. Squares of large and of small entries
    /// are summed scaled, so that they neither overflow nor vanish. Waits for the device once.
    /// </summary>
    public static double RootMeanSquare(GpuDevice device, IReadOnlyList<WeightTensor> tensors)
    {
        int groups = 0;
        long entries = 0;
        foreach (WeightTensor tensor in tensors)
        {
            groups += Groups(tensor.Length);
            entries += tensor.Length;
        }

        ArrayView<float> sums = device.Workspace<float>("reduction", groups * SquaresKernel.SumsOfGroup);
        int first = 0;
        foreach (WeightTensor tensor in tensors)
        {
            device.Launch(
                Groups(tensor.Length), 1, device.RowThreads(Math.Min(tensor.Length, EntriesOfGroup)),
                new SquaresKernel(((GpuWeights)tensor).View, sums, first, tensor.Length));
            first += Groups(tensor.Length);
        }

        var perGroup = new float[groups * SquaresKernel.SumsOfGroup];
        sums.CopyToCPU(perGroup.AsSpan());
        double total = 0;
        for (int i = 0; i < perGroup.Length; i++)
        {
            double scale = (i % SquaresKernel.SumsOfGroup / 2) switch { 0 => 1, 1 => SquaresKernel.ScaleOfLarge, _ => SquaresKernel.ScaleOfSmall };
            total += perGroup[i] / (scale * scale);
        }

        return Math.Sqrt(total / entries);
    }

    private static int Groups(int length) => (length + EntriesOfGroup - 1) / EntriesOfGroup;

    internal readonly struct StepKernel(
        ArrayView<float> weights, ArrayView<float> gradient, ArrayView<float> firstMoment, ArrayView<float> secondMoment, int length,
        float gradientScale, float rate, float rootCorrection, float oneMinusBeta1, float beta2, float oneMinusBeta2, float epsilon) : IKernel
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
            }
        }
    }

    /// <summary>A group sums the squares of a run of entries: of those of ordinary size, the large, and the small; two floats each.</summary>
    internal readonly struct SquaresKernel(ArrayView<float> values, ArrayView<float> sums, int firstGroup, int length) : IKernel
    {
        public const int SumsOfGroup = 6;

        /// <summary>2^-80.</summary>
        public const float ScaleOfLarge = 8.271806e-25f;

        /// <summary>2^80.</summary>
        public const float ScaleOfSmall = 1.2089258e24f;

        private const float Large = 1e12f;
        private const float Small = 1e-15f;

        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(2 * GroupReduction.MaximumThreads);
            int first = Grid.IdxX * EntriesOfGroup;
            int end = first + EntriesOfGroup < length ? first + EntriesOfGroup : length;
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

            int at = (firstGroup + Grid.IdxX) * SumsOfGroup;
            Store(PreciseSum.OfGroup(ordinary, shared), at);
            Store(PreciseSum.OfGroup(large, shared), at + 2);
            Store(PreciseSum.OfGroup(small, shared), at + 4);
        }

        private void Store(PreciseSum sum, int at)
        {
            if (Group.IdxX == 0)
            {
                sums[at] = sum.High;
                sums[at + 1] = sum.Low;
            }
        }
    }
}
