namespace Sparsity.Core.Tokenization;

/// <summary>
/// Turns one piece of text into ids: as long as two neighbours together are a token, the pair with the lowest such token is merged, the
/// leftmost first. As in tiktoken, any two neighbours whose bytes together are a token merge, not only the two the token was first made of.
/// Safe for several threads.
/// </summary>
internal sealed class BytePairMerger
{
    private const int LongPiece = 96;
    private const int NoToken = int.MaxValue;
    private readonly Dictionary<ulong, int> _tokenOfPair = [];
    private readonly Dictionary<byte[], int>.AlternateLookup<ReadOnlySpan<byte>> _idOfBytes;

    /// <param name="tokens">The bytes of every token, at its id; the first 256 are the single bytes.</param>
    public BytePairMerger(IReadOnlyList<byte[]> tokens)
    {
        var ids = new Dictionary<byte[], int>(tokens.Count, ByteSequenceComparer.Instance);
        for (int id = 0; id < tokens.Count; id++)
        {
            ids.Add(tokens[id], id);
        }

        _idOfBytes = ids.GetAlternateLookup<ReadOnlySpan<byte>>();
        for (int id = 256; id < tokens.Count; id++)
        {
            ReadOnlySpan<byte> token = tokens[id];
            for (int cut = 1; cut < token.Length; cut++)
            {
                if (_idOfBytes.TryGetValue(token[..cut], out int left) && _idOfBytes.TryGetValue(token[cut..], out int right))
                {
                    _tokenOfPair.Add(Pair(left, right), id);
                }
            }
        }
    }

    /// <summary>The ids of one piece, which is not empty.</summary>
    public int[] Merge(ReadOnlySpan<byte> piece)
    {
        if (_idOfBytes.TryGetValue(piece, out int whole))
        {
            return [whole];
        }

        var ids = new int[piece.Length];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = ByteSymbols.ByteToId[piece[i]];
        }

        return ids.Length <= LongPiece ? MergeShort(ids) : MergeLong(ids);
    }

    internal static ulong Pair(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private int TokenOf(int left, int right) => _tokenOfPair.TryGetValue(Pair(left, right), out int id) ? id : NoToken;

    /// <summary>Searches all neighbours for every merge: quadratic, but the fastest for short pieces.</summary>
    internal int[] MergeShort(int[] ids)
    {
        int count = ids.Length;
        Span<int> merged = count <= LongPiece ? stackalloc int[count] : new int[count]; // merged[i]: the token of ids[i] and ids[i + 1]
        for (int i = 0; i + 1 < count; i++)
        {
            merged[i] = TokenOf(ids[i], ids[i + 1]);
        }

        while (count > 1)
        {
            int best = 0;
            for (int i = 1; i < count - 1; i++)
            {
                best = merged[i] < merged[best] ? i : best;
            }

            if (merged[best] == NoToken)
            {
                break;
            }

            ids[best] = merged[best];
            ids.AsSpan(best + 2, count - best - 2).CopyTo(ids.AsSpan(best + 1));
            merged[(best + 1)..count].CopyTo(merged[best..]);
            count--;
            if (best + 1 < count)
            {
                merged[best] = TokenOf(ids[best], ids[best + 1]);
            }

            if (best > 0)
            {
                merged[best - 1] = TokenOf(ids[best - 1], ids[best]);
            }
        }

        return ids[..count];
    }

    /// <summary>The same result through a linked list and a priority queue, in n log n steps.</summary>
    internal int[] MergeLong(int[] ids)
    {
        const int Gone = -1;
        int count = ids.Length;
        var next = new int[count];
        var previous = new int[count];
        var queue = new PriorityQueue<int, ulong>(count);
        for (int i = 0; i < count; i++)
        {
            next[i] = i + 1;
            previous[i] = i - 1;
            Offer(i);
        }

        while (queue.TryDequeue(out int at, out ulong key))
        {
            // An entry whose pair has changed since is skipped; the changed pair has an entry of its own.
            int right = next[at];
            int token = (int)(key >> 32);
            if (ids[at] == Gone || right >= ids.Length || TokenOf(ids[at], ids[right]) != token)
            {
                continue;
            }

            ids[at] = token;
            ids[right] = Gone;
            next[at] = next[right];
            if (next[at] < ids.Length)
            {
                previous[next[at]] = at;
            }

            Offer(at);
            if (previous[at] >= 0)
            {
                Offer(previous[at]);
            }

            count--;
        }

        var result = new int[count];
        for (int i = 0, at = 0; at < ids.Length; at = next[at])
        {
            result[i++] = ids[at];
        }

        return result;

        void Offer(int at)
        {
            int token = next[at] < ids.Length ? TokenOf(ids[at], ids[next[at]]) : NoToken;
            if (token != NoToken)
            {
                queue.Enqueue(at, ((ulong)(uint)token << 32) | (uint)at);
            }
        }
    }
}
