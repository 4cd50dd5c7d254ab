using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// A matrix as a factor: entry (line, inner) is at line * LineStride + inner * InnerStride, and one of the two strides is 1.
/// </summary>
/// <param name="view">The numbers.</param>
/// <param name="lineStride">Floats from one line to the next.</param>
/// <param name="innerStride">Floats from one inner index to the next.</param>
internal readonly struct Operand(ArrayView<float> view, int lineStride, int innerStride)
{
    public readonly int LineStride = lineStride;
    public readonly int InnerStride = innerStride;

    /// <summary>Weights [lines, inner].</summary>
    public static Operand Rows(GpuWeights weights) => new(weights.View, weights.Columns, 1);

    /// <summary>Weights [inner, lines].</summary>
    public static Operand Columns(GpuWeights weights) => new(weights.View, 1, weights.Columns);

    /// <summary>Activations [lines, inner]: a line is a token.</summary>
    public static Operand Tokens(GpuActivations values) => new(values.View, values.Stride, 1);

    /// <summary>Activations [inner, lines]: a line is a channel.</summary>
    public static Operand Channels(GpuActivations values) => new(values.View, 1, values.Stride);

    /// <summary>
    /// Four numbers that lie side by side, from (line, k) on. There is always a load, and no branch that it would have to be waited for
    /// at: what lies beyond the ends is for <see cref="Cut"/>.
    /// </summary>
    public Float4 Fetch<TLoad>(int line, int lines, int k, int end)
        where TLoad : struct, IFourLoad => TLoad.Load(view, ((line < lines ? line : 0) * LineStride) + ((k < end ? k : 0) * InnerStride));

    /// <summary>The first <paramref name="count"/> numbers, and zeros.</summary>
    public static Float4 Cut(Float4 four, int count)
    {
        if (count < 4)
        {
            four.X = count > 0 ? four.X : 0f;
            four.Y = count > 1 ? four.Y : 0f;
            four.Z = count > 2 ? four.Z : 0f;
            four.W = 0f;
        }

        return four;
    }
}

/// <summary>How four numbers that lie side by side are loaded.</summary>
internal interface IFourLoad
{
    static abstract Float4 Load(ArrayView<float> view, int at);
}

/// <summary>At once, from an index divisible by four.</summary>
internal readonly struct LoadAtOnce : IFourLoad
{
    public static Float4 Load(ArrayView<float> view, int at) => view.Cast<Float4>()[at >> 2];
}

/// <summary>One by one, from any index; the last number stands for those beyond the end.</summary>
internal readonly struct LoadOneByOne : IFourLoad
{
    public static Float4 Load(ArrayView<float> view, int at)
    {
        int last = (int)view.Length - 1;
        Float4 four = default;
        four.X = view[at];
        four.Y = view[at + 1 < last ? at + 1 : last];
        four.Z = view[at + 2 < last ? at + 2 : last];
        four.W = view[at + 3 < last ? at + 3 : last];
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
