using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>Where a product goes: [splits, rows, columns], row r of split s from s * splitStride + r * stride on.</summary>
/// <param name="product">The numbers.</param>
/// <param name="bias">One for each column.</param>
/// <param name="stride">Floats from one row to the next.</param>
/// <param name="rows">Of one split.</param>
/// <param name="columns">Of one split.</param>
/// <param name="splitStride">Floats from one split to the next.</param>
/// <param name="hasBias">1 if the bias is added.</param>
/// <param name="isAdded">1 if the product is added to what is there, 0 if it overwrites it.</param>
internal readonly struct ProductTarget(
    ArrayView<float> product,
    ArrayView<float> bias,
    int stride,
    int rows,
    int columns,
    int splitStride,
    int hasBias,
    int isAdded
)
{
    public readonly int Rows = rows;
    public readonly int Columns = columns;

    /// <summary>Four neighbouring columns; those beyond the ends are left out.</summary>
    public void Store(int split, int row, int column, Float4 values)
    {
        if (row < Rows)
        {
            int place = (split * splitStride) + (row * stride);
            StoreEntry(place, column, values.X);
            StoreEntry(place, column + 1, values.Y);
            StoreEntry(place, column + 2, values.Z);
            StoreEntry(place, column + 3, values.W);
        }
    }

    /// <summary>Two neighbouring columns; those beyond the ends are left out.</summary>
    public void Store(int split, int row, int column, float first, float second)
    {
        if (row < Rows)
        {
            int place = (split * splitStride) + (row * stride);
            StoreEntry(place, column, first);
            StoreEntry(place, column + 1, second);
        }
    }

    private void StoreEntry(int place, int column, float value)
    {
        if (column < Columns)
        {
            if (hasBias != 0)
            {
                value += bias[column];
            }

            if (isAdded != 0)
            {
                value += product[place + column];
            }

            product[place + column] = value;
        }
    }
}
