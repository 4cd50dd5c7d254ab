using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Node masks with mean ablation (docs/method.md section 4): y = x * mask + mean * (1 - mask), dmask = sum over tokens of dy * (x - mean),
/// dx = dy * mask. Masks are mostly 1 or 0: in place, what a mask of 1 keeps as it is need not be written.
/// </summary>
internal static unsafe class Gate
{
    /// <summary>Overwrites output [B,T,C], which may be the input, and kept, where given, with the input.</summary>
    public static void Forward(
        WorkerPool pool,
        CpuActivations input,
        CpuWeights mask,
        CpuWeights mean,
        CpuActivations output,
        CpuSavedForBackward? kept
    ) => pool.Run(input.Tiles, new ForwardJob(input, mask.Data, mean.Data, output, kept));

    /// <summary>In place on gradient [B,T,C]; accumulates into maskGradient [C].</summary>
    public static void Backward(
        WorkerPool pool,
        CpuSavedForBackward input,
        CpuWeights mask,
        CpuWeights mean,
        CpuActivations gradient,
        CpuWeights maskGradient
    )
    {
        // Sums of each tile, then those of the tiles in order: the same whatever the number of threads, and each tile is passed from end to
        // end.
        float* sums = pool.Shared(gradient.Tiles * gradient.Channels);
        pool.Run(gradient.Tiles, new BackwardJob(input, mask.Data, mean.Data, gradient, sums));
        for (int tile = 0; tile < gradient.Tiles; tile++)
        {
            TensorPrimitives.Add(
                maskGradient.Values,
                new ReadOnlySpan<float>(sums + ((long)tile * gradient.Channels), gradient.Channels),
                maskGradient.Values
            );
        }
    }

    private readonly struct ForwardJob(CpuActivations input, float* mask, float* mean, CpuActivations output, CpuSavedForBackward? kept)
        : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            ulong* words = kept is null ? null : kept.Words(tile);
            float* place = kept is null ? null : kept.Values(tile);
            float* x = input.Lanes(tile, 0);
            float* y = output.Lanes(tile, 0);
            int width = input.Width;
            int channels = input.Channels;
            for (int channel = 0; channel < channels; channel++, x += width, y += width)
            {
                if (words != null)
                {
                    words[channel] = LanePacking.PackNonzero(x, width, ref place);
                }

                if (mask[channel] == 1 && x == y)
                {
                    continue;
                }

                Vector512<float> keep = Vector512.Create(mask[channel]);
                Vector512<float> replacement = Vector512.Create(mean[channel] * (1 - mask[channel]));
                for (int lane = 0; lane < width; lane += CpuActivations.VectorLanes)
                {
                    Vector512.MultiplyAddEstimate(Vector512.Load(x + lane), keep, replacement).Store(y + lane);
                }
            }
        }
    }

    private readonly struct BackwardJob(CpuSavedForBackward input, float* mask, float* mean, CpuActivations gradient, float* sums)
        : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            ulong* words = input.Words(tile);
            float* place = input.Values(tile);
            float* g = gradient.Lanes(tile, 0);
            int width = gradient.Width;
            int channels = gradient.Channels;
            float* sumsOfTile = sums + ((long)tile * channels);
            for (int channel = 0; channel < channels; channel++, g += width)
            {
                ulong word = words[channel];
                Vector512<float> keep = Vector512.Create(mask[channel]);
                Vector512<float> average = Vector512.Create(mean[channel]);
                Vector512<float> sum = default;
                bool changes = mask[channel] != 1;
                for (int lane = 0; lane < width; lane += CpuActivations.VectorLanes)
                {
                    var bits = (uint)(word >> lane) & 0xFFFF;
                    Vector512<float> incoming = Vector512.Load(g + lane);
                    sum = Vector512.MultiplyAddEstimate(incoming, LanePacking.Unpack(place, bits) - average, sum);
                    place += BitOperations.PopCount(bits);
                    if (changes)
                    {
                        (incoming * keep).Store(g + lane);
                    }
                }

                sumsOfTile[channel] = Vector512.Sum(sum);
            }
        }
    }
}
