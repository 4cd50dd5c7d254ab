using ILGPU;
using ILGPU.Runtime.Cuda;

namespace Sparsity.Kernels.Gpu;

/// <summary>A kernel for NVIDIA's devices alone: it holds their own instructions.</summary>
internal interface ICudaKernel : IKernel;

/// <summary>
/// sums [16,8] += left [16,8] * right [8,8], by 32 neighbouring threads together. Thread i, with group = i / 4 and member = i % 4, holds:
/// of the sums (group, 2 * member), (group, 2 * member + 1), (group + 8, 2 * member), (group + 8, 2 * member + 1); of the left factor
/// (group, member), (group + 8, member), (group, member + 4), (group + 8, member + 4); of the right one (member, group) and
/// (member + 4, group).
/// </summary>
internal interface IMatrixUnit
{
    static abstract void MultiplyAdd(ref Float4 sums, Float4 left, float right, float rightBelow);
}

/// <summary>PTX's mma.m16n8k8 for tf32 (compute capability 8.0 and later), which passes over the 13 lowest bits of the factors.</summary>
internal readonly struct TensorCores : IMatrixUnit
{
    private const string Instruction =
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};";

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
        CudaAsm.EmitRef(Instruction, ref x, ref y, ref z, ref w, ref a0, ref a1, ref a2, ref a3, ref b0, ref b1);
        sums.X = x.Value;
        sums.Y = y.Value;
        sums.Z = z.Value;
        sums.W = w.Value;
    }
}
