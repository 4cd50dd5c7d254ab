using Sparsity.Benchmarks;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Kernels.Tests;

/// <summary>Ctrl-C ends a benchmark at its next step, however many were asked for.</summary>
public class BenchmarkStopTests
{
    private const int Steps = 200;
    private static readonly BenchmarkSize Tiny = BenchmarkSize.All.Single(size => size.Name == "TINY");
    private static readonly Roofs AnyRoofs = new(1, 0, 1, 0, null, null);

    public static TheoryData<string> Benchmarks => ["train", "prune", "generate", "kernels"];

    [Theory]
    [MemberData(nameof(Benchmarks))]
    public void ABenchmarkStopsWhenItIsAsked(string benchmark)
    {
        using var engine = new CpuEngine(1);
        var stop = new CancellationToken(canceled: true);
        Assert.Throws<OperationCanceledException>(() =>
            benchmark switch
            {
                "train" => TrainBenchmark.Run(engine, Tiny, BenchmarkPhase.Sparse, 1, Steps, AnyRoofs, stop),
                "prune" => PruneBenchmark.Run(engine, Tiny, BenchmarkPhase.Sparse, Steps, stop),
                "generate" => GenerateBenchmark.Run(engine, Tiny, BenchmarkPhase.Sparse, Steps, stop),
                _ => (object)KernelBenchmark.Run(engine, Tiny, Steps, AnyRoofs, stop),
            }
        );
    }
}
