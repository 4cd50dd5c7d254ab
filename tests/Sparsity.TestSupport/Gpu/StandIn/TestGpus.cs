using ILGPU;
using Sparsity.Core.Engine;
using Sparsity.Kernels.Gpu;

namespace Sparsity.TestSupport;

/// <summary>The GPU engine on the stand-in, which checks the kernels as it runs them.</summary>
internal static class TestGpus
{
    /// <summary>For every test of the seam: two threads to a row, so that reductions have barriers to miss.</summary>
    public static (string Name, Func<IComputeEngine> Create)[] Present { get; } = [("gpu kernels on the stand-in", () => Create(2))];

    /// <summary>Those that compile a kernel, for seconds, before they first run it.</summary>
    public static IEnumerable<string> Compiling => [];

    /// <summary>Too slow for every test.</summary>
    public static (string Name, Func<IComputeEngine> Create)[] Slow { get; } = [("gpu kernels on the stand-in, 8 threads to a row", () => Create(8))];

    /// <summary>Whole runs are for the other.</summary>
    public const int StepsOfSlow = 2;

    private static GpuEngine Create(int rowThreads)
    {
        Context context = Context.Create(_ => { });
        ILGPU.Runtime.Device device = context.Devices[0];
        return new GpuEngine(
            new GpuDevice(context, device.CreateAccelerator(context), device.MemorySize, device.WarpSize, rowThreads), "gpu", GpuLibrary.Description);
    }
}
