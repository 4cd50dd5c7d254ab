using CommandLine;
using Sparsity.Core.Engine;
using Sparsity.Kernels;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Cli.Verbs;

[Verb("devices", HelpText = "Show the engines and devices found, and which one 'auto' takes.")]
internal sealed class DevicesVerb : EngineVerb
{
    public override int Run(CancellationToken stop)
    {
        using (IComputeEngine cpu = EngineFactory.Create("cpu", Threads))
        {
            Terminal.Line($"cpu: {cpu.Description}");
        }

        IReadOnlyList<GpuDeviceInfo> devices = GpuDevices.Find(out string? problem);
        foreach (GpuDeviceInfo device in devices)
        {
            string whyNot = device.WhyNot is null ? "" : "; not usable: " + device.WhyNot;
            Terminal.Line($"{device.Id}: {device.Name}, {device.MemoryBytes / 1073741824.0:0.0} GiB, {device.Version}{(device.IsProcessor ? ", a CPU" : "")}{whyNot}");
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

        return 0;
    }
}
