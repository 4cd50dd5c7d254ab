using ILGPU;
using ILGPU.Runtime.CPU;
using Sparsity.Core.Engine;
using Sparsity.Kernels.Gpu;

namespace Sparsity.TestSupport;

/// <summary>The GPU engine on ILGPU's own CPU accelerator, and on every OpenCL device found.</summary>
internal static class TestGpus
{
    /// <summary>For every test of the seam.</summary>
    public static (string Name, Func<IComputeEngine> Create)[] Present { get; } =
    [
        .. GpuDevices.Find(out _).Where(device => device.WhyNot is null).Select(device => (device.Id, (Func<IComputeEngine>)(() => GpuDevices.Create(device.Id)))),
    ];

    /// <summary>Those that compile a kernel, for seconds, before they first run it.</summary>
    public static IEnumerable<string> Compiling => Present.Select(engine => engine.Name);

    /// <summary>Too slow for every test.</summary>
    public static (string Name, Func<IComputeEngine> Create)[] Slow { get; } = [("gpu kernels on ILGPU's CPU accelerator", CreateOnProcessor)];

    /// <summary>A tiny training run takes a second a step, but often there is no other engine to run it.</summary>
    public const int StepsOfSlow = 60;

    /// <summary>Each thread of a group is one of the operating system, and all of the largest group there was take part in every launch: the fewer, the faster.</summary>
    private static GpuEngine CreateOnProcessor()
    {
        Context context = GpuDevices.CreateContext(builder => builder.CPU(new CPUDevice(4, 32, 1)));
        ILGPU.Runtime.Device device = context.GetDevice<CPUDevice>(0);
        return new GpuEngine(
            new GpuDevice(context, device.CreateAccelerator(context), device.MemorySize, warpSize: 1, rowThreads: 4, elementThreads: 4), "gpu", GpuLibrary.Description);
    }
}
