using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Kernels;

/// <summary>Makes the engine that a --device text asks for.</summary>
public static class EngineFactory
{
    /// <param name="device">auto, cpu, cuda[:i] or opencl[:i].</param>
    /// <param name="threads">Threads of the CPU engine; 0 for all processors.</param>
    /// <exception cref="BadInputException">There is no such device here.</exception>
    public static IComputeEngine Create(string device, int threads)
    {
        if (threads is < 0 or > 1024)
        {
            throw new BadInputException($"--threads is {threads}, but must be 0 (all processors) to 1024.");
        }

        string kind = device.Split(':')[0];
        return kind switch
        {
            "auto" or "cpu" when device == kind => new CpuEngine(threads),
            "cuda" or "opencl" => throw new BadInputException($"--device {device}: this version has the CPU engine only. Use --device cpu."),
            _ => throw new BadInputException($"--device is '{device}', but must be auto, cpu, cuda[:i] or opencl[:i]."),
        };
    }
}
