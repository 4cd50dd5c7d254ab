using ILGPU.Runtime;

namespace Sparsity.Kernels.Gpu;

/// <summary>The stand-in runs kernels as they are written: there is nothing to repair.</summary>
internal static class CodeGeneration
{
    public static void Repair(Accelerator accelerator) => ArgumentNullException.ThrowIfNull(accelerator);
}
