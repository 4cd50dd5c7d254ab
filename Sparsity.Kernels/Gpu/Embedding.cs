using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>Token and position embeddings; picking single tokens out of sequences.</summary>
internal static class Embedding
{
    private const int ChannelThreads = 64;

    /// <summary>Overwrites output [B,T,D]: tokenEmbedding[token] (+ positionEmbedding[firstPosition + t]).</summary>
    public static void Forward(
        GpuDevice device,
        GpuTokens tokens,
        GpuWeights tokenEmbedding,
        GpuWeights? positionEmbedding,
        GpuActivations output,
        int firstPosition
    ) =>
        Forward(
            device,
            tokens.View,
            tokenEmbedding.View,
            positionEmbedding is null ? tokenEmbedding.View : RowsFrom(positionEmbedding, firstPosition, output),
            1,
            positionEmbedding is null ? 0 : 1,
            output
        );

    /// <summary>Accumulates into the gradients of both embeddings.</summary>
    public static void Backward(
        GpuDevice device,
        GpuTokens tokens,
        GpuActivations outputGradient,
        GpuWeights tokenGradient,
        GpuWeights? positionGradient
    )
    {
        AddRows(device, tokens.Places(tokenGradient.Rows), tokenGradient.Rows, outputGradient, tokenGradient);
        if (positionGradient is not null)
        {
            PositionBackward(device, outputGradient, positionGradient);
        }
    }

    /// <summary>Overwrites output [B,T,C] with positionEmbedding[firstPosition + t].</summary>
    public static void PositionForward(GpuDevice device, GpuWeights positionEmbedding, GpuActivations output, int firstPosition)
    {
        ArrayView<float> rows = RowsFrom(positionEmbedding, firstPosition, output);
        Forward(device, device.Workspace<int>("no tokens", 1), rows, rows, 0, 1, output);
    }

    /// <summary>Accumulates into the position embedding's gradient.</summary>
    public static void PositionBackward(GpuDevice device, GpuActivations outputGradient, GpuWeights positionGradient)
    {
        int entries = outputGradient.Tokens * outputGradient.Channels;
        device.LaunchForEach(
            entries,
            new PositionBackwardKernel(
                outputGradient.View,
                outputGradient.Stride,
                outputGradient.Sequences,
                outputGradient.Tokens,
                outputGradient.Channels,
                positionGradient.View
            )
        );
    }

    /// <summary>
    /// Accumulates for each id the rows of gradient [B,T,C] where it occurs into that row of target; <paramref name="ids"/> rows take part.
    /// </summary>
    public static void AddRows(GpuDevice device, IndexLists places, int ids, GpuActivations gradient, GpuWeights target)
    {
        if (ids > 0)
        {
            int channels = gradient.Channels;
            device.Launch(
                (channels + ChannelThreads - 1) / ChannelThreads,
                ids,
                ChannelThreads,
                new AddRowsKernel(places.Starts, places.Segments, places.Entries, gradient.View, gradient.Stride, channels, target.View)
            );
        }
    }

    /// <summary>Overwrites output [B,P,C] with input at positions [B,P].</summary>
    public static void Gather(GpuDevice device, GpuActivations input, GpuTokens positions, GpuActivations output)
    {
        device.LaunchForEach(
            output.Length,
            new GatherKernel(
                input.View,
                input.Stride,
                input.Tokens,
                positions.View,
                positions.Tokens,
                output.View,
                output.Stride,
                output.Channels,
                output.Length
            )
        );
    }

    /// <summary>Overwrites inputGradient [B,T,C]: zero but for the gathered positions.</summary>
    public static void ScatterGradient(GpuDevice device, GpuActivations outputGradient, GpuTokens positions, GpuActivations inputGradient)
    {
        Elementwise.Zero(device, inputGradient);
        device.LaunchForEach(
            outputGradient.Length,
            new ScatterKernel(
                outputGradient.View,
                outputGradient.Stride,
                positions.View,
                positions.Tokens,
                inputGradient.View,
                inputGradient.Stride,
                inputGradient.Tokens,
                outputGradient.Channels,
                outputGradient.Length
            )
        );
    }

    /// <summary>From the row of the first token on; those of all tokens of <paramref name="output"/> exist.</summary>
    private static ArrayView<float> RowsFrom(GpuWeights positionEmbedding, int firstPosition, GpuActivations output)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstPosition);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstPosition + output.Tokens, positionEmbedding.Rows);
        int first = firstPosition * positionEmbedding.Columns;
        return positionEmbedding.View.SubView(first, positionEmbedding.Length - first);
    }

    private static void Forward(
        GpuDevice device,
        ArrayView<int> tokens,
        ArrayView<float> tokenEmbedding,
        ArrayView<float> positionEmbedding,
        int hasTokens,
        int hasPositions,
        GpuActivations output
    )
    {
        device.LaunchForEach(
            output.Length,
            new ForwardKernel(
                tokens,
                tokenEmbedding,
                positionEmbedding,
                hasTokens,
                hasPositions,
                output.Tokens,
                output.View,
                output.Stride,
                output.Channels,
                output.Length
            )
        );
    }

    internal readonly struct ForwardKernel(
        ArrayView<int> ids,
        ArrayView<float> tokenEmbedding,
        ArrayView<float> positionEmbedding,
        int hasTokens,
        int hasPositions,
        int tokens,
        ArrayView<float> output,
        int stride,
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
                float value = 0f;
                if (hasTokens != 0)
                {
                    value = tokenEmbedding[(ids[row] * channels) + channel];
                }

                if (hasPositions != 0)
                {
                    value += positionEmbedding[(row % tokens * channels) + channel];
                }

                output[(row * stride) + channel] = value;
            }
        }
    }

    /// <summary>A thread sums one channel over the rows of one id (Grid.IdxY) in order.</summary>
    internal readonly struct AddRowsKernel(
        ArrayView<int> starts,
        int segments,
        ArrayView<int> places,
        ArrayView<float> gradient,
        int stride,
        int channels,
        ArrayView<float> target
    ) : IKernel
    {
        public void Execute()
        {
            int channel = (Grid.IdxX * Group.DimX) + Group.IdxX;
            int id = Grid.IdxY;
            int end = starts[(id + 1) * segments];
            int place = starts[id * segments];
            if (channel < channels && place < end)
            {
                float sum = 0f;
                for (; place < end; place++)
                {
                    sum += gradient[(places[place] * stride) + channel];
                }

                target[(id * channels) + channel] += sum;
            }
        }
    }

    internal readonly struct PositionBackwardKernel(
        ArrayView<float> gradient,
        int stride,
        int sequences,
        int tokens,
        int channels,
        ArrayView<float> target
    ) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < tokens * channels)
            {
                int position = i / channels;
                int channel = i - (position * channels);
                float sum = 0f;
                for (int sequence = 0; sequence < sequences; sequence++)
                {
                    sum += gradient[(((sequence * tokens) + position) * stride) + channel];
                }

                target[i] += sum;
            }
        }
    }

    internal readonly struct GatherKernel(
        ArrayView<float> input,
        int inputStride,
        int inputTokens,
        ArrayView<int> positions,
        int picked,
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
                int from = (row / picked * inputTokens) + positions[row];
                output[(row * outputStride) + channel] = input[(from * inputStride) + channel];
            }
        }
    }

    internal readonly struct ScatterKernel(
        ArrayView<float> gradient,
        int gradientStride,
        ArrayView<int> positions,
        int picked,
        ArrayView<float> target,
        int targetStride,
        int targetTokens,
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
                int to = (row / picked * targetTokens) + positions[row];
                target[(to * targetStride) + channel] = gradient[(row * gradientStride) + channel];
            }
        }
    }
}
