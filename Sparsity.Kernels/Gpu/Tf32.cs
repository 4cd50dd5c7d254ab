using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>float32 with 11 significant bits: the factors of tensor cores, which pass over the 13 lowest bits.</summary>
internal static class Tf32
{
    private const uint HalfOfLastBit = 0x1000;
    private const uint Mask = 0xFFFFE000;

    /// <summary>The nearest tf32 in the bits that count; NaN as it is.</summary>
    public static Float4 Round(Float4 values)
    {
        values.X = RoundOne(values.X);
        values.Y = RoundOne(values.Y);
        values.Z = RoundOne(values.Z);
        values.W = RoundOne(values.W);
        return values;
    }

    /// <summary>
    /// Rounds each number to the nearest tf32 and returns what that leaves over: NaN where the number is NaN or infinite.
    /// </summary>
    public static Float4 Split(ref Float4 values)
    {
        Float4 low = default;
        low.X = SplitOne(ref values.X);
        low.Y = SplitOne(ref values.Y);
        low.Z = SplitOne(ref values.Z);
        low.W = SplitOne(ref values.W);
        return low;
    }

    private static float RoundOne(float value)
    {
        float rounded = Interop.IntAsFloat(Interop.FloatAsInt(value) + HalfOfLastBit);
        return AreEqual(value, value) ? rounded : value; // NaN, which equals nothing, could become a number
    }

    private static bool AreEqual(float x, float y) => x == y;

    private static float SplitOne(ref float value)
    {
        float high = Interop.IntAsFloat((Interop.FloatAsInt(value) + HalfOfLastBit) & Mask);
        float low = value - high;
        value = high;
        return low;
    }
}
