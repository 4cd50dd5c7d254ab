using System.Reflection;

namespace Sparsity.Kernels.Gpu;

/// <summary>The GPU library that this build was compiled with: ILGPU, or the stand-in.</summary>
public static class GpuLibrary
{
    private static readonly AssemblyName Library = typeof(ILGPU.Context).Assembly.GetName();

    /// <summary>Whether kernels can reach a GPU; the stand-in is compiled into this very assembly.</summary>
    public static bool IsReal { get; } = typeof(ILGPU.Context).Assembly != typeof(GpuLibrary).Assembly;

    public static string Description { get; } =
        IsReal ? $"ILGPU {Library.Version!.ToString(3)}" : "in-tree stand-in (built without ILGPU)";
}
