using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>A term of each token and channel that is summed over tokens.</summary>
internal interface IChannelTerm
{
    float Of(int row, int channel);
}

/// <summary>
/// Sums over all tokens, one per channel, in a fixed order: a thread sums blocks of tokens of its channel, then one adds up the blocks in
/// order. Sums that follow each other share a launch.
/// </summary>
internal static class ChannelReduction
{
    private const int MinimumBlock = 64;
    private const int MaximumBlocksBits = 9;
    private const int MaximumBlocks = 1 << MaximumBlocksBits;

    /// <summary>Channels of a group: as many neighbouring floats as the memory hands out at a time.</summary>
    private const int ChannelsOfGroup = 8;
    private const int ChannelBits = 3;
    private const int ChannelThreads = 64;

    /// <summary>Accumulates the sum over tokens of gradient [B,T,C] into target [C].</summary>
    public static void AccumulateSums(GpuDevice device, GpuActivations gradient, GpuWeights target) =>
        Accumulate(device, gradient, null, null, target);

    /// <summary>
    /// Accumulates the sum over tokens of gradient [B,T,C], times the normed input where one is given, into target [C], in one launch with
    /// the sums that follow at once.
    /// </summary>
    public static void Accumulate(
        GpuDevice device,
        GpuActivations gradient,
        GpuActivations? input,
        GpuActivations? statistics,
        GpuWeights target
    )
    {
        HeldSums held = device.TakeHeld<HeldSums>(held => held.HasRoomFor(target)) ?? new HeldSums();
        held.Add(new TokenSum(gradient, input, statistics, target), target);
        device.Hold(held);
    }

    /// <summary>Accumulates factor * the sum over rows of a term into target [C].</summary>
    public static void Accumulate<TTerm>(GpuDevice device, int rows, TTerm term, GpuWeights target, float factor)
        where TTerm : struct, IChannelTerm =>
        device.Launch(
            GroupsOf(target.Length),
            1,
            ThreadsFor(device, rows),
            new SumKernel<TTerm>(term, target.View, rows, target.Length, factor)
        );

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

    private static int GroupsOf(int channels) => (channels + ChannelsOfGroup - 1) / ChannelsOfGroup;

    /// <summary>A thread for each block of each channel, as far as they go; no fewer than run in step anyway.</summary>
    private static int ThreadsFor(GpuDevice device, int rows)
    {
        BlockOf(rows, out int blocks);
        return Math.Max(device.WarpSize, ChannelsOfGroup * Math.Min(GroupReduction.MaximumThreads / ChannelsOfGroup, blocks));
    }

    /// <summary>Tokens of a block: depends on the shape alone, and so does the order of the sums.</summary>
    private static int BlockOf(int rows, out int blocks)
    {
        int block = Math.Max(MinimumBlock, (rows + MaximumBlocks - 1) / MaximumBlocks);
        blocks = (rows + block - 1) / block;
        return block;
    }

    /// <summary>In a kernel: the sums of the group's channels.</summary>
    private static void Sum<TTerm>(TTerm term, int rows, int channels, ArrayView<float> target, float factor)
        where TTerm : struct, IChannelTerm
    {
        ArrayView<float> sums = SharedMemory.Allocate<float>(MaximumBlocks * ChannelsOfGroup);
        int own = Group.IdxX & (ChannelsOfGroup - 1);
        int channel = (Grid.IdxX * ChannelsOfGroup) + own;
        int tokens = (rows + MaximumBlocks - 1) >> MaximumBlocksBits;
        tokens = tokens < MinimumBlock ? MinimumBlock : tokens;
        int blocks = (rows + tokens - 1) / tokens;
        if (channel < channels)
        {
            for (int block = Group.IdxX >> ChannelBits; block < blocks; block += Group.DimX >> ChannelBits)
            {
                int first = block * tokens;
                int end = first + tokens < rows ? first + tokens : rows;
                float sum = 0f;
                for (int row = first; row < end; row++)
                {
                    sum += term.Of(row, channel);
                }

                sums[(block * ChannelsOfGroup) + own] = sum;
            }
        }

        Group.Barrier();
        if (Group.IdxX < ChannelsOfGroup && channel < channels)
        {
            float sum = 0f;
            for (int block = 0; block < blocks; block++)
            {
                sum += sums[(block * ChannelsOfGroup) + own];
            }

            target[channel] += factor * sum;
        }
    }

    // The view stands behind the term: see IKernel.
    internal readonly struct SumKernel<TTerm>(TTerm term, ArrayView<float> target, int rows, int channels, float factor) : IKernel
        where TTerm : struct, IChannelTerm
    {
        public void Execute() => Sum(term, rows, channels, target, factor);
    }

    /// <summary>Up to four sums, one for each Grid.IdxY.</summary>
    internal readonly struct SumsKernel(TokenSum first, TokenSum second, TokenSum third, TokenSum fourth) : IKernel
    {
        public void Execute()
        {
            TokenSum own = first;
            if (Grid.IdxY == 1)
            {
                own = second;
            }
            else if (Grid.IdxY == 2)
            {
                own = third;
            }
            else if (Grid.IdxY == 3)
            {
                own = fourth;
            }

            Sum(own, own.Rows, own.Channels, own.Target, 1f);
        }
    }

    /// <summary>Sums that share a launch.</summary>
    private sealed class HeldSums : IHeldLaunch
    {
        private const int Most = 4;

        private readonly List<TokenSum> _sums = [];
        private readonly List<GpuWeights> _targets = [];

        public bool HasRoomFor(GpuWeights target) => _sums.Count < Most && !_targets.Contains(target);

        public void Add(TokenSum sum, GpuWeights target)
        {
            _sums.Add(sum);
            _targets.Add(target);
        }

        public void Launch(GpuDevice device) =>
            device.Launch(
                _sums.Max(sum => GroupsOf(sum.Channels)),
                _sums.Count,
                _sums.Max(sum => ThreadsFor(device, sum.Rows)),
                new SumsKernel(_sums[0], At(1), At(2), At(3))
            );

        private TokenSum At(int place) => _sums[Math.Min(place, _sums.Count - 1)];
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
}

/// <summary>
/// The sum over tokens of a gradient, or, where an input is given, of the gradient times the input's normed value: what the gradients of
/// biases and of norm weights are.
/// </summary>
internal readonly struct TokenSum(GpuActivations gradient, GpuActivations? input, GpuActivations? statistics, GpuWeights target)
    : IChannelTerm
{
    private readonly ArrayView<float> _gradient = gradient.View;
    private readonly ArrayView<float> _input = (input ?? gradient).View;
    private readonly ArrayView<float> _statistics = (statistics ?? gradient).View;
    private readonly ArrayView<float> _target = target.View;
    private readonly int _gradientStride = gradient.Stride;
    private readonly int _inputStride = (input ?? gradient).Stride;
    private readonly int _statisticsStride = (statistics ?? gradient).Stride;
    private readonly int _isNormed = input is null ? 0 : 1;
    public readonly int Rows = gradient.Rows;
    public readonly int Channels = target.Length;

    /// <summary>[C], accumulated into.</summary>
    public ArrayView<float> Target => _target;

    public float Of(int row, int channel)
    {
        float value = _gradient[(row * _gradientStride) + channel];
        if (_isNormed != 0)
        {
            int at = row * _statisticsStride;
            value *= (_input[(row * _inputStride) + channel] - _statistics[at]) * _statistics[at + 1];
        }

        return value;
    }
}
