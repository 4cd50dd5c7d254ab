using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// RMSNorm and LayerNorm over the channels of each token. With z = (x - mean) * r: y = z * weight + bias, and dx = r * (g - [mean(g)] - z *
/// mean(g * z)) with g = dy * weight; the bracketed term is LayerNorm's only, and the last falls away where r is frozen.
/// </summary>
internal static unsafe class Norm
{
    /// <summary>Float32 machine epsilon, as torch.nn.RMSNorm has it.</summary>
    private const float RmsEpsilon = 1.1920929e-7f;

    private const float LayerEpsilon = 1e-5f;

    /// <summary>
    /// Overwrites output [B,T,C] and statistics [B,T,2] (mean, reciprocal deviation); a frozen reciprocal deviation is read from there.
    /// </summary>
    public static void Forward(
        WorkerPool pool,
        NormKind kind,
        CpuActivations input,
        CpuWeights weight,
        CpuWeights? bias,
        CpuActivations output,
        CpuActivations statistics,
        bool isScaleFrozen
    )
    {
        float* biases = bias is null ? null : bias.Data;
        if (input.IsSingleToken)
        {
            SingleToken.NormForward(
                kind == NormKind.LayerNorm,
                Epsilon(kind),
                input,
                weight.Data,
                biases,
                output,
                statistics,
                isScaleFrozen
            );
            return;
        }

        pool.Run(input.Tiles, new ForwardJob(kind, input, weight.Data, biases, output, statistics, isScaleFrozen));
    }

    /// <summary>Accumulates into inputGradient [B,T,C], weightGradient [C] and biasGradient [C].</summary>
    public static void Backward(
        WorkerPool pool,
        NormKind kind,
        CpuActivations input,
        CpuActivations statistics,
        CpuWeights weight,
        CpuActivations outputGradient,
        CpuActivations inputGradient,
        CpuWeights? weightGradient,
        CpuWeights? biasGradient,
        bool isScaleFrozen
    )
    {
        pool.Run(input.Tiles, new BackwardJob(kind, input, statistics, weight.Data, outputGradient, inputGradient, isScaleFrozen));
        if (weightGradient is not null)
        {
            pool.Run(input.Channels, new WeightGradientJob(input, statistics, outputGradient, weightGradient.Data));
        }

        if (biasGradient is not null)
        {
            ChannelReduction.AccumulateSums(pool, outputGradient, biasGradient.Data);
        }
    }

    private static float Epsilon(NormKind kind) => kind == NormKind.RmsNorm ? RmsEpsilon : LayerEpsilon;

    private readonly struct ForwardJob(
        NormKind kind,
        CpuActivations input,
        float* weight,
        float* bias,
        CpuActivations output,
        CpuActivations statistics,
        bool isScaleFrozen
    ) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int width = input.Width;
            int channels = input.Channels;
            for (int lane = 0; lane < width; lane += CpuActivations.VectorLanes)
            {
                float* x = input.Lanes(tile, 0) + lane;
                Vector512<float> mean = default;
                if (kind == NormKind.LayerNorm)
                {
                    for (int channel = 0; channel < channels; channel++)
                    {
                        mean += Vector512.Load(x + (channel * width));
                    }

                    mean /= Vector512.Create((float)channels);
                }

                float* scale = statistics.Lanes(tile, 1) + lane;
                if (!isScaleFrozen)
                {
                    Vector512<float> squares = default;
                    for (int channel = 0; channel < channels; channel++)
                    {
                        Vector512<float> centred = Vector512.Load(x + (channel * width)) - mean;
                        squares = Vector512.MultiplyAddEstimate(centred, centred, squares);
                    }

                    Vector512<float> variance = squares / Vector512.Create((float)channels);
                    (Vector512<float>.One / Vector512.Sqrt(variance + Vector512.Create(Epsilon(kind)))).Store(scale);
                }

                Vector512<float> reciprocal = Vector512.Load(scale);
                mean.Store(statistics.Lanes(tile, 0) + lane);
                float* y = output.Lanes(tile, 0) + lane;
                for (int channel = 0; channel < channels; channel++)
                {
                    Vector512<float> z = (Vector512.Load(x + (channel * width)) - mean) * reciprocal;
                    Vector512<float> scaled = z * Vector512.Create(weight[channel]);
                    (bias == null ? scaled : scaled + Vector512.Create(bias[channel])).Store(y + (channel * width));
                }
            }
        }
    }

    private readonly struct BackwardJob(
        NormKind kind,
        CpuActivations input,
        CpuActivations statistics,
        float* weight,
        CpuActivations outputGradient,
        CpuActivations inputGradient,
        bool isScaleFrozen
    ) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int width = input.Width;
            int channels = input.Channels;
            for (int lane = 0; lane < width; lane += CpuActivations.VectorLanes)
            {
                float* x = input.Lanes(tile, 0) + lane;
                float* dy = outputGradient.Lanes(tile, 0) + lane;
                float* dx = inputGradient.Lanes(tile, 0) + lane;
                Vector512<float> mean = Vector512.Load(statistics.Lanes(tile, 0) + lane);
                Vector512<float> reciprocal = Vector512.Load(statistics.Lanes(tile, 1) + lane);
                Vector512<float> meanOfG = default;
                Vector512<float> meanOfGz = default;
                for (int channel = 0; channel < channels; channel++)
                {
                    Vector512<float> g = Vector512.Load(dy + (channel * width)) * Vector512.Create(weight[channel]);
                    meanOfG += g;
                    meanOfGz = Vector512.MultiplyAddEstimate(g, (Vector512.Load(x + (channel * width)) - mean) * reciprocal, meanOfGz);
                }

                Vector512<float> perChannel = Vector512.Create(1f / channels);
                meanOfG = kind == NormKind.LayerNorm ? meanOfG * perChannel : default;
                meanOfGz = isScaleFrozen ? default : meanOfGz * perChannel;
                for (int channel = 0; channel < channels; channel++)
                {
                    Vector512<float> g = Vector512.Load(dy + (channel * width)) * Vector512.Create(weight[channel]);
                    Vector512<float> z = (Vector512.Load(x + (channel * width)) - mean) * reciprocal;
                    float* target = dx + (channel * width);
                    Vector512.MultiplyAddEstimate(reciprocal, g - meanOfG - (z * meanOfGz), Vector512.Load(target)).Store(target);
                }
            }
        }
    }

    private readonly struct WeightGradientJob(
        CpuActivations input,
        CpuActivations statistics,
        CpuActivations outputGradient,
        float* weightGradient
    ) : IParallelJob
    {
        public void Execute(int channel, int worker)
        {
            Vector512<float> sum = default;
            for (int tile = 0; tile < input.Tiles; tile++)
            {
                for (int lane = 0; lane < input.Width; lane += CpuActivations.VectorLanes)
                {
                    Vector512<float> z =
                        (Vector512.Load(input.Lanes(tile, channel) + lane) - Vector512.Load(statistics.Lanes(tile, 0) + lane))
                        * Vector512.Load(statistics.Lanes(tile, 1) + lane);
                    sum = Vector512.MultiplyAddEstimate(Vector512.Load(outputGradient.Lanes(tile, channel) + lane), z, sum);
                }
            }

            weightGradient[channel] += Vector512.Sum(sum);
        }
    }
}
