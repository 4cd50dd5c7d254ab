using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// A matrix as a factor: entry (line, inner) is at line * LineStride + inner * InnerStride, and one of the two strides is 1.
/// </summary>
/// <param name="view">The numbers.</param>
/// <param name="lineStride">Floats from one line to the next.</param>
/// <param name="innerStride">Floats from one inner index to the next.</param>
/// <param name="isAligned">1 if four neighbouring numbers can be loaded at once, where the first has an index divisible by four.</param>
internal readonly struct Operand(ArrayView<float> view, int lineStride, int innerStride, int isAligned)
{
    public readonly int LineStride = lineStride;
    public readonly int InnerStride = innerStride;

    /// <summary>Weights [lines, inner].</summary>
    public static Operand Rows(GpuWeights weights) => new(weights.View, weights.Columns, 1, weights.Columns % 4 == 0 ? 1 : 0);

    /// <summary>Weights [inner, lines].</summary>
    public static Operand Columns(GpuWeights weights) => new(weights.View, 1, weights.Columns, weights.Columns % 4 == 0 ? 1 : 0);

    /// <summary>Activations [lines, inner]: a line is a token.</summary>
    public static Operand Tokens(GpuActivations values) => new(values.View, values.Stride, 1, values.IsAligned ? 1 : 0);

    /// <summary>Activations [inner, lines]: a line is a channel.</summary>
    public static Operand Channels(GpuActivations values) => new(values.View, 1, values.Stride, values.IsAligned ? 1 : 0);

    /// <summary>Four numbers that lie side by side from an index divisible by four on; zeros behind the first <paramref name="count"/>.</summary>
    public Float4 Fetch(int at, int count)
    {
        Float4 four = default;
        if (isAligned != 0 && count >= 4)
        {
            four = view.Cast<Float4>()[at >> 2];
        }
        else
        {
            if (count > 0)
            {
                four.X = view[at];
            }

            if (count > 1)
            {
                four.Y = view[at + 1];
            }

            if (count > 2)
            {
                four.Z = view[at + 2];
            }

            if (count > 3)
            {
                four.W = view[at + 3];
            }
        }

        return four;
    }
}

/// <summary>Whether the inner index is the one that runs through neighbouring numbers; else it is the line.</summary>
internal interface IProductForm
{
    static abstract bool IsLeftInner { get; }

    static abstract bool IsRightInner { get; }
}

/// <summary>Tokens by rows of weights.</summary>
internal readonly struct ForwardForm : IProductForm
{
    public static bool IsLeftInner => true;

    public static bool IsRightInner => true;
}

/// <summary>Tokens by columns of weights.</summary>
internal readonly struct InputGradientForm : IProductForm
{
    public static bool IsLeftInner => true;

    public static bool IsRightInner => false;
}

/// <summary>Channels by channels, summed over tokens.</summary>
internal readonly struct WeightGradientForm : IProductForm
{
    public static bool IsLeftInner => false;

    public static bool IsRightInner => false;
}

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
