using System.Runtime.InteropServices;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// How often each pair of neighbours occurs and in which pieces, kept up to date as pairs are merged, so that a merge only visits the
/// pieces it changes.
/// </summary>
internal sealed class PairCounts
{
    private readonly List<(int[] Ids, long Count)> _pieces;
    private readonly int[] _lengths;
    private readonly Dictionary<ulong, long> _counts = [];
    private readonly Dictionary<ulong, List<int>> _piecesOfPair = [];
    private readonly HashSet<ulong> _grown = [];

    // Entries may be out of date: one that promises too much is corrected when it comes up, one that promises too little has a better one
    // before it.
    private readonly PriorityQueue<ulong, (long Count, ulong Pair)> _queue = new(
        Comparer<(long Count, ulong Pair)>.Create((x, y) => x.Count != y.Count ? y.Count.CompareTo(x.Count) : x.Pair.CompareTo(y.Pair))
    );

    /// <param name="pieces">Distinct pieces with their frequencies; their ids are overwritten.</param>
    public PairCounts(List<(int[] Ids, long Count)> pieces)
    {
        _pieces = pieces;
        _lengths = new int[pieces.Count];
        for (int piece = 0; piece < pieces.Count; piece++)
        {
            (int[] ids, long count) = pieces[piece];
            _lengths[piece] = ids.Length;
            for (int i = 0; i + 1 < ids.Length; i++)
            {
                Add(ids[i], ids[i + 1], count, piece);
            }
        }

        QueueGrown();
    }

    /// <summary>Takes out the most frequent pair that was not taken before; false if none occurs twice.</summary>
    public bool TryTakeMostFrequent(out int left, out int right)
    {
        while (_queue.TryDequeue(out ulong pair, out (long Count, ulong Pair) promised))
        {
            long count = _counts.GetValueOrDefault(pair);
            if (count == promised.Count)
            {
                left = (int)(pair >> 32);
                right = (int)(uint)pair;
                return true;
            }

            if (count < promised.Count && count >= 2)
            {
                _queue.Enqueue(pair, (count, pair));
            }
        }

        left = right = -1;
        return false;
    }

    /// <summary>Replaces the pair by <paramref name="whole"/> wherever it occurs, from left to right.</summary>
    public void Merge(int left, int right, int whole)
    {
        ulong pair = BytePairMerger.Pair(left, right);
        if (!_piecesOfPair.Remove(pair, out List<int>? affected))
        {
            return;
        }

        foreach (int piece in affected)
        {
            MergePiece(piece, left, right, whole);
        }

        // Nothing but the merge of other pairs into the same token can bring this pair back, and it counts from zero then.
        QueueGrown();
    }

    private void MergePiece(int piece, int left, int right, int whole)
    {
        (int[] ids, long count) = _pieces[piece];
        int length = _lengths[piece],
            to = 0;
        for (int from = 0; from < length; to++)
        {
            if (ids[from] != left || from + 1 >= length || ids[from + 1] != right)
            {
                ids[to] = ids[from++];
                continue;
            }

            Remove(left, right, count);
            if (to > 0)
            {
                Remove(ids[to - 1], left, count);
                Add(ids[to - 1], whole, count, piece);
            }

            if (from + 2 < length)
            {
                Remove(right, ids[from + 2], count);
                Add(whole, ids[from + 2], count, piece);
            }

            ids[to] = whole;
            from += 2;
        }

        _lengths[piece] = to;
    }

    private void Add(int left, int right, long count, int piece)
    {
        ulong pair = BytePairMerger.Pair(left, right);
        CollectionsMarshal.GetValueRefOrAddDefault(_counts, pair, out _) += count;
        ref List<int>? pieces = ref CollectionsMarshal.GetValueRefOrAddDefault(_piecesOfPair, pair, out _);
        pieces ??= [];
        if (pieces.Count == 0 || pieces[^1] != piece)
        {
            pieces.Add(piece);
        }

        _grown.Add(pair);
    }

    private void Remove(int left, int right, long count)
    {
        ulong pair = BytePairMerger.Pair(left, right);
        ref long remaining = ref CollectionsMarshal.GetValueRefOrNullRef(_counts, pair);
        remaining -= count;
        if (remaining == 0)
        {
            _counts.Remove(pair);
        }
    }

    private void QueueGrown()
    {
        foreach (ulong pair in _grown)
        {
            long count = _counts.GetValueOrDefault(pair);
            if (count >= 2)
            {
                _queue.Enqueue(pair, (count, pair));
            }
        }

        _grown.Clear();
    }
}
