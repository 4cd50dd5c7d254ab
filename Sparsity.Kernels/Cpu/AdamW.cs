using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Adam with bias correction and dense moments, and the root mean square of the whole gradient (docs/method.md section 2, steps 3 and 4).
/// </summary>
internal static unsafe class AdamW
{
    private const int EntriesOfItem = 1 << 14;

    /// <summary>Overwrites weights and both moments; clears the gradient.</summary>
    public static void Step(
        WorkerPool pool,
        CpuWeights weights,
        CpuWeights gradient,
        CpuWeights firstMoment,
        CpuWeights secondMoment,
        float gradientScale,
        float learningRate,
        float beta1,
        float beta2,
        float epsilon,
        int step
    )
    {
        // As PyTorch: w -= (rate / c1) * m / (sqrt(v) / sqrt(c2) + epsilon), the corrections in double.
        var rate = (float)(learningRate / (1 - Math.Pow(beta1, step)));
        var rootCorrection = (float)Math.Sqrt(1 - Math.Pow(beta2, step));
        pool.Run(
            Items(weights.Length),
            new StepJob(
                weights.Data,
                gradient.Data,
                firstMoment.Data,
                secondMoment.Data,
                weights.Length,
                gradientScale,
                rate,
                rootCorrection,
                beta1,
                beta2,
                epsilon
            )
        );
    }

    /// <summary>In double and in a fixed order: sqrt(sum of squares / number of entries).</summary>
    public static double RootMeanSquare(WorkerPool pool, IReadOnlyList<WeightTensor> tensors)
    {
        double total = 0;
        long count = 0;
        for (int i = 0; i < tensors.Count; i++)
        {
            var tensor = (CpuWeights)tensors[i];
            int items = Items(tensor.Length);
            var partial = (double*)pool.Shared(items * 2);
            pool.Run(items, new SquaresJob(tensor.Data, tensor.Length, partial));
            for (int item = 0; item < items; item++)
            {
                total += partial[item];
            }

            count += tensor.Length;
        }

        return Math.Sqrt(total / count);
    }

    private static int Items(int length) => (length + EntriesOfItem - 1) / EntriesOfItem;

    private readonly struct StepJob(
        float* weights,
        float* gradient,
        float* firstMoment,
        float* secondMoment,
        int length,
        float gradientScale,
        float rate,
        float rootCorrection,
        float beta1,
        float beta2,
        float epsilon
    ) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int i = item * EntriesOfItem;
            int end = Math.Min(i + EntriesOfItem, length);
            for (; i + 16 <= end; i += 16)
            {
                Vector512<float> g = Vector512.Load(gradient + i) * Vector512.Create(gradientScale);
                Vector512<float> m = Vector512.MultiplyAddEstimate(
                    Vector512.Create(1 - beta1),
                    g - Vector512.Load(firstMoment + i),
                    Vector512.Load(firstMoment + i)
                );
                Vector512<float> v = Vector512.MultiplyAddEstimate(
                    Vector512.Create(1 - beta2),
                    g * g,
                    Vector512.Load(secondMoment + i) * Vector512.Create(beta2)
                );
                m.Store(firstMoment + i);
                v.Store(secondMoment + i);
                Vector512<float> denominator = (Vector512.Sqrt(v) / Vector512.Create(rootCorrection)) + Vector512.Create(epsilon);
                (Vector512.Load(weights + i) - (Vector512.Create(rate) * (m / denominator))).Store(weights + i);
                Vector512<float>.Zero.Store(gradient + i);
            }

            for (; i < end; i++)
            {
                float g = gradient[i] * gradientScale;
                float m = float.MultiplyAddEstimate(1 - beta1, g - firstMoment[i], firstMoment[i]);
                float v = float.MultiplyAddEstimate(1 - beta2, g * g, secondMoment[i] * beta2);
                firstMoment[i] = m;
                secondMoment[i] = v;
                weights[i] -= rate * (m / ((MathF.Sqrt(v) / rootCorrection) + epsilon));
                gradient[i] = 0;
            }
        }
    }

    private readonly struct SquaresJob(float* values, int length, double* partial) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int i = item * EntriesOfItem;
            int end = Math.Min(i + EntriesOfItem, length);
            Vector512<double> sum = default;
            for (; i + 16 <= end; i += 16)
            {
                Vector512<float> value = Vector512.Load(values + i);
                Vector512<double> low = Vector512.WidenLower(value);
                Vector512<double> high = Vector512.WidenUpper(value);
                sum += low * low;
                sum += high * high;
            }

            double total = Vector512.Sum(sum);
            for (; i < end; i++)
            {
                total += (double)values[i] * values[i];
            }

            partial[item] = total;
        }
    }
}
