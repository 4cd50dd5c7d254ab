using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Kernels;
using Sparsity.Kernels.Cpu;
using Sparsity.Kernels.Gpu;
using Sparsity.Parity;

namespace Sparsity.Cli.Verbs;

[Verb("devices")]
internal sealed class DevicesVerb : EngineVerb
{
    [Option(
        "check",
        HelpText = "Compare every operation and short runs on the device with the CPU engine, and training steps with the official "
            + "code's. Exit code 1 if any item fails."
    )]
    public bool Check { get; set; }

    [Option(
        "shapes",
        HelpText = "With --check: odd (small and odd shapes only), S (these and the shapes of size S) or all (L too). (Default: all)"
    )]
    public string? Shapes { get; set; }

    [Option("json", MetaValue = "FILE", HelpText = "File to write the devices to as well; with --check the results, after every item.")]
    public string? Json { get; set; }

    [Option(
        "emit",
        MetaValue = "DIR",
        HelpText = "Write every kernel as PTX and OpenCL C into this folder (sm_80/, sm_90/, opencl/), and do nothing else. No device "
            + "is needed."
    )]
    public string? Emit { get; set; }

    /// <summary>What 'auto' takes, the GPU library, and the GPUs there are.</summary>
    private sealed record Found(string Auto, string GpuLibrary, IReadOnlyList<FoundDevice> Devices);

    private sealed record FoundDevice(string Id, string Name, string Version, long MemoryBytes, bool IsProcessor, string? WhyNotUsable);

    public override int Execute(CancellationToken stop)
    {
        if (!Check && Shapes is not null)
        {
            throw new BadInputException("--shapes belongs to --check; add --check or leave it out.");
        }

        if (Given.Contains("precision"))
        {
            // The check's tolerances are those of float32. Products in tf32 and bf16 are items of their own.
            TakesOnly("devices", "device", "threads", "check", "shapes", "json", "emit");
        }

        if (Emit is null)
        {
            return Check ? RunCheck(stop) : Show();
        }

        if (Check)
        {
            throw new BadInputException("--emit writes kernels and --check runs them: give one of the two.");
        }

        TakesOnly("devices --emit, which needs no device,", "emit");
        return EmitKernels(Emit);
    }

    private static int EmitKernels(string folder)
    {
        (int ptx, int openCl) = KernelSources.Write(folder);
        string architectures = string.Join(" and ", KernelSources.Architectures.Select(architecture => $"sm_{architecture}"));
        Terminal.Line($"{ptx} kernels as PTX for {architectures}, and {openCl} of them as OpenCL C, are in {folder}");
        return 0;
    }

    private int RunCheck(CancellationToken stop)
    {
        (bool sizeS, bool sizeL) = Shapes switch
        {
            null or "all" => (true, true),
            "S" => (true, false),
            "odd" => (false, false),
            _ => throw new BadInputException($"--shapes is '{Shapes}', but must be odd, S or all."),
        };
        if (Device == "auto" && EngineFactory.Choose(GpuDevices.Find(out _)) is null)
        {
            throw new BadInputException(
                "There is no usable GPU to check; 'sparsity devices' says why. --device cpu checks the CPU engine against itself."
            );
        }

        using IComputeEngine device = CreateEngine();
        using var reference = new CpuEngine(Threads);
        var report = new DeviceCheckReport(device.Description, reference.Description, Json);
        Terminal.Line($"checking {device.Description} against {reference.Description}");
        return report.Run([.. new DeviceCheck(device, reference).All(sizeS, sizeL), .. TensorCoreItems(device)], stop);
    }

    /// <summary>Products of each precision on tensor cores, where the device has them.</summary>
    private static IEnumerable<CheckItem> TensorCoreItems(IComputeEngine device) =>
        device is GpuEngine { UsesTensorCores: true } gpu
            ? Enum.GetValues<GpuPrecision>()
                .Select(precision =>
                {
                    string name = $"products on tensor cores, {GpuPrecisionName.Of(precision)}";
                    return new CheckItem(
                        name,
                        () => new ParityResult(name, gpu.TensorCoreDifference(precision), TensorProductCheck.Tolerance(precision))
                    );
                })
            : [];

    private int Show()
    {
        using (IComputeEngine cpu = EngineFactory.Create("cpu", Threads))
        {
            Terminal.Line($"cpu: {cpu.Description}");
        }

        IReadOnlyList<GpuDeviceInfo> devices = GpuDevices.Find(out string? problem);
        foreach (GpuDeviceInfo device in devices)
        {
            string whyNot = device.WhyNot is null ? "" : "; not usable: " + device.WhyNot;
            Terminal.Line(
                $"{device.Id}: {device.Name}, {device.MemoryBytes / 1073741824.0:0.0} GiB, "
                    + $"{device.Version}{(device.IsProcessor ? ", a CPU" : "")}{whyNot}"
            );
        }

        if (devices.Count == 0)
        {
            Terminal.Line($"no GPU found{(problem is null ? "" : ": " + problem)}");
        }

        Terminal.Line($"GPU library: {GpuDevices.Library}");
        GpuDeviceInfo? chosen = EngineFactory.Choose(devices);
        Terminal.Line($"auto takes {(chosen is null ? "cpu: there is no usable GPU" : chosen.Id)}");
        if (Device != "auto")
        {
            using IComputeEngine asked = CreateEngine();
            Terminal.Line($"--device {Device} is {asked.Description}");
        }

        Save(
            Json,
            new Found(
                chosen?.Id ?? "cpu",
                GpuDevices.Library,
                [
                    .. devices.Select(device => new FoundDevice(
                        device.Id,
                        device.Name,
                        device.Version,
                        device.MemoryBytes,
                        device.IsProcessor,
                        device.WhyNot
                    )),
                ]
            )
        );

        return 0;
    }
}
