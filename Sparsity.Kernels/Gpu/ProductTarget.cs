using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>Where a product goes: [splits, rows, columns], row r of split s from s * splitStride + r * stride on.</summary>
/// <param name="product">The numbers.</param>
/// <param name="bias">One for each column.</param>
/// <param name="stride">Floats from one row to the next.</param>
/// <param name="rows">Of one split.</param>
/// <param name="columns">Of one split.</param>
/// <param name="splitStride">Floats from one split to the next.</param>
/// <param name="addition">What is added: one of the constants.</param>
/// <param name="isAligned">1 if each row of the product, and the bias, begins at a multiple of 16 bytes.</param>
internal readonly struct ProductTarget(
    ArrayView<float> product,
    ArrayView<float> bias,
    int stride,
    int rows,
    int columns,
    int splitStride,
    int addition,
    int isAligned
)
{
    /// <summary>The product overwrites what is there.</summary>
    public const int Nothing = 0;

    /// <summary>With the bias added it overwrites what is there.</summary>
    public const int Bias = 1;

    /// <summary>The product is added to what is there.</summary>
    public const int Product = 2;

    public readonly int Rows = rows;
    public readonly int Columns = columns;

    /// <summary>Four neighbouring columns from a multiple of four on; those beyond the ends are left out.</summary>
    public void Store(int split, int row, int column, Float4 values)
    {
        if (row >= Rows)
        {
            return;
        }

        int place = (split * splitStride) + (row * stride);
        if (isAligned != 0 && column + 3 < Columns)
        {
            StoreFour((place + column) >> 2, column >> 2, values);
        }
        else
        {
            StoreEntry(place, column, values.X);
            StoreEntry(place, column + 1, values.Y);
            StoreEntry(place, column + 2, values.Z);
            StoreEntry(place, column + 3, values.W);
        }
    }

    private void StoreFour(int place, int column, Float4 values)
    {
        ArrayView<Float4> fours = product.Cast<Float4>();
        if (addition == Bias)
        {
            Add(ref values, bias.Cast<Float4>()[column]);
        }

        if (addition == Product)
        {
            Add(ref values, fours[place]);
        }

        fours[place] = values;
    }

    private static void Add(ref Float4 values, Float4 others)
    {
        values.X += others.X;
        values.Y += others.Y;
        values.Z += others.Z;
        values.W += others.W;
    }

    private void StoreEntry(int place, int column, float value)
    {
        if (column < Columns)
        {
            if (addition == Bias)
            {
                value += bias[column];
            }

            if (addition == Product)
            {
                value += product[place + column];
            }

            product[place + column] = value;
        }
    }
}
