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

    private readonly ListShape _byRows = new(weights.Rows, weights.Columns);
    private readonly ListShape _byColumns = new(weights.Columns, weights.Rows);
    private DeviceMemory<int>? _starts;
    private DeviceMemory<int>? _indices;
    private DeviceMemory<float>? _values;

    public bool IsUseful => weights.Length >= UsefulInverseDensity && weights.NonzeroBound <= Capacity;

    /// <summary>Whether the lists are those of the present values; to be cleared when the values change.</summary>
    public bool IsCurrent { get; set; }

    /// <summary>For each row the columns and values of its nonzero entries.</summary>
    public (IndexLists Lists, ArrayView<float> Values) ByRows
    {
        get
        {
            Update();
            return (new IndexLists(_starts!.View, _byRows.Segments, _indices!.View), _values!.View);
        }
    }

    /// <summary>For each column the rows and values of its nonzero entries.</summary>
    public (IndexLists Lists, ArrayView<float> Values) ByColumns
    {
        get
        {
            Update();
            return (
                new IndexLists(_starts!.View.SubView(_byRows.Count, _byColumns.Count + 1), _byColumns.Segments, _indices!.View),
                _values!.View
            );
        }
    }

    private int Capacity => weights.Length / UsefulInverseDensity;

    /// <summary>Takes the memory, so that none is taken in the middle of a run when the matrix has become sparse.</summary>
    public void Reserve()
    {
        if (_starts is null && weights.Rows > 1)
        {
            string name = "nonzero entries of " + weights.Name;
            _starts = device.Allocate<int>(name, _byRows.Count + _byColumns.Count + 1);
            _indices = device.Allocate<int>(name, 2 * Capacity);
            _values = device.Allocate<float>(name, 2 * Capacity);
            IndexLists.Reserve(device, _byRows.Count + _byColumns.Count);
        }
    }

    public void Dispose()
    {
        _starts?.Dispose();
        _indices?.Dispose();
        _values?.Dispose();
    }

    private void Update()
    {
        Reserve();
        if (!IsCurrent)
        {
            IndexLists.Build(
                device,
                _byRows,
                _byColumns,
                _starts!.View,
                new Source(weights.View, weights.Columns, _indices!.View, _values!.View)
            );
            IsCurrent = true;
        }
    }

    /// <summary>Side 0 are rows, side 1 columns.</summary>
    internal readonly struct Source(ArrayView<float> weights, int columns, ArrayView<int> indices, ArrayView<float> values) : IListSource
    {
        public int Has(int side, int line, int entry) => weights[PlaceOf(side, line, entry)] != 0f ? 1 : 0;

        public void Put(int place, int side, int line, int entry)
        {
            indices[place] = entry;
            values[place] = weights[PlaceOf(side, line, entry)];
        }

        private int PlaceOf(int side, int line, int entry) => side == 0 ? (line * columns) + entry : (entry * columns) + line;
    }
}
