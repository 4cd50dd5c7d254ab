using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Between rows of a table, one for each token of a tile, and the tile, where a channel's tokens lie side by side: in blocks of 16 by 16.
/// </summary>
internal static unsafe class TokenRows
{
    private const int Side = CpuActivations.VectorLanes;

    /// <summary>A few cache lines of each row in one go.</summary>
    private const int ChannelsAtOnce = 64;

    /// <summary>
    /// lanes[channel] += rows[lane][channel] for the channels of a tile; lanes beyond <paramref name="valid"/> stay as they are.
    /// </summary>
    /// <param name="rows">A row for each lane.</param>
    /// <param name="valid">Lanes that have one.</param>
    /// <param name="lanes">The tile's first channel.</param>
    /// <param name="width">Lanes of a channel.</param>
    /// <param name="channels">Channels, of the tile and of the rows.</param>
    public static void AddToLanes(float** rows, int valid, float* lanes, int width, int channels)
    {
        float* block = stackalloc float[2 * Side * Side];
        for (int first = 0; first < channels; first += ChannelsAtOnce)
        {
            for (int lane = 0; lane < valid; lane += Side)
            {
                int count = Math.Min(Side, valid - lane);
                new Span<float>(block, Side * Side).Clear();
                for (int channel = first; channel < Math.Min(first + ChannelsAtOnce, channels); channel += Side)
                {
                    AddBlock(
                        rows + lane,
                        count,
                        lanes + (channel * width) + lane,
                        width,
                        channel,
                        Math.Min(Side, channels - channel),
                        block
                    );
                }
            }
        }
    }

    private static void AddBlock(float** rows, int count, float* lanes, int width, int channel, int channels, float* block)
    {
        float* turned = block + (Side * Side);
        for (int i = 0; i < count; i++)
        {
            if (channels == Side)
            {
                Vector512.Load(rows[i] + channel).Store(block + (i * Side));
            }
            else
            {
                new ReadOnlySpan<float>(rows[i] + channel, channels).CopyTo(new Span<float>(block + (i * Side), channels));
            }
        }

        Transposition.Sixteen(block, Side, turned, Side);
        for (int j = 0; j < channels; j++)
        {
            float* target = lanes + (j * width);
            (Vector512.Load(target) + Vector512.Load(turned + (j * Side))).Store(target);
        }
    }

    /// <summary>
    /// rows[lane][channel] += lanes[channel], lane after lane, for up to <paramref name="channels"/> channels; a null row takes nothing.
    /// </summary>
    /// <param name="lanes">The first of these channels.</param>
    /// <param name="width">Lanes of a channel.</param>
    /// <param name="channels">Channels from there on.</param>
    /// <param name="rows">A row for each lane, at the first of these channels.</param>
    /// <param name="valid">Lanes that have one.</param>
    public static void AddToRows(float* lanes, int width, int channels, float** rows, int valid)
    {
        float* turned = stackalloc float[Side * Side];
        for (int lane = 0; lane < valid; lane += Side)
        {
            int count = Math.Min(Side, valid - lane);
            int channel = 0;
            for (; channel + Side <= channels; channel += Side)
            {
                Transposition.Sixteen(lanes + (channel * width) + lane, width, turned, Side);
                for (int i = 0; i < count; i++)
                {
                    if (rows[lane + i] != null)
                    {
                        float* target = rows[lane + i] + channel;
                        (Vector512.Load(target) + Vector512.Load(turned + (i * Side))).Store(target);
                    }
                }
            }

            for (; channel < channels; channel++)
            {
                for (int i = lane; i < lane + count; i++)
                {
                    if (rows[i] != null)
                    {
                        rows[i][channel] += lanes[(channel * width) + i];
                    }
                }
            }
        }
    }
}
