namespace Sparsity.TestSupport;

/// <summary>Odd shapes: around the CPU's vectors of 16 tokens and its tiles of 64.</summary>
internal static class Shapes
{
    /// <summary>Sequences and tokens.</summary>
    public static readonly (int Sequences, int Tokens)[] All =
    [
        (1, 1),
        (3, 1),
        (1, 5),
        (3, 5),
        (1, 16),
        (3, 16),
        (3, 17),
        (1, 64),
        (3, 65),
        (1, 130),
        (3, 130),
    ];

    /// <summary>The same, each with a number of channels (every number occurs with short and with long sequences).</summary>
    public static IEnumerable<(int Sequences, int Tokens, int Channels)> WithChannels()
    {
        int[] channels = [2, 3, 4, 5, 7, 24];
        for (int i = 0; i < All.Length; i++)
        {
            yield return (All[i].Sequences, All[i].Tokens, channels[i % channels.Length]);
            yield return (All[i].Sequences, All[i].Tokens, channels[(i + 3) % channels.Length]);
        }
    }
}
