using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>The channels of one attention head and token, in registers; channels beyond the head's are zero.</summary>
internal interface IHeadVector<TSelf>
    where TSelf : struct, IHeadVector<TSelf>
{
    /// <summary>The logarithm to base 2 of the number of channels.</summary>
    static abstract int WidthBits { get; }

    /// <param name="at">Index of the first channel.</param>
    /// <param name="count">How many there are.</param>
    static abstract TSelf Load(ArrayView<float> view, int at, int count);

    /// <param name="at">Index of the first four channels.</param>
    static abstract TSelf Load(ArrayView<Float4> view, int at);

    static abstract void Store(ArrayView<float> view, int at, int count, in TSelf vector);

    static abstract float Dot(in TSelf a, in TSelf b);

    /// <summary>sum += factor * vector.</summary>
    static abstract void MultiplyAdd(ref TSelf sum, float factor, in TSelf vector);
}

/// <summary>16 channels, the paper's head.</summary>
internal struct Channels16 : IHeadVector<Channels16>
{
    public Float4 First;
    public Float4 Second;
    public Float4 Third;
    public Float4 Fourth;

    public static int WidthBits => 4;

    public static Channels16 Load(ArrayView<float> view, int at, int count) => LoadEvery(view, at, count, 1);

    /// <summary>Every <paramref name="step"/>-th four of the channels.</summary>
    public static Channels16 LoadEvery(ArrayView<float> view, int at, int count, int step)
    {
        Channels16 vector;
        vector.First = LoadFour(view, at, count);
        vector.Second = LoadFour(view, at + (4 * step), count - (4 * step));
        vector.Third = LoadFour(view, at + (8 * step), count - (8 * step));
        vector.Fourth = LoadFour(view, at + (12 * step), count - (12 * step));
        return vector;
    }

    public static Channels16 Load(ArrayView<Float4> view, int at) => LoadEvery(view, at, 1);

    /// <summary>Every <paramref name="step"/>-th four of the channels.</summary>
    public static Channels16 LoadEvery(ArrayView<Float4> view, int at, int step)
    {
        Channels16 vector;
        vector.First = view[at];
        vector.Second = view[at + step];
        vector.Third = view[at + (2 * step)];
        vector.Fourth = view[at + (3 * step)];
        return vector;
    }

    public static void Store(ArrayView<float> view, int at, int count, in Channels16 vector) => StoreEvery(view, at, count, 1, in vector);

    /// <summary>To every <paramref name="step"/>-th four of the channels.</summary>
    public static void StoreEvery(ArrayView<float> view, int at, int count, int step, in Channels16 vector)
    {
        StoreFour(view, at, count, vector.First);
        StoreFour(view, at + (4 * step), count - (4 * step), vector.Second);
        StoreFour(view, at + (8 * step), count - (8 * step), vector.Third);
        StoreFour(view, at + (12 * step), count - (12 * step), vector.Fourth);
    }

    public static float Dot(in Channels16 a, in Channels16 b) =>
        Float4.Dot(a.First, b.First) + Float4.Dot(a.Second, b.Second) + (Float4.Dot(a.Third, b.Third) + Float4.Dot(a.Fourth, b.Fourth));

    public static void MultiplyAdd(ref Channels16 sum, float factor, in Channels16 vector)
    {
        Float4.MultiplyAdd(ref sum.First, factor, vector.First);
        Float4.MultiplyAdd(ref sum.Second, factor, vector.Second);
        Float4.MultiplyAdd(ref sum.Third, factor, vector.Third);
        Float4.MultiplyAdd(ref sum.Fourth, factor, vector.Fourth);
    }

    private static Float4 LoadFour(ArrayView<float> view, int at, int count)
    {
        Float4 four = default;
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

        return four;
    }

    private static void StoreFour(ArrayView<float> view, int at, int count, Float4 four)
    {
        if (count > 0)
        {
            view[at] = four.X;
        }

        if (count > 1)
        {
            view[at + 1] = four.Y;
        }

        if (count > 2)
        {
            view[at + 2] = four.Z;
        }

        if (count > 3)
        {
            view[at + 3] = four.W;
        }
    }
}

/// <summary>Twice as many channels.</summary>
internal struct Pair<T> : IHeadVector<Pair<T>>
    where T : struct, IHeadVector<T>
{
    public T Low;
    public T High;

    public static int WidthBits => T.WidthBits + 1;

    public static Pair<T> Load(ArrayView<float> view, int at, int count)
    {
        Pair<T> vector;
        vector.Low = T.Load(view, at, count);
        vector.High = T.Load(view, at + (1 << T.WidthBits), count - (1 << T.WidthBits));
        return vector;
    }

    public static Pair<T> Load(ArrayView<Float4> view, int at)
    {
        Pair<T> vector;
        vector.Low = T.Load(view, at);
        vector.High = T.Load(view, at + (1 << (T.WidthBits - 2)));
        return vector;
    }

    public static void Store(ArrayView<float> view, int at, int count, in Pair<T> vector)
    {
        T.Store(view, at, count, in vector.Low);
        T.Store(view, at + (1 << T.WidthBits), count - (1 << T.WidthBits), in vector.High);
    }

    public static float Dot(in Pair<T> a, in Pair<T> b) => T.Dot(in a.Low, in b.Low) + T.Dot(in a.High, in b.High);

    public static void MultiplyAdd(ref Pair<T> sum, float factor, in Pair<T> vector)
    {
        T.MultiplyAdd(ref sum.Low, factor, in vector.Low);
        T.MultiplyAdd(ref sum.High, factor, in vector.High);
    }
}
