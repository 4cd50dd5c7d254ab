using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// A sum in two floats, good for 48 bits where double is not to be had: High is the rounded sum, Low what the roundings left out. Made of
/// additions only, which no compiler may fuse; the host adds both in double.
/// </summary>
internal struct PreciseSum
{
    public float High;
    public float Low;

    public static void Add(ref PreciseSum sum, float value)
    {
        float rounded = sum.High + value;
        float part = rounded - sum.High;
        float rest = sum.Low + ((sum.High - (rounded - part)) + (value - part));
        sum.High = rounded + rest;
        sum.Low = rest - (sum.High - rounded);
    }

    /// <summary>Adds value^2, as the three exact products of the value's upper and lower half.</summary>
    public static void AddSquare(ref PreciseSum sum, float value)
    {
        float upper = Interop.IntAsFloat(Interop.FloatAsInt(value) & 0x7FFFF000u);
        float lower = (value < 0f ? -value : value) - upper;
        Add(ref sum, upper * upper);
        Add(ref sum, 2f * upper * lower);
        Add(ref sum, lower * lower);
    }

    /// <summary>For the first thread of a group: overwrites two entries.</summary>
    public readonly void Store(ArrayView<float> target, int at)
    {
        if (Group.IdxX == 0)
        {
            target[at] = High;
            target[at + 1] = Low;
        }
    }

    /// <summary>The sum over a group whose size is a power of two, for its first thread.</summary>
    /// <param name="shared">Two entries for each thread; free for other use afterwards.</param>
    public static PreciseSum OfGroup(PreciseSum own, ArrayView<float> shared)
    {
        int low = Group.DimX;
        shared[Group.IdxX] = own.High;
        shared[low + Group.IdxX] = own.Low;
        Group.Barrier();
        for (int half = Group.DimX >> 1; half > 0; half >>= 1)
        {
            if (Group.IdxX < half)
            {
                PreciseSum sum;
                sum.High = shared[Group.IdxX];
                sum.Low = shared[low + Group.IdxX];
                Add(ref sum, shared[Group.IdxX + half]);
                Add(ref sum, shared[low + Group.IdxX + half]);
                shared[Group.IdxX] = sum.High;
                shared[low + Group.IdxX] = sum.Low;
            }

            Group.Barrier();
        }

        own.High = shared[0];
        own.Low = shared[low];
        Group.Barrier();
        return own;
    }
}
