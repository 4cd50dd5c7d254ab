namespace Sparsity.Kernels.Gpu;

/// <summary>
/// A kernel: its fields are the arguments, <see cref="Execute"/> is what each thread does. The portable subset only: no warp operations,
/// atomics, throw, try, Half, double, dynamic shared memory, or Math members that ILGPU cannot compile (docs/kernels.md). Put an
/// argument that is a struct and ends in an int last, or before a view. ILGPU 1.5.3 knows an argument's type only by its numbers in their
/// order, and pads every such type as the first one it met.
/// </summary>
internal interface IKernel
{
    void Execute();
}

/// <summary>The static method that ILGPU compiles, once per kernel.</summary>
internal static class KernelEntry
{
    public static void Run<TKernel>(TKernel kernel)
        where TKernel : struct, IKernel => kernel.Execute();
}
