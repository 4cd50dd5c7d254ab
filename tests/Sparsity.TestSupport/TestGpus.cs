extern alias checker;

using ILGPU;
using ILGPU.Runtime.CPU;
using Sparsity.Core.Engine;
using Sparsity.Kernels.Gpu;
using Checked = checker::Sparsity.Kernels.Gpu;
using CheckedContext = checker::ILGPU.Context;

namespace Sparsity.TestSupport;

/// <summary>The GPU engine under the checker, on ILGPU's own CPU accelerator, and on every usable device found.</summary>
internal static class TestGpus
{
    /// <summary>The name of the GPU engine under the checker, which runs its kernels thread by thread.</summary>
    public const string Checker = "gpu kernels under the checker";

    private const string WideChecker = Checker + ", 8 threads to a row";

    /// <summary>For every test of the seam. Under the checker two threads to a row, so that reductions have barriers to miss.</summary>
    public static (string Name, Func<IComputeEngine> Create)[] Present { get; } =
    [
        (Checker, () => CreateChecked(2)),
        .. GpuDevices
            .Find(out _)
            .Where(device => device.WhyNot is null)
            .Select(device => (device.Id, (Func<IComputeEngine>)(() => GpuDevices.Create(device.Id)))),
    ];

    /// <summary>Those that compile a kernel, for seconds, before they first run it.</summary>
    public static IEnumerable<string> Compiling => Present.Select(engine => engine.Name).Where(name => name != Checker);

    /// <summary>Too slow for every test.</summary>
    public static (string Name, Func<IComputeEngine> Create)[] Slow { get; } =
    [(WideChecker, () => CreateChecked(8)), ("gpu kernels on ILGPU's CPU accelerator", CreateOnProcessor)];

    /// <summary>How many steps of a run a slow engine takes: whole runs are for the checker's two threads.</summary>
    public const int StepsOfSlow = 2;

    private static Checked.GpuEngine CreateChecked(int rowThreads)
    {
        CheckedContext context = CheckedContext.Create(_ => { });
        checker::ILGPU.Runtime.Device device = context.Devices[0];
        return new Checked.GpuEngine(
            new Checked.GpuDevice(context, device.CreateAccelerator(context), device.MemorySize, device.WarpSize, rowThreads),
            "gpu",
            "kernel checker"
        );
    }

    /// <summary>
    /// Each thread of a group is one of the operating system, and all of the largest group there was take part in every launch: the fewer,
    /// the faster.
    /// </summary>
    private static GpuEngine CreateOnProcessor()
    {
        Context context = GpuDevices.CreateContext(builder => builder.CPU(new CPUDevice(4, 32, 1)));
        ILGPU.Runtime.Device device = context.GetDevice<CPUDevice>(0);
        return new GpuEngine(
            new GpuDevice(context, device.CreateAccelerator(context), device.MemorySize, warpSize: 1, rowThreads: 4, elementThreads: 4),
            "gpu",
            GpuDevices.Library
        );
    }
}
