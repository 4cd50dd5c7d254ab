using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Sparsity.Kernels.Cpu;

/// <summary>Moves the lanes of a vector of 16 that are not zero to a place where they lie side by side, and back.</summary>
internal static unsafe class NonzeroLanes
{
    /// <summary>How many floats behind its end <see cref="Compress"/> may overwrite and <see cref="Expand"/> may read.</summary>
    public const int Overhang = CpuActivations.VectorLanes;

    /// <summary>Writes the lanes that are not zero to <paramref name="target"/>.</summary>
    /// <returns>Which they are, lane 0 in the lowest bit.</returns>
    public static uint Compress(Vector512<float> lanes, float* target)
    {
        Vector512<float> nonzero = ~Vector512.Equals(lanes, Vector512<float>.Zero);
        var bits = (uint)nonzero.ExtractMostSignificantBits();
        if (Avx512F.IsSupported)
        {
            Avx512F.Compress(Vector512<float>.Zero, nonzero, lanes).Store(target);
            return bits;
        }

        for (uint rest = bits; rest != 0; rest &= rest - 1)
        {
            *target++ = lanes[BitOperations.TrailingZeroCount(rest)];
        }

        return bits;
    }

    /// <summary>The lanes that <see cref="Compress"/> wrote to <paramref name="source"/>, the others zero.</summary>
    /// <param name="source">Side by side.</param>
    /// <param name="bits">Which they are; only the lowest 16 count.</param>
    public static Vector512<float> Expand(float* source, uint bits) => Avx512F.IsSupported
        ? Avx512F.Expand(Vector512<float>.Zero, AbsTopK.LaneMask(bits), Vector512.Load(source))
        : ExpandOneByOne(source, bits);

    /// <summary>By itself, as a method with memory on the stack is not inlined.</summary>
    private static Vector512<float> ExpandOneByOne(float* source, uint bits)
    {
        float* lanes = stackalloc float[CpuActivations.VectorLanes];
        new Span<float>(lanes, CpuActivations.VectorLanes).Clear();
        for (uint rest = bits & 0xFFFF; rest != 0; rest &= rest - 1)
        {
            lanes[BitOperations.TrailingZeroCount(rest)] = *source++;
        }

        return Vector512.Load(lanes);
    }
}
