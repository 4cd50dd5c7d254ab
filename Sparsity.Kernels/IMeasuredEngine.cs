using Sparsity.Core.Engine;

namespace Sparsity.Kernels;

/// <summary>An engine whose work can be timed; for benchmarks.</summary>
internal interface IMeasuredEngine : IComputeEngine
{
    /// <summary>
    /// Where the time of each kernel is added up; null for nowhere. On a GPU the host then waits for every kernel, so that runs take
    /// longer.
    /// </summary>
    KernelTimes? KernelTimes { get; set; }

    /// <summary>Waits until all that was called for is done.</summary>
    void Wait();
}
