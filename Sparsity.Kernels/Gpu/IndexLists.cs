using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>Which entries are in the list of which line, and what to keep of them.</summary>
internal interface IListSource
{
    /// <summary>Turns to one of the matrices that lists are made of.</summary>
    void Enter(TensorRuns runs, int matrix, ListShapes shapes);

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

/// <summary>In a kernel: how the lines of each matrix are cut. Side 0 are its rows, say, side 1 its columns.</summary>
internal readonly struct ListShapes(ArrayView<int> table)
{
    /// <summary>Numbers of one side: its segments, those of a line, the entries of a segment, those of a line.</summary>
    private const int FieldsOfSide = 4;

    /// <summary>Numbers of a matrix.</summary>
    public const int Fields = 2 * FieldsOfSide;

    /// <summary>What the table holds of a matrix.</summary>
    public static int[] Row(ListShape first, ListShape second) =>
        [first.Count, first.Segments, first.Segment, first.Entries, second.Count, second.Segments, second.Segment, second.Entries];

    /// <summary>Segments of both sides.</summary>
    public int CountOf(int matrix) => table[matrix * Fields] + table[(matrix * Fields) + FieldsOfSide];

    /// <summary>Entries of a line of side 0.</summary>
    public int EntriesOf(int matrix) => table[(matrix * Fields) + 3];

    /// <summary>A segment's line and side, and its entries.</summary>
    public int LineOf(int matrix, int segment, out int side, out int start, out int end)
    {
        int at = matrix * Fields;
        side = segment >= table[at] ? 1 : 0;
        segment -= side * table[at];
        at += side * FieldsOfSide;
        int line = segment / table[at + 1];
        start = (segment - (line * table[at + 1])) * table[at + 2];
        end = start + table[at + 2] < table[at + 3] ? start + table[at + 2] : table[at + 3];
        return line;
    }
}

/// <summary>
/// For each line the list of its entries, in order. The list of line i begins at Starts[i * Segments] and ends where that of line i + 1
/// begins. The lists of many matrices, each with one side or two (rows and columns, say), are built together, without atomics: a thread
/// counts a segment of a line, and the same thread then stores what it counted, behind what the segments before it hold.
/// </summary>
internal readonly record struct IndexLists(ArrayView<int> Starts, int Segments, ArrayView<int> Entries)
{
    /// <summary>Which of a matrix's places in <see cref="TensorRuns"/> is that of its starts.</summary>
    public const int StartsPlace = 0;

    /// <summary>Overwrites the lists' memory; lists of side 1 lie behind those of side 0.</summary>
    /// <param name="device">Where.</param>
    /// <param name="threads">Of a group, and segments of a run.</param>
    /// <param name="matrices">Runs of segments.</param>
    /// <param name="shapes">Of the same matrices.</param>
    /// <param name="starts">Where those of each matrix lie, one more than it has segments; the last is the number of all entries.</param>
    /// <param name="source">What is in the lists.</param>
    public static void Build<TSource>(
        GpuDevice device,
        int threads,
        TensorTable matrices,
        ListShapes shapes,
        ArrayView<int> starts,
        TSource source
    )
        where TSource : struct, IListSource
    {
        ArrayView<int> totals = ReserveTotals(device, matrices.Groups);
        device.Launch(matrices.Groups, 1, threads, new CountKernel<TSource>(source, matrices.Runs, shapes, starts, totals));
        device.Launch(matrices.Groups, 1, threads, new FillKernel<TSource>(source, matrices.Runs, shapes, starts, totals));
    }

    /// <summary>The workspace for the sums of so many groups.</summary>
    public static ArrayView<int> ReserveTotals(GpuDevice device, int groups) => device.Workspace<int>("list totals", groups);

    /// <summary>Counts, and adds up the group's counts. The counts lie where the starts will.</summary>
    internal readonly struct CountKernel<TSource>(
        TSource source,
        TensorRuns runs,
        ListShapes shapes,
        ArrayView<int> starts,
        ArrayView<int> totals
    ) : IKernel
        where TSource : struct, IListSource
    {
        public void Execute()
        {
            ArrayView<int> shared = SharedMemory.Allocate<int>(GroupReduction.MaximumThreads);
            int matrix = runs.OfGroup(out int first, out int endSegment);
            int segment = first + Group.IdxX;
            int count = 0;
            if (segment < endSegment)
            {
                TSource own = source;
                own.Enter(runs, matrix, shapes);
                int line = shapes.LineOf(matrix, segment, out int side, out int start, out int end);
                for (int entry = start; entry < end; entry++)
                {
                    count += own.Has(side, line, entry);
                }

                starts.SubView(runs.PlaceOf(matrix, StartsPlace), endSegment)[segment] = count;
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
        TensorRuns runs,
        ListShapes shapes,
        ArrayView<int> starts,
        ArrayView<int> totals
    ) : IKernel
        where TSource : struct, IListSource
    {
        public void Execute()
        {
            ArrayView<int> shared = SharedMemory.Allocate<int>(2 * GroupReduction.MaximumThreads);
            int matrix = runs.OfGroup(out int first, out int endSegment);
            int segment = first + Group.IdxX;
            int before = 0;
            for (int group = runs.FirstGroupOf(matrix) + Group.IdxX; group < Grid.IdxX; group += Group.DimX)
            {
                before += totals[group];
            }

            int segments = shapes.CountOf(matrix);
            ArrayView<int> ownStarts = starts.SubView(runs.PlaceOf(matrix, StartsPlace), segments + 1);
            int count = segment < endSegment ? ownStarts[segment] : 0;
            int place = GroupReduction.Sum(before, shared) + GroupReduction.SumOfThreadsBefore(count, shared);
            if (segment < endSegment)
            {
                ownStarts[segment] = place;
                if (segment == segments - 1)
                {
                    ownStarts[segments] = place + count;
                }

                TSource own = source;
                own.Enter(runs, matrix, shapes);
                int line = shapes.LineOf(matrix, segment, out int side, out int start, out int end);
                for (int entry = start; entry < end; entry++)
                {
                    if (own.Has(side, line, entry) != 0)
                    {
                        own.Put(place, side, line, entry);
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
    private DeviceMemory<int>? _shapes;
    private TensorTable? _table;
    private int _ids;

    public bool IsCurrent { get; set; }

    public IndexLists Of(ArrayView<int> tokens, int ids)
    {
        var shape = new ListShape(ids, count);
        int threads = device.RowThreads(shape.Count);
        if (_ids != ids)
        {
            const string Name = "places of token ids";
            Dispose();
            _starts = device.Allocate<int>(Name, shape.Count + 1);
            _entries = device.Allocate<int>(Name, count);
            _shapes = device.Allocate<int>(Name, ListShapes.Fields);
            _table = new TensorTable(device, Name, [new TensorRow(shape.Count, threads, 0)]);
            device.Write<int>(_shapes.View, ListShapes.Row(shape, default));
            _ids = ids;
            IsCurrent = false;
        }

        if (!IsCurrent)
        {
            IndexLists.Build(device, threads, _table!, new ListShapes(_shapes!.View), _starts!.View, new Source(tokens, _entries!.View));
            IsCurrent = true;
        }

        return new IndexLists(_starts!.View, shape.Segments, _entries!.View);
    }

    public void Dispose()
    {
        _starts?.Dispose();
        _entries?.Dispose();
        _shapes?.Dispose();
        _table?.Dispose();
        _starts = _entries = _shapes = null;
        _table = null;
        _ids = 0;
    }

    internal readonly struct Source(ArrayView<int> tokens, ArrayView<int> places) : IListSource
    {
        public void Enter(TensorRuns runs, int matrix, ListShapes shapes) { }

        public int Has(int side, int line, int entry) => tokens[entry] == line ? 1 : 0;

        public void Put(int place, int side, int line, int entry) => places[place] = entry;
    }
}
