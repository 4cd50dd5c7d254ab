namespace Sparsity.Kernels.Gpu;

/// <summary>A GPU that ILGPU sees.</summary>
/// <param name="Id">The text that asks for it: cuda:0, opencl:1.</param>
/// <param name="Name">The device's own.</param>
/// <param name="MemoryBytes">All of its memory.</param>
/// <param name="Version">The interface it is driven by, such as "CUDA 12.4, SM_90" or "OpenCL 3.0".</param>
/// <param name="IsProcessor">Whether an OpenCL device is the CPU: never taken by auto.</param>
/// <param name="WhyNot">Why it cannot be used; null if it can.</param>
public sealed record GpuDeviceInfo(string Id, string Name, long MemoryBytes, string Version, bool IsProcessor, string? WhyNot);
