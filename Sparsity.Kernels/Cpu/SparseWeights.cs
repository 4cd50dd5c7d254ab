using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// The nonzero entries of a weight matrix twice: by rows for the forward product and by columns for the gradient of the input.
/// Matrices denser than <see cref="DensestUseful"/> have none, and go through the dense product.
/// </summary>
internal sealed unsafe class SparseWeights : IDisposable
{
    /// <summary>Share of nonzero entries up to which the lists are faster than the dense product.</summary>
    public const double DensestUseful = 0.25;

    private const int RowsOfItem = 16;

    private int _capacity = -1;

    /// <summary>False when the matrix has changed since the lists were made.</summary>
    public bool IsCurrent { get; set; }

    /// <summary>Whether the matrix is sparse enough for the lists to exist.</summary>
    public bool IsUseful { get; private set; }

    public NonzeroList ByRows { get; } = new();

    public NonzeroList ByColumns { get; } = new();

    /// <summary>Makes the lists if the matrix changed.</summary>
    public void Update(WorkerPool pool, CpuWeights weights)
    {
        if (IsCurrent)
        {
            return;
        }

        IsCurrent = true;
        int items = (weights.Rows + RowsOfItem - 1) / RowsOfItem;
        ByRows.Reserve(weights.Rows);
        pool.Run(items, new CountJob(weights, ByRows.Starts));
        int nonzero = RunningSums(ByRows.Starts, weights.Rows);
        IsUseful = nonzero <= DensestUseful * weights.Length;
        if (!IsUseful)
        {
            return;
        }

        if (nonzero > _capacity)
        {
            // Room to spare, so that a matrix does not get new lists at every step.
            _capacity = Math.Min(weights.Length, Math.Max(64, nonzero + (nonzero / 8)));
            ByRows.Resize(_capacity);
            ByColumns.Resize(_capacity);
        }

        ByColumns.Reserve(weights.Columns);
        pool.Run(items, new RowsJob(weights, ByRows));

        // Each part of the rows counts its entries of each column; then it knows where in the columns' lists they go.
        int parts = pool.Workers;
        int* places = (int*)pool.Shared(parts * weights.Columns);
        pool.Run(parts, new ColumnsJob(ByRows, ByColumns, weights.Rows, weights.Columns, parts, places, countOnly: true));
        int sum = 0;
        for (int column = 0; column < weights.Columns; column++)
        {
            ByColumns.Starts[column] = sum;
            for (int part = 0; part < parts; part++)
            {
                int count = places[(part * weights.Columns) + column];
                places[(part * weights.Columns) + column] = sum;
                sum += count;
            }
        }

        ByColumns.Starts[weights.Columns] = sum;
        pool.Run(parts, new ColumnsJob(ByRows, ByColumns, weights.Rows, weights.Columns, parts, places, countOnly: false));
    }

    /// <summary>In place: weights *= factor, and the lists with them.</summary>
    public void Scale(WorkerPool pool, CpuWeights weights, float factor)
    {
        Update(pool, weights);
        if (!IsUseful)
        {
            pool.Run((weights.Rows + RowsOfItem - 1) / RowsOfItem, new ScaleJob(weights, null, factor));
            return;
        }

        pool.Run((weights.Rows + RowsOfItem - 1) / RowsOfItem, new ScaleJob(weights, ByRows, factor));
        int nonzero = ByRows.Starts[weights.Rows];
        TensorPrimitives.Multiply(new ReadOnlySpan<float>(ByColumns.Values, nonzero), factor, new Span<float>(ByColumns.Values, nonzero));
    }

    public void Dispose()
    {
        ByRows.Dispose();
        ByColumns.Dispose();
    }

    /// <summary>Turns counts [n] into the sum of those before each, and the total at n.</summary>
    private static int RunningSums(int* counts, int n)
    {
        int sum = 0;
        for (int i = 0; i < n; i++)
        {
            int count = counts[i];
            counts[i] = sum;
            sum += count;
        }

        counts[n] = sum;
        return sum;
    }

    private readonly struct CountJob(CpuWeights weights, int* counts) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            for (int row = item * RowsOfItem; row < Math.Min(weights.Rows, (item + 1) * RowsOfItem); row++)
            {
                counts[row] = Elementwise.CountNonzero(weights.Values.Slice(row * weights.Columns, weights.Columns));
            }
        }
    }

    private readonly struct RowsJob(CpuWeights weights, NonzeroList lists) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int columns = weights.Columns;
            for (int row = item * RowsOfItem; row < Math.Min(weights.Rows, (item + 1) * RowsOfItem); row++)
            {
                int count = lists.Starts[row];
                float* values = weights.Data + ((long)row * columns);
                int column = 0;
                for (; column + 16 <= columns; column += 16)
                {
                    // Most of a sparse row is zeros: they are passed 16 at a time.
                    ulong nonzero =
                        ~Vector512.Equals(Vector512.Load(values + column), Vector512<float>.Zero).ExtractMostSignificantBits() & 0xFFFF;
                    for (; nonzero != 0; nonzero &= nonzero - 1)
                    {
                        int index = column + BitOperations.TrailingZeroCount(nonzero);
                        lists.Indices[count] = index;
                        lists.Values[count++] = values[index];
                    }
                }

                for (; column < columns; column++)
                {
                    if (values[column] != 0)
                    {
                        lists.Indices[count] = column;
                        lists.Values[count++] = values[column];
                    }
                }
            }
        }
    }

    /// <summary>An item is a part of the rows, in order, so that each column's entries are in order too.</summary>
    private readonly struct ColumnsJob(
        NonzeroList byRows,
        NonzeroList byColumns,
        int rows,
        int columns,
        int parts,
        int* places,
        bool countOnly
    ) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int* own = places + (item * columns);
            int first = (int)((long)item * rows / parts);
            int end = (int)((item + 1L) * rows / parts);
            if (countOnly)
            {
                new Span<int>(own, columns).Clear();
                for (int i = byRows.Starts[first]; i < byRows.Starts[end]; i++)
                {
                    own[byRows.Indices[i]]++;
                }

                return;
            }

            for (int row = first; row < end; row++)
            {
                for (int i = byRows.Starts[row]; i < byRows.Starts[row + 1]; i++)
                {
                    int target = own[byRows.Indices[i]]++;
                    byColumns.Indices[target] = row;
                    byColumns.Values[target] = byRows.Values[i];
                }
            }
        }
    }

    private readonly struct ScaleJob(CpuWeights weights, NonzeroList? lists, float factor) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int first = item * RowsOfItem;
            int end = Math.Min(weights.Rows, first + RowsOfItem);
            if (lists is null)
            {
                Span<float> values = weights.Values[(first * weights.Columns)..(end * weights.Columns)];
                TensorPrimitives.Multiply(values, factor, values);
                return;
            }

            for (int row = first; row < end; row++)
            {
                float* values = weights.Data + ((long)row * weights.Columns);
                for (int i = lists.Starts[row]; i < lists.Starts[row + 1]; i++)
                {
                    lists.Values[i] *= factor;
                    values[lists.Indices[i]] = lists.Values[i];
                }
            }
        }
    }
}

/// <summary>Lists of (index, value), one per row (or column): list r is entries Starts[r] .. Starts[r+1]-1, ascending in index.</summary>
internal sealed unsafe class NonzeroList : IDisposable
{
    private AlignedMemory? _starts;
    private AlignedMemory? _indices;
    private AlignedMemory? _values;
    private int _lists;

    public int* Starts => (int*)_starts!.Pointer;

    public int* Indices => (int*)_indices!.Pointer;

    public float* Values => (float*)_values!.Pointer;

    public void Reserve(int lists)
    {
        if (_starts is null || lists > _lists)
        {
            _starts?.Dispose();
            _starts = new AlignedMemory((lists + 1L) * sizeof(int));
            _lists = lists;
        }
    }

    public void Resize(int capacity)
    {
        _indices?.Dispose();
        _values?.Dispose();
        _indices = new AlignedMemory((long)capacity * sizeof(int));
        _values = new AlignedMemory((long)capacity * sizeof(float));
    }

    public void Dispose()
    {
        _starts?.Dispose();
        _indices?.Dispose();
        _values?.Dispose();
    }
}
