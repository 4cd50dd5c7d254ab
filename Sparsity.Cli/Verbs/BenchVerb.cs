using CommandLine;
using Sparsity.Benchmarks;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Storage;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Cli.Verbs;

[Verb("bench", HelpText = "train: speed of training steps, with the time of each kernel. prune: mask training. generate: speed of generated tokens. kernels: each operation by itself, against what the machine can do.")]
internal sealed class BenchVerb : EngineVerb
{
    [Value(0, MetaName = "what", Required = true, HelpText = "train, prune, generate or kernels.")]
    public string What { get; set; } = "";

    [Option("size", Default = "S", HelpText = "S, M or L.")]
    public string Size { get; set; } = "S";

    [Option("phase", Default = BenchmarkPhase.Sparse, HelpText = "dense (all weights), mid (half of them) or sparse (the size's density).")]
    public BenchmarkPhase Phase { get; set; } = BenchmarkPhase.Sparse;

    [Option("steps", Default = 10, HelpText = "Measured steps, repetitions or tokens, after a warm-up.")]
    public int Steps { get; set; } = 10;

    [Option("json", HelpText = "File to write the result to.")]
    public string? Json { get; set; }

    public override int Run(CancellationToken stop)
    {
        if (Steps < 1)
        {
            throw new BadInputException($"--steps is {Steps}, but must be at least 1.");
        }

        using IComputeEngine engine = CreateEngine();
        if (engine is not CpuEngine cpu)
        {
            throw new BadInputException($"bench measures the CPU engine, but --device {Device} is {engine.Name}; use --device cpu.");
        }

        BenchmarkSize size = BenchmarkSize.All.FirstOrDefault(known => string.Equals(known.Name, Size, StringComparison.OrdinalIgnoreCase))
            ?? throw new BadInputException($"--size is '{Size}', but must be S, M or L.");
        switch (What)
        {
            case "train":
                Train(cpu, size);
                return 0;
            case "prune":
                Prune(cpu, size);
                return 0;
            case "generate":
                Generate(engine, size);
                return 0;
            case "kernels":
                Kernels(engine, size);
                return 0;
            default:
                throw new BadInputException($"bench: '{What}' is nothing to measure; use train, prune, generate or kernels.");
        }
    }

    private void Train(CpuEngine engine, BenchmarkSize size)
    {
        Roofs roofs = MeasureRoofs(engine);
        TrainBenchmarkResult result = TrainBenchmark.Run(engine, size, Phase, Steps, roofs);
        Terminal.Line($"size {result.Size}, {result.Phase} phase: {result.TokensPerSecond:0} tokens/s, {result.MsPerStep:0.0} ms per step (spread {result.MsSpread:0.0}), peak memory {result.PeakMemoryMb:0} MiB, {result.AllocatedBytesPerStep} bytes allocated per step");
        ShowBreakdown(result.Breakdown, result.MsPerStep);
        Save(result);
    }

    private void Prune(CpuEngine engine, BenchmarkSize size)
    {
        Terminal.Line($"{engine.Description}");
        PruneBenchmarkResult result = PruneBenchmark.Run(engine, size, Phase, Steps);
        Terminal.Line($"size {result.Size}, {result.Phase} phase: {result.MsPerStep:0.0} ms per step of mask training (spread {result.MsSpread:0.0}), {result.SecondsPerThousandSteps:0} s per 1000 steps");
        ShowBreakdown(result.Breakdown, result.MsPerStep);
        Save(result);
    }

    private static void ShowBreakdown(IReadOnlyDictionary<string, double> breakdown, double step) =>
        Terminal.Table(["kernel", "ms per step", "share"], breakdown.OrderByDescending(entry => entry.Value).Select(entry => new[]
        {
            entry.Key, Terminal.Number(entry.Value, "0.00"), Terminal.Number(100 * entry.Value / step, "0.0") + " %",
        }));

    private void Kernels(IComputeEngine engine, BenchmarkSize size)
    {
        Roofs roofs = MeasureRoofs(engine);
        IReadOnlyList<KernelBenchmarkResult> results = KernelBenchmark.Run(engine, size, Steps, roofs);
        Terminal.Table(["kernel", "ms", "spread", "GFLOP/s", "GB/s", "of the roof"], results.Select(result => new[]
        {
            result.Kernel, Terminal.Number(result.Ms), Terminal.Number(result.MsSpread), result.Gflops == 0 ? "" : Terminal.Number(result.Gflops, "0.0"),
            Terminal.Number(result.Gbps, "0.0"), Terminal.Number(100 * result.ShareOfRoof, "0") + " %",
        }));
        Save(results);
    }

    private void Generate(IComputeEngine engine, BenchmarkSize size)
    {
        Terminal.Line($"{engine.Description}");
        GenerateBenchmarkResult result = GenerateBenchmark.Run(engine, size, Phase, Steps);
        Terminal.Line($"size {result.Size}, {result.Phase} phase: {result.TokensPerSecond:0} tokens/s, {result.MsPerToken:0.000} ms per token (spread {result.MsSpread:0.000}), processor time {result.CpuMsPerToken:0.000} ms");
        Save(result);
    }

    private static Roofs MeasureRoofs(IComputeEngine engine)
    {
        Terminal.Line($"{engine.Description}");
        Roofs roofs = Roofs.Measure(engine);
        Terminal.Line($"roofs: dense product 2048^3 {roofs.SgemmGflops:0.0} GFLOP/s (spread {roofs.SgemmSpread:0.0}), copy {roofs.CopyGbps:0.0} GB/s (spread {roofs.CopySpread:0.0})");
        return roofs;
    }

    private void Save<T>(T result)
    {
        if (Json is not null)
        {
            AtomicFile.WriteText(Json, JsonText.Write(result));
        }
    }
}
