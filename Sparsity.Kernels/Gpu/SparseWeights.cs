using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// The nonzero entries of a matrix, by rows and by columns. Whether there are few enough is known without asking the device, from what the last operation kept.
/// </summary>
internal sealed class SparseWeights(GpuDevice device, GpuWeights weights) : IDisposable
{
    /// <summary>Below one nonzero entry in eight the lists beat the dense product (docs/kernels.md).</summary>
    private const int UsefulInverseDensity = 8;

    private Side? _rows;
    private Side? _columns;

    public bool IsUseful => weights.Length >= UsefulInverseDensity && weights.NonzeroBound <= weights.Length / UsefulInverseDensity;

    /// <summary>Whether the lists are those of the present values; cleared when the values change.</summary>
    public bool IsCurrent
    {
        set
        {
            if (!value)
            {
                _rows?.IsCurrent = false;
                _columns?.IsCurrent = false;
            }
        }
    }

    /// <summary>For each row the columns and values of its nonzero entries.</summary>
    public (IndexLists Lists, ArrayView<float> Values) ByRows => (_rows ??= Allocate(weights.Rows, weights.Columns, weights.Columns, 1)).Current(device, weights);

    /// <summary>For each column the rows and values of its nonzero entries.</summary>
    public (IndexLists Lists, ArrayView<float> Values) ByColumns => (_columns ??= Allocate(weights.Columns, weights.Rows, 1, weights.Columns)).Current(device, weights);

    /// <summary>Bytes of both lists of a matrix.</summary>
    public static long BytesFor(Core.Model.ParameterSpec matrix) =>
        sizeof(int) * (((long)matrix.Rows * IndexLists.SegmentsOf(matrix.Columns)) + ((long)matrix.Columns * IndexLists.SegmentsOf(matrix.Rows)) + 2)
        + (2L * (sizeof(int) + sizeof(float)) * (matrix.Length / UsefulInverseDensity));

    public void Dispose()
    {
        _rows?.Dispose();
        _columns?.Dispose();
    }

    private Side Allocate(int lines, int entries, int lineStride, int entryStride)
    {
        string name = "nonzero entries of " + weights.Name;
        int capacity = weights.Length / UsefulInverseDensity;
        return new Side(
            device.Allocate<int>(name, (lines * IndexLists.SegmentsOf(entries)) + 1), device.Allocate<int>(name, capacity), device.Allocate<float>(name, capacity),
            lines, entries, lineStride, entryStride);
    }

    private sealed class Side(
        DeviceMemory<int> starts, DeviceMemory<int> indices, DeviceMemory<float> values, int lines, int entries, int lineStride, int entryStride) : IDisposable
    {
        public bool IsCurrent { get; set; }

        public (IndexLists Lists, ArrayView<float> Values) Current(GpuDevice device, GpuWeights weights)
        {
            if (!IsCurrent)
            {
                IndexLists.Build(device, lines, entries, starts.View, new Source(weights.View, lineStride, entryStride, indices.View, values.View));
                IsCurrent = true;
            }

            return (new IndexLists(starts.View, IndexLists.SegmentsOf(entries), indices.View), values.View);
        }

        public void Dispose()
        {
            starts.Dispose();
            indices.Dispose();
            values.Dispose();
        }
    }

    internal readonly struct Source(
        ArrayView<float> weights, int lineStride, int entryStride, ArrayView<int> indices, ArrayView<float> values) : IListSource
    {
        public int Has(int line, int entry) => weights[(line * lineStride) + (entry * entryStride)] != 0f ? 1 : 0;

        public void Put(int place, int line, int entry)
        {
            indices[place] = entry;
            values[place] = weights[(line * lineStride) + (entry * entryStride)];
        }
    }
}
