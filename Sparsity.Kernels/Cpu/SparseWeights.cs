using System.Numerics;
using System.Runtime.InteropServices;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// The nonzero entries of a weight matrix twice: by rows for the forward product and by columns for the gradient of the input.
/// Matrices denser than <see cref="DensestUseful"/> have none, and go through the dense product.
/// </summary>
internal sealed unsafe class SparseWeights : IDisposable
{
    /// <summary>Share of nonzero entries up to which the lists are faster than the dense product.</summary>
    public const double DensestUseful = 0.25;

    private int _capacity;

    /// <summary>False when the matrix has changed since the lists were made.</summary>
    public bool IsCurrent { get; set; }

    /// <summary>Whether the matrix is sparse enough for the lists to exist.</summary>
    public bool IsUseful { get; private set; }

    public NonzeroList ByRows { get; } = new();

    public NonzeroList ByColumns { get; } = new();

    /// <summary>Makes the lists if the matrix changed.</summary>
    public void Update(CpuWeights weights)
    {
        if (IsCurrent)
        {
            return;
        }

        IsCurrent = true;
        ReadOnlySpan<float> values = weights.Values;
        int nonzero = Elementwise.CountNonzero(values);
        IsUseful = nonzero <= DensestUseful * values.Length;
        if (!IsUseful)
        {
            return;
        }

        if (nonzero > _capacity)
        {
            _capacity = Math.Max(nonzero, 64);
            ByRows.Resize(_capacity);
            ByColumns.Resize(_capacity);
        }

        ByRows.Reserve(weights.Rows);
        ByColumns.Reserve(weights.Columns);
        Fill(weights);
    }

    public void Dispose()
    {
        ByRows.Dispose();
        ByColumns.Dispose();
    }

    private void Fill(CpuWeights weights)
    {
        int rows = weights.Rows;
        int columns = weights.Columns;
        int* columnStarts = ByColumns.Starts;
        new Span<int>(columnStarts, columns + 1).Clear();
        int count = 0;
        int wide = Vector<float>.Count;
        for (int row = 0; row < rows; row++)
        {
            ByRows.Starts[row] = count;
            float* values = weights.Data + ((long)row * columns);
            int column = 0;
            while (column < columns)
            {
                // Most of a sparse row is zeros: skip them a vector at a time.
                if (column + wide <= columns && Vector.EqualsAll(*(Vector<float>*)(values + column), Vector<float>.Zero))
                {
                    column += wide;
                    continue;
                }

                int end = Math.Min(column + wide, columns);
                for (; column < end; column++)
                {
                    if (values[column] != 0)
                    {
                        ByRows.Indices[count] = column;
                        ByRows.Values[count] = values[column];
                        columnStarts[column + 1]++;
                        count++;
                    }
                }
            }
        }

        ByRows.Starts[rows] = count;
        for (int column = 0; column < columns; column++)
        {
            columnStarts[column + 1] += columnStarts[column];
        }

        int* next = (int*)NativeMemory.Alloc((nuint)columns, sizeof(int));
        new ReadOnlySpan<int>(columnStarts, columns).CopyTo(new Span<int>(next, columns));
        for (int row = 0; row < rows; row++)
        {
            for (int i = ByRows.Starts[row]; i < ByRows.Starts[row + 1]; i++)
            {
                int target = next[ByRows.Indices[i]]++;
                ByColumns.Indices[target] = row;
                ByColumns.Values[target] = ByRows.Values[i];
            }
        }

        NativeMemory.Free(next);
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
