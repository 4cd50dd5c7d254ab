using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Kernels.Cpu;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels;

/// <summary>Makes the engine that a text such as cpu, auto or cuda:0 asks for.</summary>
public static class EngineFactory
{
    /// <param name="device">auto, cpu, cuda[:i] or opencl[:i].</param>
    /// <param name="threads">Threads of the CPU engine; 0 for all processors.</param>
    /// <param name="place">Of several processes on this machine, which one, from 0: where no number is asked for, they take the devices in
    /// turn.</param>
    /// <param name="precision">Of dense products on a GPU.</param>
    /// <exception cref="BadInputException">There is no such device here, it cannot be used, or it has no such precision.</exception>
    public static IComputeEngine Create(
        string device = "auto",
        int threads = 0,
        int place = 0,
        GpuPrecision precision = GpuPrecision.Float32
    )
    {
        if (threads is < 0 or > 1024)
        {
            throw new BadInputException($"threads is {threads}, but must be 0 (all processors) to 1024.");
        }

        string[] parts = device.Split(':');
        string number = parts.Length == 1 ? "0" : parts[1];
        bool isNumbered = parts.Length <= 2 && number.Length is > 0 and < 4 && number.All(char.IsAsciiDigit);
        return parts[0] switch
        {
            "cpu" when parts.Length == 1 => CreateCpu(threads, precision),
            "auto" when parts.Length == 1 => Choose(GpuDevices.Find(out _), place) is { } found
                ? GpuDevices.Create(found.Id, precision)
                : CreateCpu(threads, precision),
            "cuda" or "opencl" when parts.Length == 1 && place > 0 => GpuDevices.Create(
                $"{device}:{place % Math.Max(1, CountOf(device))}",
                precision
            ),
            "cuda" or "opencl" when isNumbered => GpuDevices.Create(
                $"{parts[0]}:{int.Parse(number, System.Globalization.CultureInfo.InvariantCulture)}",
                precision
            ),
            _ => throw new BadInputException($"the device is '{device}', but must be auto, cpu, cuda[:i] or opencl[:i]."),
        };
    }

    /// <summary>What auto takes: the first usable CUDA device, else the first usable OpenCL GPU; null for the CPU engine.</summary>
    /// <param name="place">Of several processes on this machine, which one, from 0: they take the usable devices of the first kind in
    /// turn.</param>
    public static GpuDeviceInfo? Choose(IEnumerable<GpuDeviceInfo> devices, int place = 0)
    {
        GpuDeviceInfo[] usable = [.. devices.Where(device => device.WhyNot is null && !device.IsProcessor)];
        GpuDeviceInfo[] best = [.. usable.Where(IsCuda)];
        best = best.Length == 0 ? usable : best;
        return best.Length == 0 ? null : best[place % best.Length];

        static bool IsCuda(GpuDeviceInfo device) => device.Id.StartsWith("cuda", StringComparison.Ordinal);
    }

    private static CpuEngine CreateCpu(int threads, GpuPrecision precision) =>
        precision == GpuPrecision.Float32
            ? new CpuEngine(threads)
            : throw new BadInputException("the CPU engine computes in float32 only; tf32 and bf16 need an NVIDIA GPU.");

    private static int CountOf(string kind) =>
        GpuDevices.Find(out _).Count(device => device.Id.StartsWith(kind + ":", StringComparison.Ordinal));
}
