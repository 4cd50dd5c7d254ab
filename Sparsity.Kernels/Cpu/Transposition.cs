using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Sparsity.Kernels.Cpu;

/// <summary>Turns 16 vectors of 16 numbers: what lay along the lanes lies along the rows.</summary>
internal static unsafe class Transposition
{
    /// <summary>Overwrites target[j][i] with source[i][j] for i and j below 16.</summary>
    /// <param name="source">16 rows of 16 numbers.</param>
    /// <param name="sourceStride">Numbers from one row of the source to the next.</param>
    /// <param name="target">16 rows of 16 numbers.</param>
    /// <param name="targetStride">Numbers from one row of the target to the next.</param>
    public static void Sixteen(float* source, long sourceStride, float* target, long targetStride)
    {
        if (!Avx512F.IsSupported)
        {
            for (int i = 0; i < 16; i++)
            {
                for (int j = 0; j < 16; j++)
                {
                    target[(j * targetStride) + i] = source[(i * sourceStride) + j];
                }
            }

            return;
        }

        // Four rows at a time to 4 x 4 blocks inside the 128-bit quarters, then the quarters themselves.
        FourRows(source, sourceStride, out Vector512<float> a0, out Vector512<float> a1, out Vector512<float> a2, out Vector512<float> a3);
        FourRows(
            source + (4 * sourceStride),
            sourceStride,
            out Vector512<float> b0,
            out Vector512<float> b1,
            out Vector512<float> b2,
            out Vector512<float> b3
        );
        FourRows(
            source + (8 * sourceStride),
            sourceStride,
            out Vector512<float> c0,
            out Vector512<float> c1,
            out Vector512<float> c2,
            out Vector512<float> c3
        );
        FourRows(
            source + (12 * sourceStride),
            sourceStride,
            out Vector512<float> d0,
            out Vector512<float> d1,
            out Vector512<float> d2,
            out Vector512<float> d3
        );
        Quarters(a0, b0, c0, d0, target, 4 * targetStride);
        Quarters(a1, b1, c1, d1, target + targetStride, 4 * targetStride);
        Quarters(a2, b2, c2, d2, target + (2 * targetStride), 4 * targetStride);
        Quarters(a3, b3, c3, d3, target + (3 * targetStride), 4 * targetStride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FourRows(
        float* rows,
        long stride,
        out Vector512<float> c0,
        out Vector512<float> c1,
        out Vector512<float> c2,
        out Vector512<float> c3
    )
    {
        Vector512<float> r0 = Vector512.Load(rows);
        Vector512<float> r1 = Vector512.Load(rows + stride);
        Vector512<float> r2 = Vector512.Load(rows + (2 * stride));
        Vector512<float> r3 = Vector512.Load(rows + (3 * stride));
        Vector512<double> low01 = Avx512F.UnpackLow(r0, r1).AsDouble();
        Vector512<double> high01 = Avx512F.UnpackHigh(r0, r1).AsDouble();
        Vector512<double> low23 = Avx512F.UnpackLow(r2, r3).AsDouble();
        Vector512<double> high23 = Avx512F.UnpackHigh(r2, r3).AsDouble();
        c0 = Avx512F.UnpackLow(low01, low23).AsSingle();
        c1 = Avx512F.UnpackHigh(low01, low23).AsSingle();
        c2 = Avx512F.UnpackLow(high01, high23).AsSingle();
        c3 = Avx512F.UnpackHigh(high01, high23).AsSingle();
    }

    /// <summary>Quarter q of a, b, c and d makes row q, at q strides.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Quarters(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* target, long stride)
    {
        Vector512<float> ab02 = Avx512F.Shuffle4x128(a, b, 0b10_00_10_00);
        Vector512<float> ab13 = Avx512F.Shuffle4x128(a, b, 0b11_01_11_01);
        Vector512<float> cd02 = Avx512F.Shuffle4x128(c, d, 0b10_00_10_00);
        Vector512<float> cd13 = Avx512F.Shuffle4x128(c, d, 0b11_01_11_01);
        Avx512F.Shuffle4x128(ab02, cd02, 0b10_00_10_00).Store(target);
        Avx512F.Shuffle4x128(ab13, cd13, 0b10_00_10_00).Store(target + stride);
        Avx512F.Shuffle4x128(ab02, cd02, 0b11_01_11_01).Store(target + (2 * stride));
        Avx512F.Shuffle4x128(ab13, cd13, 0b11_01_11_01).Store(target + (3 * stride));
    }
}
