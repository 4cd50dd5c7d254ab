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

    /// <summary>The numbers, four by four.</summary>
    public ArrayView<Float4> Fours => view.Cast<Float4>();

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
