using CommandLine;
using Sparsity.Core.Engine;
using Sparsity.Kernels;

namespace Sparsity.Cli;

/// <summary>One verb of the command line: its options, and what it does.</summary>
internal abstract class Verb
{
    /// <returns>The exit code.</returns>
    /// <exception cref="Core.BadInputException">Exit code 2, one line.</exception>
    public abstract int Run(CancellationToken stop);
}

/// <summary>A verb that computes.</summary>
internal abstract class EngineVerb : Verb
{
    [Option("device", Default = "auto", HelpText = "auto, cpu, cuda[:i] or opencl[:i].")]
    public string Device { get; set; } = "auto";

    [Option("threads", Default = 0, HelpText = "Threads of the CPU engine; 0 for all processors. Results do not depend on it.")]
    public int Threads { get; set; }

    protected IComputeEngine CreateEngine()
    {
        IComputeEngine engine = CreateEngine(Threads);
        if (Device == "auto" && engine.Name != "cpu")
        {
            Terminal.Line($"device: {engine.Description}");
        }

        return engine;
    }

    internal IComputeEngine CreateEngine(int threads) => EngineFactory.Create(Device, threads);
}
