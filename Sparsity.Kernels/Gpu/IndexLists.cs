using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>Which entries are in the list of which line, and what to keep of them.</summary>
internal interface IListSource
{
    /// <returns>1 if the entry belongs to the line's list, else 0.</returns>
    int Has(int line, int entry);

    /// <summary>Stores an entry at its place in the lists.</summary>
    void Put(int place, int line, int entry);
}

/// <summary>
/// For each line the list of its entries, in order, without atomics: the entries are cut into segments, a thread counts a segment of a line, the counts are summed
/// up in order, and the same threads then store what they counted. The list of line i begins at Starts[i * Segments]; Starts ends with the total.
/// </summary>
internal readonly record struct IndexLists(ArrayView<int> Starts, int Segments, ArrayView<int> Entries)
{
    private const int MinimumSegment = 64;
    private const int MaximumSegments = 32;
    private const int ScanGroup = GroupReduction.MaximumThreads;

    /// <summary>Segments of each line with so many entries.</summary>
    public static int SegmentsOf(int entries) => Math.Clamp(entries / MinimumSegment, 1, MaximumSegments);

    /// <summary>Overwrites the lists' memory.</summary>
    public static void Build<TSource>(GpuDevice device, int lines, int entries, ArrayView<int> starts, TSource source)
        where TSource : struct, IListSource
    {
        int segments = SegmentsOf(entries);
        int segment = (entries + segments - 1) / segments;
        ArrayView<int> counts = device.Workspace<int>("list counts", lines * segments);
        device.LaunchForEach(lines * segments, new CountKernel<TSource>(source, lines, segments, segment, entries, counts));
        StartsOfCounts(device, counts, starts, lines * segments);
        device.LaunchForEach(lines * segments, new FillKernel<TSource>(source, lines, segments, segment, entries, starts));
    }

    /// <summary>Overwrites starts [length + 1] with the sum of the counts before each; the total is the last.</summary>
    public static void StartsOfCounts(GpuDevice device, ArrayView<int> counts, ArrayView<int> starts, int length) =>
        device.Launch(1, 1, device.RowThreads(length), new ScanKernel(counts, starts, length));

    /// <summary>
    /// In a kernel of one group: each thread sums a run of counts, the first adds up the runs, each writes its run. Sums go to other memory than counts: ILGPU 1.5.3 moves
    /// a read behind a write to the same place if its value is used only after that (docs/kernels.md).
    /// </summary>
    public static void Scan(ArrayView<int> counts, ArrayView<int> starts, int length)
    {
        ArrayView<int> sums = SharedMemory.Allocate<int>(ScanGroup);
        ArrayView<int> sumsBefore = SharedMemory.Allocate<int>(ScanGroup);
        int run = (length + Group.DimX - 1) / Group.DimX;
        int first = Group.IdxX * run;
        int end = first + run < length ? first + run : length;
        int sum = 0;
        for (int i = first; i < end; i++)
        {
            sum += counts[i];
        }

        sums[Group.IdxX] = sum;
        Group.Barrier();
        if (Group.IdxX == 0)
        {
            int total = 0;
            for (int thread = 0; thread < Group.DimX; thread++)
            {
                sumsBefore[thread] = total;
                total += sums[thread];
            }

            starts[length] = total;
        }

        Group.Barrier();
        int before = sumsBefore[Group.IdxX];
        for (int i = first; i < end; i++)
        {
            starts[i] = before;
            before += counts[i];
        }
    }

    // Neighbouring threads take neighbouring lines.
    internal readonly struct CountKernel<TSource>(TSource source, int lines, int segments, int segment, int entries, ArrayView<int> counts) : IKernel
        where TSource : struct, IListSource
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < lines * segments)
            {
                int part = i / lines;
                int line = i - (part * lines);
                int first = part * segment;
                int end = first + segment < entries ? first + segment : entries;
                int count = 0;
                for (int entry = first; entry < end; entry++)
                {
                    count += source.Has(line, entry);
                }

                counts[(line * segments) + part] = count;
            }
        }
    }

    /// <summary>One group.</summary>
    internal readonly struct ScanKernel(ArrayView<int> counts, ArrayView<int> starts, int length) : IKernel
    {
        public void Execute() => Scan(counts, starts, length);
    }

    internal readonly struct FillKernel<TSource>(TSource source, int lines, int segments, int segment, int entries, ArrayView<int> starts) : IKernel
        where TSource : struct, IListSource
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < lines * segments)
            {
                int part = i / lines;
                int line = i - (part * lines);
                int first = part * segment;
                int end = first + segment < entries ? first + segment : entries;
                int place = starts[(line * segments) + part];
                for (int entry = first; entry < end; entry++)
                {
                    if (source.Has(line, entry) != 0)
                    {
                        source.Put(place, line, entry);
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
        int segments = IndexLists.SegmentsOf(count);
        if (_ids != ids)
        {
            Dispose();
            _starts = device.Allocate<int>("places of token ids", (ids * segments) + 1);
            _entries = device.Allocate<int>("places of token ids", count);
            _ids = ids;
            IsCurrent = false;
        }

        if (!IsCurrent)
        {
            IndexLists.Build(device, ids, count, _starts!.View, new Source(tokens, _entries!.View));
            IsCurrent = true;
        }

        return new IndexLists(_starts!.View, segments, _entries!.View);
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
        public int Has(int line, int entry) => tokens[entry] == line ? 1 : 0;

        public void Put(int place, int line, int entry) => places[place] = entry;
    }
}
