using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Kernels.Cpu;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels;

/// <summary>Makes the engine that a --device text asks for.</summary>
public static class EngineFactory
{
    /// <param name="device">auto, cpu, cuda[:i] or opencl[:i].</param>
    /// <param name="threads">Threads of the CPU engine; 0 for all processors.</param>
    /// <exception cref="BadInputException">There is no such device here, or it cannot be used.</exception>
    public static IComputeEngine Create(string device, int threads)
    {
        if (threads is < 0 or > 1024)
        {
            throw new BadInputException($"--threads is {threads}, but must be 0 (all processors) to 1024.");
        }

        string[] parts = device.Split(':');
        string number = parts.Length == 1 ? "0" : parts[1];
        bool isNumbered = parts.Length <= 2 && number.Length is > 0 and < 4 && number.All(char.IsAsciiDigit);
        return parts[0] switch
        {
            "cpu" when parts.Length == 1 => new CpuEngine(threads),
            "auto" when parts.Length == 1 => Choose(GpuDevices.Find(out _)) is { } found ? GpuDevices.Create(found.Id) : new CpuEngine(threads),
            "cuda" or "opencl" when isNumbered => GpuDevices.Create($"{parts[0]}:{int.Parse(number, System.Globalization.CultureInfo.InvariantCulture)}"),
            _ => throw new BadInputException($"--device is '{device}', but must be auto, cpu, cuda[:i] or opencl[:i]."),
        };
    }

    /// <summary>What auto takes: the first usable CUDA device, else the first usable OpenCL GPU; null for the CPU engine.</summary>
    public static GpuDeviceInfo? Choose(IEnumerable<GpuDeviceInfo> devices) =>
        devices.Where(device => device.WhyNot is null && !device.IsProcessor)
            .OrderBy(device => device.Id.StartsWith("cuda", StringComparison.Ordinal) ? 0 : 1)
            .FirstOrDefault();
}
