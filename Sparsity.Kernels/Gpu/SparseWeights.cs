using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// The nonzero entries of a matrix, by rows and by columns. Whether there are few enough is known without asking the device, from what the
/// last operation kept.
/// </summary>
internal sealed class SparseWeights(GpuDevice device, GpuWeights weights) : IDisposable
{
    /// <summary>Below one nonzero entry in eight the lists beat the dense product (docs/kernels.md).</summary>
    private const int UsefulInverseDensity = 8;

    private NonzeroLists? _lists;
    private int _member;

    public ListShape ByRow { get; } = new(weights.Rows, weights.Columns);

    public ListShape ByColumn { get; } = new(weights.Columns, weights.Rows);

    public bool IsUseful => weights.Length >= UsefulInverseDensity && weights.NonzeroBound <= Capacity;

    /// <summary>Whether the lists are those of the present values; to be cleared when the values change.</summary>
    public bool IsCurrent { get; set; }

    /// <summary>Whether the lists were asked for since there is memory for them.</summary>
    public bool IsWanted { get; private set; }

    /// <summary>Nonzero entries of the longest lists that are useful.</summary>
    public int Capacity => weights.Length / UsefulInverseDensity;

    /// <summary>For each row the columns and values of its nonzero entries.</summary>
    public (IndexLists Lists, ArrayView<float> Values) ByRows
    {
        get
        {
            NonzeroLists lists = Current();
            return (new IndexLists(lists.StartsOf(_member), ByRow.Segments, lists.IndicesOf(_member)), lists.ValuesOf(_member));
        }
    }

    /// <summary>For each column the rows and values of its nonzero entries.</summary>
    public (IndexLists Lists, ArrayView<float> Values) ByColumns
    {
        get
        {
            NonzeroLists lists = Current();
            ArrayView<int> starts = lists.StartsOf(_member).SubView(ByRow.Count, ByColumn.Count + 1);
            return (new IndexLists(starts, ByColumn.Segments, lists.IndicesOf(_member)), lists.ValuesOf(_member));
        }
    }

    /// <summary>
    /// Takes the memory for all matrices of a list together, so that none is taken in the middle of a run when they have become sparse.
    /// </summary>
    public static void Reserve(GpuDevice device, GpuWeightList list)
    {
        IEnumerable<GpuWeights> matrices = list.Tensors.Cast<GpuWeights>().Where(weights => weights.Rows > 1);
        foreach (IGrouping<Arena<float>, GpuWeights> together in matrices.GroupBy(weights => weights.Arena))
        {
            NonzeroLists? first = together.First().Sparse._lists;
            if (first is null || together.Any(weights => weights.Sparse._lists != first))
            {
                Reserve(device, [.. together]);
            }
        }
    }

    public void Dispose() => _lists?.Release();

    /// <summary>Takes the place of lists that some of them may have had, each by itself.</summary>
    private static void Reserve(GpuDevice device, GpuWeights[] matrices)
    {
        foreach (GpuWeights matrix in matrices)
        {
            matrix.Sparse.Dispose();
        }

        var lists = new NonzeroLists(device, matrices);
        for (int i = 0; i < matrices.Length; i++)
        {
            (matrices[i].Sparse._lists, matrices[i].Sparse._member, matrices[i].Sparse.IsCurrent) = (lists, i, false);
        }
    }

    private NonzeroLists Current()
    {
        if (_lists is null)
        {
            Reserve(device, [weights]);
        }

        IsWanted = true;
        if (!IsCurrent)
        {
            _lists!.Update();
        }

        return _lists!;
    }
}

/// <summary>The lists of nonzero entries of matrices in one arena, which are brought up to date together.</summary>
internal sealed class NonzeroLists
{
    // Which of the places in a row of the table: the starts of the lists are the first.
    private const int ListsPlace = 1;
    private const int WeightsPlace = 2;

    private readonly GpuDevice _device;
    private readonly GpuWeights[] _matrices;
    private readonly Arena<int> _starts;
    private readonly Arena<int> _indices;
    private readonly Arena<float> _values;
    private readonly DeviceMemory<int> _shapes;
    private readonly TensorTable _table;
    private readonly int _threads;
    private int[] _inTable;
    private int _inUse;

    public NonzeroLists(GpuDevice device, GpuWeights[] matrices)
    {
        _device = device;
        _matrices = matrices;
        _inUse = matrices.Length;
        string name = "nonzero entries of " + matrices[0].Name + (matrices.Length == 1 ? "" : $" and {matrices.Length - 1} more");
        int[] lists = [.. matrices.Select(matrix => 2 * matrix.Sparse.Capacity)];
        _starts = new Arena<int>(device, name, [.. matrices.Select(matrix => SegmentsOf(matrix) + 1)]);
        _indices = new Arena<int>(device, name, lists);
        _values = new Arena<float>(device, name, lists);
        _shapes = device.Allocate<int>(name, matrices.Length * ListShapes.Fields);
        _threads = device.RowThreads(matrices.Max(SegmentsOf));
        _inTable = [.. Enumerable.Range(0, matrices.Length)];
        _table = new TensorTable(device, name, [.. _inTable.Select(RowOf)]);
        WriteShapes();
        IndexLists.ReserveTotals(device, _table.Groups);
    }

    public ArrayView<int> StartsOf(int member) => _starts.ViewOf(member);

    public ArrayView<int> IndicesOf(int member) => _indices.ViewOf(member);

    public ArrayView<float> ValuesOf(int member) => _values.ViewOf(member);

    /// <summary>Makes the lists anew of all matrices whose values changed since and whose lists are asked for.</summary>
    public void Update()
    {
        int[] stale =
        [
            .. Enumerable
                .Range(0, _matrices.Length)
                .Where(i => _matrices[i].Sparse is { IsWanted: true, IsUseful: true, IsCurrent: false }),
        ];
        if (!stale.AsSpan().SequenceEqual(_inTable))
        {
            _inTable = stale;
            _table.Write([.. stale.Select(RowOf)]);
            WriteShapes();
        }

        IndexLists.Build(
            _device,
            _threads,
            _table,
            new ListShapes(_shapes.View),
            _starts.View,
            new Source(_matrices[0].Arena.View, _indices.View, _values.View)
        );
        foreach (int i in stale)
        {
            _matrices[i].Sparse.IsCurrent = true;
        }
    }

    /// <summary>To be called once for each matrix: the last gives the memory back.</summary>
    public void Release()
    {
        _starts.Release();
        _indices.Release();
        _values.Release();
        _inUse--;
        if (_inUse == 0)
        {
            _shapes.Dispose();
            _table.Dispose();
        }
    }

    private static int SegmentsOf(GpuWeights matrix) => matrix.Sparse.ByRow.Count + matrix.Sparse.ByColumn.Count;

    private TensorRow RowOf(int member) =>
        new(SegmentsOf(_matrices[member]), _threads, _starts.PlaceOf(member), _indices.PlaceOf(member), _matrices[member].Place);

    private void WriteShapes() =>
        _device.Write<int>(
            _shapes.View,
            _inTable.SelectMany(i => ListShapes.Row(_matrices[i].Sparse.ByRow, _matrices[i].Sparse.ByColumn)).ToArray()
        );

    /// <summary>Side 0 are rows, side 1 columns.</summary>
    /// <param name="weights">The arena.</param>
    /// <param name="indices">Of all lists.</param>
    /// <param name="values">Of all lists.</param>
    internal struct Source(ArrayView<float> weights, ArrayView<int> indices, ArrayView<float> values) : IListSource
    {
        private ArrayView<float> _weights = weights;
        private ArrayView<int> _indices = indices;
        private ArrayView<float> _values = values;
        private int _columns = 0;

        public void Enter(TensorRuns runs, int matrix, ListShapes shapes)
        {
            _columns = shapes.EntriesOf(matrix);
            _weights = From(_weights, runs.PlaceOf(matrix, WeightsPlace));
            _indices = From(_indices, runs.PlaceOf(matrix, ListsPlace));
            _values = From(_values, runs.PlaceOf(matrix, ListsPlace));
        }

        public readonly int Has(int side, int line, int entry) => _weights[PlaceOf(side, line, entry)] != 0f ? 1 : 0;

        public readonly void Put(int place, int side, int line, int entry)
        {
            _indices[place] = entry;
            _values[place] = _weights[PlaceOf(side, line, entry)];
        }

        private static ArrayView<T> From<T>(ArrayView<T> view, long place)
            where T : unmanaged => view.SubView(place, view.Length - place);

        private readonly int PlaceOf(int side, int line, int entry) => side == 0 ? (line * _columns) + entry : (entry * _columns) + line;
    }
}
