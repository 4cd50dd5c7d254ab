using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Sparsity.Kernels.Cpu;

/// <summary>Moves some lanes of a vector of 16 to a place where they lie side by side, and back.</summary>
internal static unsafe class LanePacking
{
    /// <summary>How many floats behind its end <see cref="Pack"/> may overwrite and <see cref="Unpack"/> may read.</summary>
    public const int Overhang = CpuActivations.VectorLanes;

    /// <summary>Writes the lanes that <paramref name="mask"/> has, all bits set, to <paramref name="target"/>.</summary>
    /// <returns>Which they are, lane 0 in the lowest bit.</returns>
    public static uint Pack(Vector512<float> lanes, Vector512<float> mask, float* target)
    {
        var bits = (uint)mask.ExtractMostSignificantBits();
        if (Avx512F.IsSupported)
        {
            Avx512F.Compress(Vector512<float>.Zero, mask, lanes).Store(target);
            return bits;
        }

        for (uint rest = bits; rest != 0; rest &= rest - 1)
        {
            *target++ = lanes[BitOperations.TrailingZeroCount(rest)];
        }

        return bits;
    }

    /// <summary>Packs the numbers of a channel of a tile that are not zero, and moves <paramref name="place"/> behind them.</summary>
    /// <returns>Which they are, lane 0 in the lowest bit.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong PackNonzero(float* lanes, int width, ref float* place)
    {
        ulong word = 0;
        for (int lane = 0; lane < width; lane += CpuActivations.VectorLanes)
        {
            Vector512<float> vector = Vector512.Load(lanes + lane);
            uint bits = Pack(vector, ~Vector512.Equals(vector, Vector512<float>.Zero), place);
            place += BitOperations.PopCount(bits);
            word |= (ulong)bits << lane;
        }

        return word;
    }

    /// <summary>The lanes that <see cref="Pack"/> wrote to <paramref name="source"/>, the others zero.</summary>
    /// <param name="source">Side by side.</param>
    /// <param name="bits">Which they are; only the lowest 16 count.</param>
    public static Vector512<float> Unpack(float* source, uint bits) =>
        Avx512F.IsSupported
            ? Avx512F.Expand(Vector512<float>.Zero, AbsTopK.LaneMask(bits), Vector512.Load(source))
            : UnpackOneByOne(source, bits);

    /// <summary>By itself, as a method with memory on the stack is not inlined.</summary>
    private static Vector512<float> UnpackOneByOne(float* source, uint bits)
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
