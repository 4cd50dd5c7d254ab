using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Node masks with mean ablation (docs/method.md section 4): y = x * mask + mean * (1 - mask), dmask = sum over tokens of dy * (x - mean),
/// dx = dy * mask.
/// </summary>
internal static class Gate
{
    /// <summary>Overwrites output [B,T,C], which may be the input.</summary>
    public static void Forward(GpuDevice device, GpuActivations input, GpuWeights mask, GpuWeights mean, GpuActivations output)
    {
        device.LaunchForEach(
            input.Length,
            new ForwardKernel(input.View, input.Stride, mask.View, mean.View, output.View, output.Stride, input.Channels, input.Length)
        );
    }

    /// <summary>In place on gradient [B,T,C]; accumulates into maskGradient [C].</summary>
    public static void Backward(
        GpuDevice device,
        GpuActivations input,
        GpuWeights mask,
        GpuWeights mean,
        GpuActivations gradient,
        GpuWeights maskGradient
    )
    {
        ChannelReduction.Accumulate(
            device,
            input.Rows,
            new MaskTerm(input.View, input.Stride, mean.View, gradient.View, gradient.Stride),
            maskGradient,
            1f
        );
        device.LaunchForEach(
            gradient.Length,
            new BackwardKernel(mask.View, gradient.View, gradient.Stride, gradient.Channels, gradient.Length)
        );
    }

    internal readonly struct MaskTerm(
        ArrayView<float> input,
        int inputStride,
        ArrayView<float> mean,
        ArrayView<float> gradient,
        int gradientStride
    ) : IChannelTerm
    {
        public float Of(int row, int channel) =>
            gradient[(row * gradientStride) + channel] * (input[(row * inputStride) + channel] - mean[channel]);
    }

    internal readonly struct ForwardKernel(
        ArrayView<float> input,
        int inputStride,
        ArrayView<float> mask,
        ArrayView<float> mean,
        ArrayView<float> output,
        int outputStride,
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
                float keep = mask[channel];
                output[(row * outputStride) + channel] = (input[(row * inputStride) + channel] * keep) + (mean[channel] * (1f - keep));
            }
        }
    }

    internal readonly struct BackwardKernel(ArrayView<float> mask, ArrayView<float> gradient, int stride, int channels, int length)
        : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / channels;
                int channel = i - (row * channels);
                gradient[(row * stride) + channel] *= mask[channel];
            }
        }
    }
}
