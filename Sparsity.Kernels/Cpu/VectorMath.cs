using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Sparsity.Kernels.Cpu;

/// <summary>Functions of 16 numbers at once.</summary>
internal static class VectorMath
{
    /// <summary>
    /// e^x within 2 units in the last place; 0 below -87.3 (where the result would be subnormal), infinity above 88.7, NaN for NaN. As in
    /// Cephes' expf: x = n ln 2 + r, a polynomial of degree 5 for (e^r - 1 - r) / r^2 with |r| at most half of ln 2, and n added to the
    /// exponent's bits.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        // Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits.
        const float Rounder = 12582912f;
        const float Lowest = -87.33654f;
        const float Highest = 88.72283f;
        Vector512<float> shifted = Vector512.MultiplyAddEstimate(x, Vector512.Create(1.44269504088896341f), Vector512.Create(Rounder));
        Vector512<float> n = shifted - Vector512.Create(Rounder);
        Vector512<float> r = Vector512.MultiplyAddEstimate(n, Vector512.Create(-0.693359375f), x);
        r = Vector512.MultiplyAddEstimate(n, Vector512.Create(2.12194440e-4f), r);
        Vector512<float> p = Vector512.MultiplyAddEstimate(Vector512.Create(1.9875691500e-4f), r, Vector512.Create(1.3981999507e-3f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(8.3334519073e-3f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(4.1665795894e-2f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(1.6666665459e-1f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(5.0000001201e-1f));
        p = Vector512.MultiplyAddEstimate(p, r * r, r) + Vector512<float>.One;

        Vector512<float> result = Avx512F.IsSupported
            ? Avx512F.Scale(p, n)
            : Scaled(p, shifted.AsInt32() - Vector512.Create(Rounder).AsInt32());
        result = Vector512.AndNot(result, Vector512.LessThan(x, Vector512.Create(Lowest)));
        return Vector512.ConditionalSelect(
            Vector512.GreaterThan(x, Vector512.Create(Highest)),
            Vector512.Create(float.PositiveInfinity),
            result
        );
    }

    /// <summary>p * 2^n in two factors, as n may be 128.</summary>
    private static Vector512<float> Scaled(Vector512<float> p, Vector512<int> n)
    {
        Vector512<int> half = n >> 1;
        Vector512<int> one = Vector512.Create(127);
        return p * ((half + one) << 23).AsSingle() * ((n - half + one) << 23).AsSingle();
    }
}
