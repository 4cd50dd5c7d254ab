using ILGPU;
using ILGPU.Runtime.Cuda;

namespace Sparsity.Kernels.Gpu;

/// <summary>A kernel for NVIDIA's devices alone: it holds their own instructions.</summary>
internal interface ICudaKernel : IKernel;

/// <summary>
/// sums [16,8] += left [16,8] * right [8,8] in words of 32 bits, by 32 neighbouring threads together. A word is a tf32 number, or a pair of
/// bfloat16 whose products with those of the other factor's word are both added. Thread i, with group = i / 4 and member = i % 4, holds:
/// of the sums (group, 2 * member), (group, 2 * member + 1), (group + 8, 2 * member), (group + 8, 2 * member + 1); of the left factor
/// (group, member), (group + 8, member), (group, member + 4), (group + 8, member + 4); of the right one (member, group) and
/// (member + 4, group).
/// </summary>
internal interface IMatrixUnit
{
    /// <summary>The product of words that are tf32 numbers. Their 13 lowest bits are ignored.</summary>
    static abstract void MultiplyAdd(ref Float4 sums, Float4 left, float right, float rightBelow);

    /// <summary>The product of words that are pairs of bfloat16 numbers.</summary>
    static abstract void MultiplyAddPairs(ref Float4 sums, Float4 left, float right, float rightBelow);

    /// <summary>A word of the nearest bfloat16 of two numbers, ties to even; NaN stays NaN.</summary>
    /// <param name="low">In the lower 16 bits.</param>
    /// <param name="high">In the upper 16 bits.</param>
    static abstract float Pair(float low, float high);
}

/// <summary>PTX's mma.m16n8k8 for tf32 and mma.m16n8k16 for bfloat16 (compute capability 8.0 and later).</summary>
internal readonly struct TensorCores : IMatrixUnit
{
    public const string Product = "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32";
    public const string ProductOfPairs = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32";
    public const string Conversion = "cvt.rn.bf16x2.f32";
    private const string Operands = " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};";

    public static void MultiplyAdd(ref Float4 sums, Float4 left, float right, float rightBelow)
    {
        Ref<float> x = sums.X;
        Ref<float> y = sums.Y;
        Ref<float> z = sums.Z;
        Ref<float> w = sums.W;
        Input<uint> a0 = Interop.FloatAsInt(left.X);
        Input<uint> a1 = Interop.FloatAsInt(left.Y);
        Input<uint> a2 = Interop.FloatAsInt(left.Z);
        Input<uint> a3 = Interop.FloatAsInt(left.W);
        Input<uint> b0 = Interop.FloatAsInt(right);
        Input<uint> b1 = Interop.FloatAsInt(rightBelow);
        CudaAsm.EmitRef(Product + Operands, ref x, ref y, ref z, ref w, ref a0, ref a1, ref a2, ref a3, ref b0, ref b1);
        sums.X = x.Value;
        sums.Y = y.Value;
        sums.Z = z.Value;
        sums.W = w.Value;
    }

    public static void MultiplyAddPairs(ref Float4 sums, Float4 left, float right, float rightBelow)
    {
        Ref<float> x = sums.X;
        Ref<float> y = sums.Y;
        Ref<float> z = sums.Z;
        Ref<float> w = sums.W;
        Input<uint> a0 = Interop.FloatAsInt(left.X);
        Input<uint> a1 = Interop.FloatAsInt(left.Y);
        Input<uint> a2 = Interop.FloatAsInt(left.Z);
        Input<uint> a3 = Interop.FloatAsInt(left.W);
        Input<uint> b0 = Interop.FloatAsInt(right);
        Input<uint> b1 = Interop.FloatAsInt(rightBelow);
        CudaAsm.EmitRef(ProductOfPairs + Operands, ref x, ref y, ref z, ref w, ref a0, ref a1, ref a2, ref a3, ref b0, ref b1);
        sums.X = x.Value;
        sums.Y = y.Value;
        sums.Z = z.Value;
        sums.W = w.Value;
    }

    public static float Pair(float low, float high)
    {
        Ref<uint> word = 0u;
        Input<float> upper = high;
        Input<float> lower = low;
        CudaAsm.EmitRef(Conversion + " %0, %1, %2;", ref word, ref upper, ref lower);
        return Interop.IntAsFloat(word.Value);
    }
}
