using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Benchmarks;

/// <summary>How fast a GPU computes when it does nothing else: multiply-adds in registers, without any memory.</summary>
internal static class DeviceRoofs
{
    private const int Threads = 256;
    private const int GroupsOfMultiprocessor = 16;
    private const int Steps = 4096;

    /// <summary>Chains that do not wait for each other.</summary>
    private const int Chains = 8;

    /// <summary>
    /// Billions of float32 operations per second, a multiply-add counted as two; and of tf32 operations on tensor cores, null where there
    /// are none.
    /// </summary>
    public static (double Float32Gflops, double? TensorGflops) Measure(GpuEngine engine)
    {
        Accelerator accelerator = engine.Accelerator;
        int groups = GroupsOfMultiprocessor * Math.Max(1, accelerator.NumMultiprocessors);
        using MemoryBuffer1D<float, Stride1D.Dense> output = accelerator.Allocate1D<float>(groups * Threads);
        var config = new KernelConfig(groups, Threads);
        double multiplyAdds = (double)groups * Threads * Steps * Chains;
        double float32 =
            2
            * multiplyAdds
            / Time(accelerator, config, accelerator.LoadStreamKernel<ArrayView<float>, float, float>(MultiplyAdd), output.View)
            / 1e6;

        // The instructions are there from compute capability 8.0 on.
        if (accelerator is not CudaAccelerator { Architecture.Major: >= 8 })
        {
            return (float32, null);
        }

        double products = (double)groups * (Threads / 32) * Steps * TensorChains * 16 * 8 * 8;
        return (
            float32,
            2
                * products
                / Time(accelerator, config, accelerator.LoadStreamKernel<ArrayView<float>, float, float>(TensorMultiplyAdd), output.View)
                / 1e6
        );
    }

    private static double Time(
        Accelerator accelerator,
        KernelConfig config,
        Action<KernelConfig, ArrayView<float>, float, float> kernel,
        ArrayView<float> output
    ) =>
        Measurement
            .Of(
                2,
                5,
                () =>
                {
                    kernel(config, output, 0.999f, 0.001f);
                    accelerator.Synchronize();
                }
            )
            .Median;

    /// <summary>Eight chains of x = x * factor + term in each thread.</summary>
    internal static void MultiplyAdd(ArrayView<float> output, float factor, float term)
    {
        float x0 = Group.IdxX,
            x1 = x0 + 1f,
            x2 = x0 + 2f,
            x3 = x0 + 3f,
            x4 = x0 + 4f,
            x5 = x0 + 5f,
            x6 = x0 + 6f,
            x7 = x0 + 7f;
        for (int i = 0; i < Steps; i++)
        {
            x0 = (x0 * factor) + term;
            x1 = (x1 * factor) + term;
            x2 = (x2 * factor) + term;
            x3 = (x3 * factor) + term;
            x4 = (x4 * factor) + term;
            x5 = (x5 * factor) + term;
            x6 = (x6 * factor) + term;
            x7 = (x7 * factor) + term;
        }

        output[Grid.GlobalIndex.X] = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7;
    }

    private const int TensorChains = 4;

    private const string Product =
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};";

    /// <summary>Four chains of 16 x 8 tiles of sums in each group of 32 threads, every step a product of 16 x 8 by 8 x 8 added.</summary>
    internal static void TensorMultiplyAdd(ArrayView<float> output, float factor, float term)
    {
        Input<uint> a = (uint)Interop.FloatAsInt(factor);
        Input<uint> b = (uint)Interop.FloatAsInt(term);
        Ref<float> x0 = 0f,
            x1 = 0f,
            x2 = 0f,
            x3 = 0f,
            y0 = 0f,
            y1 = 0f,
            y2 = 0f,
            y3 = 0f;
        Ref<float> z0 = 0f,
            z1 = 0f,
            z2 = 0f,
            z3 = 0f,
            w0 = 0f,
            w1 = 0f,
            w2 = 0f,
            w3 = 0f;
        for (int i = 0; i < Steps; i++)
        {
            CudaAsm.EmitRef(Product, ref x0, ref x1, ref x2, ref x3, ref a, ref a, ref a, ref a, ref b, ref b);
            CudaAsm.EmitRef(Product, ref y0, ref y1, ref y2, ref y3, ref a, ref a, ref a, ref a, ref b, ref b);
            CudaAsm.EmitRef(Product, ref z0, ref z1, ref z2, ref z3, ref a, ref a, ref a, ref a, ref b, ref b);
            CudaAsm.EmitRef(Product, ref w0, ref w1, ref w2, ref w3, ref a, ref a, ref a, ref a, ref b, ref b);
        }

        output[Grid.GlobalIndex.X] =
            x0.Value
            + x1.Value
            + x2.Value
            + x3.Value
            + y0.Value
            + y1.Value
            + y2.Value
            + y3.Value
            + z0.Value
            + z1.Value
            + z2.Value
            + z3.Value
            + w0.Value
            + w1.Value
            + w2.Value
            + w3.Value;
    }
}
