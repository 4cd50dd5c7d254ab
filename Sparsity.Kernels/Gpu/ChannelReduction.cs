using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>A term of each token and channel that is summed over tokens.</summary>
internal interface IChannelTerm
{
    float Of(int row, int channel);
}

/// <summary>
/// Sums over all tokens, one per channel, in a fixed order: a thread sums a block of tokens of its channel, then the blocks are added up in
/// order.
/// </summary>
internal static class ChannelReduction
{
    private const int MinimumBlock = 64;
    private const int MaximumBlocks = 512;
    private const int ChannelThreads = 64;

    /// <summary>Accumulates the sum over tokens of gradient [B,T,C] into target [C].</summary>
    public static void AccumulateSums(GpuDevice device, GpuActivations gradient, GpuWeights target) =>
        Accumulate(device, gradient.Rows, new EntryTerm(gradient.View, gradient.Stride), target, 1f);

    /// <summary>Accumulates factor * the sum over rows of a term into target [C].</summary>
    public static void Accumulate<TTerm>(GpuDevice device, int rows, TTerm term, GpuWeights target, float factor)
        where TTerm : struct, IChannelTerm
    {
        int channels = target.Length;
        ArrayView<float> sums = BlockSums(device, rows, channels, term, out int blocks);
        device.LaunchForEach(channels, new AddBlocksKernel(sums, blocks, channels, target.View, factor));
    }

    /// <summary>
    /// Adds the sum over tokens of input [B,T,C] to sums [C]: blocks in two floats, their sums in double. Waits for the device.
    /// </summary>
    public static void AddChannelSums(GpuDevice device, GpuActivations input, Span<double> sums)
    {
        int channels = input.Channels;
        int block = BlockOf(input.Rows, out int blocks);
        ArrayView<float> blockSums = device.Workspace<float>("reduction", 2 * blocks * channels);
        device.Launch(
            (channels + ChannelThreads - 1) / ChannelThreads,
            blocks,
            ChannelThreads,
            new PreciseBlockKernel(input.View, input.Stride, input.Rows, block, channels, blockSums)
        );
        var values = new float[2 * blocks * channels];
        device.Read(blockSums, values.AsSpan());
        for (int i = 0; i < values.Length; i++)
        {
            sums[i / 2 % channels] += values[i];
        }
    }

    /// <summary>[blocks, channels].</summary>
    private static ArrayView<float> BlockSums<TTerm>(GpuDevice device, int rows, int channels, TTerm term, out int blocks)
        where TTerm : struct, IChannelTerm
    {
        int block = BlockOf(rows, out blocks);
        ArrayView<float> sums = device.Workspace<float>("reduction", blocks * channels);
        device.Launch(
            (channels + ChannelThreads - 1) / ChannelThreads,
            blocks,
            ChannelThreads,
            new BlockKernel<TTerm>(term, sums, rows, block, channels)
        );
        return sums;
    }

    /// <summary>Tokens of a block: depends on the shape alone, and so does the order of the sums.</summary>
    private static int BlockOf(int rows, out int blocks)
    {
        int block = Math.Max(MinimumBlock, (rows + MaximumBlocks - 1) / MaximumBlocks);
        blocks = (rows + block - 1) / block;
        return block;
    }

    internal readonly struct EntryTerm(ArrayView<float> values, int stride) : IChannelTerm
    {
        public float Of(int row, int channel) => values[(row * stride) + channel];
    }

    // The view stands behind the term: see IKernel.
    internal readonly struct BlockKernel<TTerm>(TTerm term, ArrayView<float> sums, int rows, int block, int channels) : IKernel
        where TTerm : struct, IChannelTerm
    {
        public void Execute()
        {
            int channel = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (channel < channels)
            {
                int first = Grid.IdxY * block;
                int end = first + block < rows ? first + block : rows;
                float sum = 0f;
                for (int row = first; row < end; row++)
                {
                    sum += term.Of(row, channel);
                }

                sums[(Grid.IdxY * channels) + channel] = sum;
            }
        }
    }

    internal readonly struct PreciseBlockKernel(
        ArrayView<float> values,
        int stride,
        int rows,
        int block,
        int channels,
        ArrayView<float> sums
    ) : IKernel
    {
        public void Execute()
        {
            int channel = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (channel < channels)
            {
                int first = Grid.IdxY * block;
                int end = first + block < rows ? first + block : rows;
                PreciseSum sum = default;
                for (int row = first; row < end; row++)
                {
                    PreciseSum.Add(ref sum, values[(row * stride) + channel]);
                }

                int at = 2 * ((Grid.IdxY * channels) + channel);
                sums[at] = sum.High;
                sums[at + 1] = sum.Low;
            }
        }
    }

    internal readonly struct AddBlocksKernel(ArrayView<float> sums, int blocks, int channels, ArrayView<float> target, float factor)
        : IKernel
    {
        public void Execute()
        {
            int channel = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (channel < channels)
            {
                float sum = 0f;
                for (int block = 0; block < blocks; block++)
                {
                    sum += sums[(block * channels) + channel];
                }

                target[channel] += factor * sum;
            }
        }
    }
}
