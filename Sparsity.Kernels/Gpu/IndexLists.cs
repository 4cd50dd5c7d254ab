using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>Which entries are in the list of which line, and what to keep of them.</summary>
internal interface IListSource
{
    /// <returns>1 if the entry belongs to the line's list, else 0.</returns>
    int Has(int side, int line, int entry);

    /// <summary>Stores an entry at its place in the lists.</summary>
    void Put(int place, int side, int line, int entry);
}

/// <summary>Lines of so many entries, each cut into segments.</summary>
internal readonly struct ListShape(int lines, int entries)
{
    private const int MinimumSegment = 64;
    private const int MaximumSegments = 32;

    public readonly int Entries = entries;
    public readonly int Segments = SegmentsOf(entries);
    public readonly int Segment = (entries + SegmentsOf(entries) - 1) / SegmentsOf(entries);

    /// <summary>Segments of all lines.</summary>
    public readonly int Count = lines * SegmentsOf(entries);

    private static int SegmentsOf(int entries) => Math.Clamp(entries / MinimumSegment, 1, MaximumSegments);
}

/// <summary>
/// For each line the list of its entries, in order. The list of line i begins at Starts[i * Segments] and ends where that of line i + 1
/// begins. One side's lists or two sides' (rows and columns of one matrix, say) are built together, without atomics: a thread counts a
/// segment of a line, and the same thread then stores what it counted, behind what the segments before it hold.
/// </summary>
internal readonly record struct IndexLists(ArrayView<int> Starts, int Segments, ArrayView<int> Entries)
{
    /// <summary>Overwrites the lists' memory; lists of side 1 lie behind those of side 0.</summary>
    /// <param name="starts">[first.Count + second.Count + 1]; the last is the number of all entries.</param>
    public static void Build<TSource>(GpuDevice device, ListShape first, ListShape second, ArrayView<int> starts, TSource source)
        where TSource : struct, IListSource
    {
        int segments = first.Count + second.Count;
        int threads = device.RowThreads(segments);
        int groups = (segments + threads - 1) / threads;
        (ArrayView<int> counts, ArrayView<int> totals) = Reserve(device, segments);
        device.Launch(groups, 1, threads, new CountKernel<TSource>(source, counts, totals, first, second));
        device.Launch(groups, 1, threads, new FillKernel<TSource>(source, counts, totals, starts, first, second));
    }

    /// <summary>The workspace for so many segments: their counts, and the sums of groups.</summary>
    public static (ArrayView<int> Counts, ArrayView<int> Totals) Reserve(GpuDevice device, int segments) =>
        (
            device.Workspace<int>("list counts", segments),
            device.Workspace<int>("list totals", (segments + device.RowThreads(segments) - 1) / device.RowThreads(segments))
        );

    /// <summary>The segment that a thread works on: its line and side, and its entries.</summary>
    private static int LineOf(int i, ListShape first, ListShape second, out int side, out int start, out int end)
    {
        side = 0;
        ListShape shape = first;
        if (i >= first.Count)
        {
            side = 1;
            shape = second;
            i -= first.Count;
        }

        int line = i / shape.Segments;
        start = (i - (line * shape.Segments)) * shape.Segment;
        end = start + shape.Segment < shape.Entries ? start + shape.Segment : shape.Entries;
        return line;
    }

    /// <summary>Counts, and adds up the group's counts.</summary>
    internal readonly struct CountKernel<TSource>(
        TSource source,
        ArrayView<int> counts,
        ArrayView<int> totals,
        ListShape first,
        ListShape second
    ) : IKernel
        where TSource : struct, IListSource
    {
        public void Execute()
        {
            ArrayView<int> shared = SharedMemory.Allocate<int>(GroupReduction.MaximumThreads);
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            int count = 0;
            if (i < first.Count + second.Count)
            {
                int line = LineOf(i, first, second, out int side, out int start, out int end);
                for (int entry = start; entry < end; entry++)
                {
                    count += source.Has(side, line, entry);
                }

                counts[i] = count;
            }

            int total = GroupReduction.Sum(count, shared);
            if (Group.IdxX == 0)
            {
                totals[Grid.IdxX] = total;
            }
        }
    }

    /// <summary>Each group adds up the totals of those before it for itself.</summary>
    internal readonly struct FillKernel<TSource>(
        TSource source,
        ArrayView<int> counts,
        ArrayView<int> totals,
        ArrayView<int> starts,
        ListShape first,
        ListShape second
    ) : IKernel
        where TSource : struct, IListSource
    {
        public void Execute()
        {
            ArrayView<int> shared = SharedMemory.Allocate<int>(2 * GroupReduction.MaximumThreads);
            int segments = first.Count + second.Count;
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            int before = 0;
            for (int group = Group.IdxX; group < Grid.IdxX; group += Group.DimX)
            {
                before += totals[group];
            }

            int count = i < segments ? counts[i] : 0;
            int place = GroupReduction.Sum(before, shared) + GroupReduction.SumOfThreadsBefore(count, shared);
            if (i < segments)
            {
                starts[i] = place;
                if (i == segments - 1)
                {
                    starts[segments] = place + count;
                }

                int line = LineOf(i, first, second, out int side, out int start, out int end);
                for (int entry = start; entry < end; entry++)
                {
                    if (source.Has(side, line, entry) != 0)
                    {
                        source.Put(place, side, line, entry);
                        place++;
                    }
                }
            }
        }
    }
}

/// <summary>Where each token id occurs in a batch: what gradients of embeddings and bigram rows are summed over, in order.</summary>
internal sealed class TokenPlaces(GpuDevice device, int count) : IDisposable
{
    private DeviceMemory<int>? _starts;
    private DeviceMemory<int>? _entries;
    private int _ids;

    public bool IsCurrent { get; set; }

    public IndexLists Of(ArrayView<int> tokens, int ids)
    {
        var shape = new ListShape(ids, count);
        if (_ids != ids)
        {
            Dispose();
            _starts = device.Allocate<int>("places of token ids", shape.Count + 1);
            _entries = device.Allocate<int>("places of token ids", count);
            _ids = ids;
            IsCurrent = false;
        }

        if (!IsCurrent)
        {
            IndexLists.Build(device, shape, default, _starts!.View, new Source(tokens, _entries!.View));
            IsCurrent = true;
        }

        return new IndexLists(_starts!.View, shape.Segments, _entries!.View);
    }

    public void Dispose()
    {
        _starts?.Dispose();
        _entries?.Dispose();
        _starts = _entries = null;
        _ids = 0;
    }

    internal readonly struct Source(ArrayView<int> tokens, ArrayView<int> places) : IListSource
    {
        public int Has(int side, int line, int entry) => tokens[entry] == line ? 1 : 0;

        public void Put(int place, int side, int line, int entry) => places[place] = entry;
    }
}
