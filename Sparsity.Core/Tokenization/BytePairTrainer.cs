using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// Learns the merges of a <see cref="BytePairTokenizer"/>: the most frequent pair of neighbours becomes a token, again and again. Pairs are
/// counted within the pieces of the pre-split only, overlapping ones too ("aaa" has two). Of equally frequent pairs the one with the lower
/// left id comes first, then the lower right id. A pair whose bytes are a token already merges into that token without making another. The
/// result depends on the texts alone, not on their order.
/// </summary>
/// <remarks>
/// With separate brackets, every token that holds a bracket or a quote (<c>()[]{}"'`</c>) is one of them alone, with or without a space
/// before it, or a run of closing brackets, with or without a quote before it and a comma after it. Thus <c>[[</c>, <c>("</c> and
/// <c>"name</c> are no tokens. <c>]]</c> and <c>")</c>, which tasks answer with, may be, and so may <c>],</c>, after which a list goes on:
/// else the end of every inner list would look like that of the whole.
/// </remarks>
internal static class BytePairTrainer
{
    /// <summary>The 256 bytes and the end of text.</summary>
    public const int MinimumVocabulary = 257;

    /// <summary>Token files store 16 bits per id.</summary>
    public const int MaximumVocabulary = 65_536;

    private static readonly SearchValues<byte> Brackets = SearchValues.Create("()[]{}\"'`"u8);
    private static readonly SearchValues<byte> Quotes = SearchValues.Create("\"'`"u8);
    private static readonly SearchValues<byte> ClosingBrackets = SearchValues.Create(")]}"u8);

    /// <param name="documents">The texts to learn from.</param>
    /// <param name="vocabularySize">Number of ids wanted, the 256 bytes and the end of text included; 257 to 65536.</param>
    /// <param name="separateBrackets">Whether opening brackets and quotes are tokens of their own.</param>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>.</param>
    /// <param name="progress">Called now and then with the share of the tokens that are known.</param>
    /// <exception cref="BadInputException">The size is out of range, or the texts have too few pairs that occur at least twice.</exception>
    public static BytePairTokenizer Train(
        IEnumerable<string> documents,
        int vocabularySize = 2048,
        bool separateBrackets = false,
        CancellationToken stop = default,
        Action<double>? progress = null
    )
    {
        ArgumentNullException.ThrowIfNull(documents);
        if (vocabularySize is < MinimumVocabulary or > MaximumVocabulary)
        {
            throw new BadInputException(
                $"A vocabulary of {vocabularySize} tokens is not possible; choose {MinimumVocabulary} to {MaximumVocabulary}."
            );
        }

        var tokens = new List<byte[]>(vocabularySize);
        for (int id = 0; id < 256; id++)
        {
            tokens.Add([ByteSymbols.ByteOf(id)]);
        }

        var merges = new List<(int Left, int Right)>();
        var idOfBytes = new Dictionary<byte[], int>(ByteSequenceComparer.Instance);
        var pairs = new PairCounts(CountPieces(documents));
        while (tokens.Count < vocabularySize - 1)
        {
            stop.ThrowIfCancellationRequested();
            if (!pairs.TryTakeMostFrequent(out int left, out int right))
            {
                int possible = tokens.Count + 1;
                throw new BadInputException(
                    $"The texts support a vocabulary of at most {possible} tokens, not {vocabularySize}: no further pair"
                        + $"{(separateBrackets ? " that keeps brackets separate" : "")} occurs twice. Give more text or ask for at most "
                        + $"{possible}."
                );
            }

            byte[] whole = [.. tokens[left], .. tokens[right]];
            if (whole.Length > BytePairTokenizer.MaximumTokenBytes || (separateBrackets && !KeepsBracketsSeparate(whole)))
            {
                continue;
            }

            ref int id = ref CollectionsMarshal.GetValueRefOrAddDefault(idOfBytes, whole, out bool known);
            if (!known)
            {
                id = tokens.Count;
                tokens.Add(whole);
                progress?.Invoke((double)tokens.Count / vocabularySize);
                merges.Add((left, right));
            }

            pairs.Merge(left, right, id);
        }

        return new BytePairTokenizer([.. tokens], [.. merges]);
    }

    /// <summary>Whether a token with these bytes may be made where brackets are separate.</summary>
    internal static bool KeepsBracketsSeparate(ReadOnlySpan<byte> token)
    {
        if (!token.ContainsAny(Brackets))
        {
            return true;
        }

        if (token.Length == 2 && token[0] == (byte)' ')
        {
            return true;
        }

        ReadOnlySpan<byte> closing = Quotes.Contains(token[0]) ? token[1..] : token;
        closing = closing.EndsWith(","u8) ? closing[..^1] : closing;
        return token.Length == 1 || (closing.Length > 0 && !closing.ContainsAnyExcept(ClosingBrackets));
    }

    /// <summary>
    /// Every distinct piece of the texts, as ids of single bytes, and how often it occurs. Pieces of one byte have no pairs and are left
    /// out.
    /// </summary>
    private static List<(int[] Ids, long Count)> CountPieces(IEnumerable<string> documents)
    {
        var counts = new Dictionary<byte[], long>(ByteSequenceComparer.Instance);
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<byte>>();
        byte[] buffer = [];
        foreach (string document in documents)
        {
            int needed = Encoding.UTF8.GetByteCount(document);
            if (buffer.Length < needed)
            {
                buffer = new byte[Math.Max(needed, (int)Math.Min(2L * buffer.Length, Array.MaxLength))];
            }

            ReadOnlySpan<byte> text = buffer.AsSpan(0, Encoding.UTF8.GetBytes(document, buffer));
            while (!text.IsEmpty)
            {
                int length = PreTokenScanner.NextLength(text);
                if (length > 1)
                {
                    CollectionsMarshal.GetValueRefOrAddDefault(lookup, text[..length], out _)++;
                }

                text = text[length..];
            }
        }

        var pieces = new List<(int[] Ids, long Count)>(counts.Count);
        foreach ((byte[] piece, long count) in counts)
        {
            pieces.Add((Array.ConvertAll(piece, b => (int)ByteSymbols.ByteToId[b]), count));
        }

        return pieces;
    }
}
