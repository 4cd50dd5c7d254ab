using ILGPU;
using ILGPU.Algorithms;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// RMSNorm and LayerNorm over the channels of each token. With z = (x - mean) * r: y = z * weight + bias, and dx = r * (g - [mean(g)] - z *
/// mean(g * z)) with g = dy * weight; the bracketed term is LayerNorm's only, and the last falls away where r is frozen.
/// </summary>
internal static class Norm
{
    /// <summary>Float32 machine epsilon, as torch.nn.RMSNorm has it.</summary>
    private const float RmsEpsilon = 1.1920929e-7f;

    private const float LayerEpsilon = 1e-5f;

    /// <summary>
    /// Overwrites output [B,T,C] and statistics [B,T,2] (mean, reciprocal deviation); a frozen reciprocal deviation is read from there.
    /// </summary>
    public static void Forward(
        GpuDevice device,
        NormKind kind,
        GpuActivations input,
        GpuWeights weight,
        GpuWeights? bias,
        GpuActivations output,
        GpuActivations statistics,
        bool isScaleFrozen
    )
    {
        device.Launch(
            input.Rows,
            1,
            device.RowThreads(input.Channels),
            new ForwardKernel(
                input.View,
                input.Stride,
                weight.View,
                bias?.View ?? weight.View,
                bias is null ? 0 : 1,
                output.View,
                output.Stride,
                statistics.View,
                statistics.Stride,
                input.Channels,
                kind == NormKind.LayerNorm ? 1 : 0,
                isScaleFrozen ? 1 : 0,
                kind == NormKind.RmsNorm ? RmsEpsilon : LayerEpsilon
            )
        );
    }

    /// <summary>Accumulates into inputGradient [B,T,C], weightGradient [C] and biasGradient [C].</summary>
    public static void Backward(
        GpuDevice device,
        NormKind kind,
        GpuActivations input,
        GpuActivations statistics,
        GpuWeights weight,
        GpuActivations outputGradient,
        GpuActivations inputGradient,
        GpuWeights? weightGradient,
        GpuWeights? biasGradient,
        bool isScaleFrozen
    )
    {
        ArrayView<byte> all = device.Workspace<byte>("no choice", 1);
        GpuSelection? chosen = AbsTopK.TakeBackward(device, outputGradient.IsAllOf);
        device.Launch(
            input.Rows,
            1,
            device.RowThreads(input.Channels),
            new BackwardKernel(
                input.View,
                input.Stride,
                statistics.View,
                statistics.Stride,
                weight.View,
                chosen?.View ?? all,
                chosen is null ? 0 : 1,
                outputGradient.View,
                outputGradient.Stride,
                inputGradient.View,
                inputGradient.Stride,
                input.Channels,
                kind == NormKind.LayerNorm ? 1f : 0f,
                isScaleFrozen ? 0f : 1f
            )
        );
        if (weightGradient is not null)
        {
            ChannelReduction.Accumulate(device, outputGradient, input, statistics, weightGradient);
        }

        if (biasGradient is not null)
        {
            ChannelReduction.AccumulateSums(device, outputGradient, biasGradient);
        }
    }

    /// <summary>A group is one token.</summary>
    internal readonly struct ForwardKernel(
        ArrayView<float> input,
        int inputStride,
        ArrayView<float> weight,
        ArrayView<float> bias,
        int hasBias,
        ArrayView<float> output,
        int outputStride,
        ArrayView<float> statistics,
        int statisticsStride,
        int channels,
        int isCentred,
        int isScaleFrozen,
        float epsilon
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(GroupReduction.MaximumThreads);
            int x = Grid.IdxX * inputStride;
            // The mean, where the norm is centred; then the reciprocal of the deviation, or the one that is frozen; then the output.
            float mean = 0f;
            if (isCentred != 0)
            {
                for (int c = Group.IdxX; c < channels; c += Group.DimX)
                {
                    mean += input[x + c];
                }

                mean = GroupReduction.Sum(mean, shared) / channels;
            }

            float reciprocal;
            if (isScaleFrozen != 0)
            {
                reciprocal = statistics[(Grid.IdxX * statisticsStride) + 1];
            }
            else
            {
                float squares = 0f;
                for (int c = Group.IdxX; c < channels; c += Group.DimX)
                {
                    float centred = input[x + c] - mean;
                    squares += centred * centred;
                }

                float variance = GroupReduction.Sum(squares, shared) / channels;
                reciprocal = 1f / XMath.Sqrt(variance + epsilon);
            }

            int y = Grid.IdxX * outputStride;
            for (int c = Group.IdxX; c < channels; c += Group.DimX)
            {
                float scaled = (input[x + c] - mean) * reciprocal * weight[c];
                if (hasBias != 0)
                {
                    scaled += bias[c];
                }

                output[y + c] = scaled;
            }

            if (Group.IdxX == 0)
            {
                statistics[Grid.IdxX * statisticsStride] = mean;
                statistics[(Grid.IdxX * statisticsStride) + 1] = reciprocal;
            }
        }
    }

    /// <summary>A group is one token.</summary>
    internal readonly struct BackwardKernel(
        ArrayView<float> input,
        int inputStride,
        ArrayView<float> statistics,
        int statisticsStride,
        ArrayView<float> weight,
        ArrayView<byte> selection,
        int isSelected,
        ArrayView<float> outputGradient,
        int outputStride,
        ArrayView<float> inputGradient,
        int gradientStride,
        int channels,
        float centred,
        float scaled
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(GroupReduction.MaximumThreads);
            int x = Grid.IdxX * inputStride;
            int dy = Grid.IdxX * outputStride;
            int dx = Grid.IdxX * gradientStride;
            float mean = statistics[Grid.IdxX * statisticsStride];
            float reciprocal = statistics[(Grid.IdxX * statisticsStride) + 1];
            float meanOfG = 0f;
            float meanOfGz = 0f;
            for (int c = Group.IdxX; c < channels; c += Group.DimX)
            {
                if (isSelected != 0 && selection[(Grid.IdxX * channels) + c] == 0)
                {
                    outputGradient[dy + c] = 0f; // AbsTopK's backward, taken on
                }

                float g = outputGradient[dy + c] * weight[c];
                meanOfG += g;
                meanOfGz += g * ((input[x + c] - mean) * reciprocal);
            }

            meanOfG = centred * GroupReduction.Sum(meanOfG, shared) / channels;
            meanOfGz = scaled * GroupReduction.Sum(meanOfGz, shared) / channels;
            for (int c = Group.IdxX; c < channels; c += Group.DimX)
            {
                float g = outputGradient[dy + c] * weight[c];
                float z = (input[x + c] - mean) * reciprocal;
                inputGradient[dx + c] += reciprocal * (g - meanOfG - (z * meanOfGz));
            }
        }
    }
}
