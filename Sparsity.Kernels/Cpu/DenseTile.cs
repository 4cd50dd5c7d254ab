using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>The dense products' innermost loop: 24 sums of 16 numbers that stay in registers.</summary>
internal static unsafe class DenseTile
{
    /// <summary>Columns of a tile, side by side in memory.</summary>
    private const int Columns = 64;

    /// <summary>Accumulates into sums [6,64] the product of rows a [6,count] and x [count,64].</summary>
    /// <param name="a">The first row.</param>
    /// <param name="stride">Numbers from one row of a to the next.</param>
    /// <param name="count">Terms of each sum, added in order.</param>
    /// <param name="x">Its rows follow one another.</param>
    /// <param name="sums">Its rows follow one another.</param>
    public static void SixRows(float* a, int stride, int count, float* x, float* sums)
    {
        float* b = a + stride;
        float* c = b + stride;
        float* d = c + stride;
        float* e = d + stride;
        float* f = e + stride;
        Vector512<float> a0 = Vector512.Load(sums),
            a1 = Vector512.Load(sums + 16),
            a2 = Vector512.Load(sums + 32),
            a3 = Vector512.Load(sums + 48);
        Vector512<float> b0 = Vector512.Load(sums + 64),
            b1 = Vector512.Load(sums + 80),
            b2 = Vector512.Load(sums + 96),
            b3 = Vector512.Load(sums + 112);
        Vector512<float> c0 = Vector512.Load(sums + 128),
            c1 = Vector512.Load(sums + 144),
            c2 = Vector512.Load(sums + 160),
            c3 = Vector512.Load(sums + 176);
        Vector512<float> d0 = Vector512.Load(sums + 192),
            d1 = Vector512.Load(sums + 208),
            d2 = Vector512.Load(sums + 224),
            d3 = Vector512.Load(sums + 240);
        Vector512<float> e0 = Vector512.Load(sums + 256),
            e1 = Vector512.Load(sums + 272),
            e2 = Vector512.Load(sums + 288),
            e3 = Vector512.Load(sums + 304);
        Vector512<float> f0 = Vector512.Load(sums + 320),
            f1 = Vector512.Load(sums + 336),
            f2 = Vector512.Load(sums + 352),
            f3 = Vector512.Load(sums + 368);
        for (int i = 0; i < count; i++, x += Columns)
        {
            Vector512<float> x0 = Vector512.Load(x);
            Vector512<float> x1 = Vector512.Load(x + 16);
            Vector512<float> x2 = Vector512.Load(x + 32);
            Vector512<float> x3 = Vector512.Load(x + 48);
            Vector512<float> v = Vector512.Create(a[i]);
            a0 = Vector512.MultiplyAddEstimate(v, x0, a0);
            a1 = Vector512.MultiplyAddEstimate(v, x1, a1);
            a2 = Vector512.MultiplyAddEstimate(v, x2, a2);
            a3 = Vector512.MultiplyAddEstimate(v, x3, a3);
            v = Vector512.Create(b[i]);
            b0 = Vector512.MultiplyAddEstimate(v, x0, b0);
            b1 = Vector512.MultiplyAddEstimate(v, x1, b1);
            b2 = Vector512.MultiplyAddEstimate(v, x2, b2);
            b3 = Vector512.MultiplyAddEstimate(v, x3, b3);
            v = Vector512.Create(c[i]);
            c0 = Vector512.MultiplyAddEstimate(v, x0, c0);
            c1 = Vector512.MultiplyAddEstimate(v, x1, c1);
            c2 = Vector512.MultiplyAddEstimate(v, x2, c2);
            c3 = Vector512.MultiplyAddEstimate(v, x3, c3);
            v = Vector512.Create(d[i]);
            d0 = Vector512.MultiplyAddEstimate(v, x0, d0);
            d1 = Vector512.MultiplyAddEstimate(v, x1, d1);
            d2 = Vector512.MultiplyAddEstimate(v, x2, d2);
            d3 = Vector512.MultiplyAddEstimate(v, x3, d3);
            v = Vector512.Create(e[i]);
            e0 = Vector512.MultiplyAddEstimate(v, x0, e0);
            e1 = Vector512.MultiplyAddEstimate(v, x1, e1);
            e2 = Vector512.MultiplyAddEstimate(v, x2, e2);
            e3 = Vector512.MultiplyAddEstimate(v, x3, e3);
            v = Vector512.Create(f[i]);
            f0 = Vector512.MultiplyAddEstimate(v, x0, f0);
            f1 = Vector512.MultiplyAddEstimate(v, x1, f1);
            f2 = Vector512.MultiplyAddEstimate(v, x2, f2);
            f3 = Vector512.MultiplyAddEstimate(v, x3, f3);
        }

        StoreRow(sums, a0, a1, a2, a3);
        StoreRow(sums + 64, b0, b1, b2, b3);
        StoreRow(sums + 128, c0, c1, c2, c3);
        StoreRow(sums + 192, d0, d1, d2, d3);
        StoreRow(sums + 256, e0, e1, e2, e3);
        StoreRow(sums + 320, f0, f1, f2, f3);
    }

    private static void StoreRow(float* sums, Vector512<float> s0, Vector512<float> s1, Vector512<float> s2, Vector512<float> s3)
    {
        s0.Store(sums);
        s1.Store(sums + 16);
        s2.Store(sums + 32);
        s3.Store(sums + 48);
    }
}
