using CommandLine;
using Sparsity.Benchmarks;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Training;
using Sparsity.Kernels;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Cli.Verbs;

[Verb("bench")]
internal sealed class BenchVerb : EngineVerb
{
    [Value(0, MetaName = "what", Required = true, HelpText = "train, prune, generate or kernels.")]
    public string What { get; set; } = "";

    [Option("size", Default = "S", HelpText = "TINY, S, M, L or PAPER (the paper's: 2048 channels, 8 layers, 512 sequences).")]
    public string Size { get; set; } = "S";

    [Option("phase", Default = BenchmarkPhase.Sparse, HelpText = "dense (all weights), mid (half of them) or sparse (the size's density).")]
    public BenchmarkPhase Phase { get; set; } = BenchmarkPhase.Sparse;

    [Option("batch-parts", HelpText = "Equal parts of a batch, computed one after the other. (Default: the fewest that fit)")]
    public int? BatchParts { get; set; }

    [Option("steps", Default = 10, HelpText = "Measured steps, repetitions or tokens, after a warm-up.")]
    public int Steps { get; set; } = 10;

    [Option("json", MetaValue = "FILE", HelpText = "File to write the result to.")]
    public string? Json { get; set; }

    public override bool EndsWhenAsked => false;

    public override int Execute(CancellationToken stop)
    {
        if (Steps is < 1 or > 1_000_000)
        {
            throw new BadInputException($"--steps is {Steps}, but must be 1 to 1000000.");
        }

        TakesOnly("bench " + What, Manual.Flags("bench", What));
        BenchmarkSize size =
            BenchmarkSize.All.FirstOrDefault(known => string.Equals(known.Name, Size, StringComparison.OrdinalIgnoreCase))
            ?? throw new BadInputException($"--size is '{Size}', but must be TINY, S, M, L or PAPER.");
        if (Json is not null)
        {
            AtomicFile.RequireWritable(Json);
        }

        using var engine = (IMeasuredEngine)CreateEngine();
        switch (What)
        {
            case "train":
                Train(engine, size, stop);
                return 0;
            case "prune":
                Prune(engine, size, stop);
                return 0;
            case "generate":
                Generate(engine, size, stop);
                return 0;
            default:
                Kernels(engine, size, stop);
                return 0;
        }
    }

    private void Train(IMeasuredEngine engine, BenchmarkSize size, CancellationToken stop)
    {
        int parts = PartsOf(engine, size);
        Roofs roofs = MeasureRoofs(engine);
        TrainBenchmarkResult result = TrainBenchmark.Run(engine, size, Phase, parts, Steps, roofs, stop);
        string inParts = parts == 1 ? "" : $" in {parts} parts";
        string onDevice = result.DeviceMemoryMb is { } memory ? $", device memory {Terminal.Number(memory, "0")} MiB" : "";
        Terminal.Line(
            $"size {result.Size}, {result.Phase} phase{inParts}: {result.TokensPerSecond:0} tokens/s, {result.MsPerStep:0.0} ms per "
                + $"step (spread {result.MsSpread:0.0}), peak memory {result.PeakMemoryMb:0} MiB{onDevice}, "
                + $"{result.AllocatedBytesPerStep} bytes allocated per step"
        );
        ShowBreakdown(result.Breakdown, result.Breakdown.Values.Sum());
        Save(Json, result);
    }

    /// <summary>The parts asked for, or the fewest that fit.</summary>
    private int PartsOf(IMeasuredEngine engine, BenchmarkSize size)
    {
        if (BatchParts is { } asked)
        {
            return asked >= 1 && size.Sequences % asked == 0
                ? asked
                : throw new BadInputException(
                    $"--batch-parts is {asked}, but must divide the {size.Sequences} sequences of size {size.Name}."
                );
        }

        long room = engine.Memory?.FreeBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        TrainingConfig training = size.Training(Phase);
        long whole = MemoryEstimate.For(engine, size.Model, training).Total;
        if (whole <= room)
        {
            return 1;
        }

        return MemoryEstimate.InMoreParts(engine, size.Model, training, room) is var (parts, _)
            ? parts
            : throw new BadInputException(
                $"Size {size.Name} does not fit into {engine.Description}, not even with one sequence at a time; use a smaller --size."
            );
    }

    private void Prune(IMeasuredEngine engine, BenchmarkSize size, CancellationToken stop)
    {
        Terminal.Line($"{engine.Description}");
        PruneBenchmarkResult result = PruneBenchmark.Run(engine, size, Phase, Steps, stop);
        Terminal.Line(
            $"size {result.Size}, {result.Phase} phase: {result.MsPerStep:0.0} ms per step of mask training (spread "
                + $"{result.MsSpread:0.0}), {result.SecondsPerThousandSteps:0} s per 1000 steps"
        );
        if (result.Breakdown.Count > 0)
        {
            ShowBreakdown(result.Breakdown, result.MsPerStep);
        }

        Save(Json, result);
    }

    private static void ShowBreakdown(IReadOnlyDictionary<string, double> breakdown, double step) =>
        Terminal.Table(
            ["kernel", "ms per step", "share"],
            breakdown
                .OrderByDescending(entry => entry.Value)
                .Select(entry =>
                    new[] { entry.Key, Terminal.Number(entry.Value, "0.00"), Terminal.Number(100 * entry.Value / step, "0.0") + " %" }
                )
        );

    private void Kernels(IMeasuredEngine engine, BenchmarkSize size, CancellationToken stop)
    {
        int parts = PartsOf(engine, size);
        Roofs roofs = MeasureRoofs(engine);
        if (parts > 1)
        {
            Terminal.Line($"shapes of one of {parts} parts of a batch, the fewest that fit");
        }

        IReadOnlyList<KernelBenchmarkResult> results = KernelBenchmark.Run(
            engine,
            size with
            {
                Sequences = size.Sequences / parts,
            },
            Steps,
            roofs,
            stop
        );
        Terminal.Table(
            ["kernel", "ms", "spread", "GFLOP/s", "GB/s", "floor, ms", "of the roof"],
            results.Select(result =>
                new[]
                {
                    result.Kernel,
                    Terminal.Number(result.Ms),
                    Terminal.Number(result.MsSpread),
                    result.Gflops == 0 ? "" : Terminal.Number(result.Gflops, "0.0"),
                    Terminal.Number(result.Gbps, "0.0"),
                    Terminal.Number(result.FloorMs),
                    Terminal.Number(100 * result.ShareOfRoof, "0") + " %",
                }
            )
        );
        if (results.Any(result => result.ShareOfRoof > 1))
        {
            Terminal.Line(
                $"More than 100 %: the operands fit into a cache, which those of the copy do not, or something else ran while the "
                    + $"roofs were measured."
            );
        }

        Save(Json, results);
    }

    private void Generate(IComputeEngine engine, BenchmarkSize size, CancellationToken stop)
    {
        Terminal.Line($"{engine.Description}");
        GenerateBenchmarkResult result = GenerateBenchmark.Run(engine, size, Phase, Steps, stop);
        Terminal.Line(
            $"size {result.Size}, {result.Phase} phase: {result.TokensPerSecond:0} tokens/s, {result.MsPerToken:0.000} ms per token "
                + $"(spread {result.MsSpread:0.000}), processor time {result.CpuMsPerToken:0.000} ms"
        );
        Save(Json, result);
    }

    private static Roofs MeasureRoofs(IMeasuredEngine engine)
    {
        Terminal.Line($"{engine.Description}");
        Roofs roofs = Roofs.Measure(engine);
        Terminal.Line(
            $"roofs: dense product 2048^3 {roofs.SgemmGflops:0.0} GFLOP/s (spread {roofs.SgemmSpread:0.0}), copy {roofs.CopyGbps:0.0} "
                + $"GB/s (spread {roofs.CopySpread:0.0})"
        );
        if (roofs.Float32Gflops is { } float32)
        {
            string tensor = roofs.TensorGflops is { } tf32 ? $"{Terminal.Number(tf32, "0")} GFLOP/s" : "none";
            Terminal.Line($"roofs in registers: float32 {float32:0} GFLOP/s; tf32 on tensor cores: {tensor}");
        }

        return roofs;
    }
}
