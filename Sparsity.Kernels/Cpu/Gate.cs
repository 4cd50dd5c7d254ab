using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>Node masks with mean ablation (spec section 4): y = x * mask + mean * (1 - mask), dmask = sum over tokens of dy * (x - mean), dx = dy * mask.</summary>
internal static unsafe class Gate
{
    /// <summary>Overwrites output [B,T,C], which may be the input, and before [B,T,C], where given, with the input.</summary>
    public static void Forward(WorkerPool pool, CpuActivations input, CpuWeights mask, CpuWeights mean, CpuActivations output, CpuActivations? before) =>
        pool.Run(input.Tiles, new ForwardJob(input, mask.Data, mean.Data, output, before));

    /// <summary>In place on gradient [B,T,C]; accumulates into maskGradient [C].</summary>
    public static void Backward(WorkerPool pool, CpuActivations input, CpuWeights mask, CpuWeights mean, CpuActivations gradient, CpuWeights maskGradient)
    {
        // Sums of each tile, then those of the tiles in order: the same whatever the number of threads, and each tile is passed from end to end.
        float* sums = pool.Shared(input.Tiles * input.Channels);
        pool.Run(input.Tiles, new BackwardJob(input, mask.Data, mean.Data, gradient, sums));
        for (int tile = 0; tile < input.Tiles; tile++)
        {
            TensorPrimitives.Add(maskGradient.Values, new ReadOnlySpan<float>(sums + ((long)tile * input.Channels), input.Channels), maskGradient.Values);
        }
    }

    private readonly struct ForwardJob(CpuActivations input, float* mask, float* mean, CpuActivations output, CpuActivations? before) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            for (int channel = 0; channel < input.Channels; channel++)
            {
                float* x = input.Lanes(tile, channel);
                float* y = output.Lanes(tile, channel);
                float* copy = before is null ? null : before.Lanes(tile, channel);
                Vector512<float> keep = Vector512.Create(mask[channel]);
                Vector512<float> replacement = Vector512.Create(mean[channel] * (1 - mask[channel]));
                for (int lane = 0; lane < input.Width; lane += CpuActivations.VectorLanes)
                {
                    Vector512<float> value = Vector512.Load(x + lane);
                    Vector512.MultiplyAddEstimate(value, keep, replacement).Store(y + lane);
                    if (copy != null)
                    {
                        value.Store(copy + lane);
                    }
                }
            }
        }
    }

    private readonly struct BackwardJob(CpuActivations input, float* mask, float* mean, CpuActivations gradient, float* sums) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            for (int channel = 0; channel < input.Channels; channel++)
            {
                float* x = input.Lanes(tile, channel);
                float* g = gradient.Lanes(tile, channel);
                Vector512<float> keep = Vector512.Create(mask[channel]);
                Vector512<float> average = Vector512.Create(mean[channel]);
                Vector512<float> sum = default;
                for (int lane = 0; lane < input.Width; lane += CpuActivations.VectorLanes)
                {
                    Vector512<float> incoming = Vector512.Load(g + lane);
                    sum = Vector512.MultiplyAddEstimate(incoming, Vector512.Load(x + lane) - average, sum);
                    (incoming * keep).Store(g + lane);
                }

                sums[((long)tile * input.Channels) + channel] = Vector512.Sum(sum);
            }
        }
    }
}
