using ILGPU;
using ILGPU.Algorithms;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// <see cref="Attention"/> for the tokens of generation, whose predecessors' keys and values are remembered. A group is one head of one new
/// token: its threads share out the keys for the scores, and the channels for the sum of values, a chunk of 1024 keys at a time.
/// </summary>
internal static class CachedAttention
{
    private const int ChunkKeys = 1024;

    /// <summary>Overwrites the cache's places position .. position + T - 1, and output [B,T,H*Dh].</summary>
    public static void Forward(
        GpuDevice device,
        GpuActivations query,
        GpuActivations key,
        GpuActivations value,
        int heads,
        GpuWeights? sink,
        GpuKeyValueCache cache,
        int position,
        GpuActivations output
    )
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position + query.Tokens, cache.Tokens);
        int channels = Attention.HeadChannels(device, query, heads);
        device.LaunchForEach(
            key.Length,
            new AppendKernel(key.View, key.Stride, key.Tokens, key.Channels, key.Length, cache.Keys, cache.Tokens, position)
        );
        device.LaunchForEach(
            value.Length,
            new AppendKernel(value.View, value.Stride, value.Tokens, value.Channels, value.Length, cache.Values, cache.Tokens, position)
        );
        device.Launch(
            query.Rows * heads,
            1,
            device.RowThreads(position + query.Tokens),
            new ForwardKernel(
                query.View,
                query.Stride,
                query.Tokens,
                heads,
                channels,
                cache.Keys,
                cache.Values,
                cache.Tokens,
                position,
                sink?.View ?? query.View,
                sink is null ? 0 : 1,
                output.View,
                output.Stride
            )
        );
    }

    internal readonly struct AppendKernel(
        ArrayView<float> source,
        int stride,
        int tokens,
        int channels,
        int length,
        ArrayView<float> cache,
        int cacheTokens,
        int position
    ) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / channels;
                int channel = i - (row * channels);
                int sequence = row / tokens;
                int place = position + row - (sequence * tokens);
                cache[(((sequence * cacheTokens) + place) * channels) + channel] = source[(row * stride) + channel];
            }
        }
    }

    internal readonly struct ForwardKernel(
        ArrayView<float> query,
        int queryStride,
        int tokens,
        int heads,
        int channels,
        ArrayView<float> keys,
        ArrayView<float> values,
        int cacheTokens,
        int position,
        ArrayView<float> sink,
        int hasSink,
        ArrayView<float> output,
        int outputStride
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> scores = SharedMemory.Allocate<float>(ChunkKeys);
            ArrayView<float> sums = SharedMemory.Allocate<float>(Attention.MaximumHeadChannels);
            ArrayView<float> shared = SharedMemory.Allocate<float>(GroupReduction.MaximumThreads);
            int row = Grid.IdxX / heads;
            int head = Grid.IdxX % heads;
            int sequence = row / tokens;
            int count = position + row - (sequence * tokens) + 1;
            int width = heads * channels;
            int q = (row * queryStride) + (head * channels);
            int cached = (sequence * cacheTokens * width) + (head * channels);
            float scale = 1f / XMath.Sqrt(channels);
            float maximum = float.NegativeInfinity;
            float denominator = 0f;
            if (hasSink != 0)
            {
                maximum = sink[head];
                denominator = 1f;
            }

            for (int d = Group.IdxX; d < channels; d += Group.DimX)
            {
                sums[d] = 0f;
            }

            for (int first = 0; first < count; first += ChunkKeys)
            {
                int chunk = count - first < ChunkKeys ? count - first : ChunkKeys;
                float largest = float.NegativeInfinity;
                for (int j = Group.IdxX; j < chunk; j += Group.DimX)
                {
                    int k = cached + ((first + j) * width);
                    float score = 0f;
                    for (int d = 0; d < channels; d++)
                    {
                        score += query[q + d] * keys[k + d];
                    }

                    score *= scale;
                    scores[j] = score;
                    largest = score > largest ? score : largest;
                }

                largest = GroupReduction.Maximum(largest, shared);
                largest = largest > maximum ? largest : maximum;
                float shrink = XMath.Exp(maximum - largest);
                maximum = largest;
                float sum = 0f;
                for (int j = Group.IdxX; j < chunk; j += Group.DimX)
                {
                    float p = XMath.Exp(scores[j] - maximum);
                    scores[j] = p;
                    sum += p;
                }

                denominator = (denominator * shrink) + GroupReduction.Sum(sum, shared);
                for (int d = Group.IdxX; d < channels; d += Group.DimX)
                {
                    float y = sums[d] * shrink;
                    for (int j = 0; j < chunk; j++)
                    {
                        y += scores[j] * values[cached + ((first + j) * width) + d];
                    }

                    sums[d] = y;
                }

                Group.Barrier();
            }

            for (int d = Group.IdxX; d < channels; d += Group.DimX)
            {
                output[(row * outputStride) + (head * channels) + d] = sums[d] / denominator;
            }
        }
    }
}
