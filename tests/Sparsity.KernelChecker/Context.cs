using System.Collections.Immutable;
using ILGPU.Runtime;

namespace ILGPU;

/// <summary>
/// The kernel checker in ILGPU's place: it has the names and the meaning of the few members that the GPU engine uses, and checks kernels
/// rather than runs them fast (<see cref="GroupRun"/>).
/// </summary>
internal sealed class Context : IDisposable
{
    /// <summary>The assembly that the real library puts its launchers in.</summary>
    public const string RuntimeAssemblyName = "ILGPURuntime";

    public ImmutableArray<Device> Devices { get; } = [new()];

    public static Context Create(Action<Builder> configure)
    {
        configure(new Builder());
        return new Context();
    }

    public void Dispose() { }

    public sealed class Builder
    {
        public Builder Optimize(OptimizationLevel level) => this;
    }
}

internal enum OptimizationLevel
{
    O2 = 2,
}
