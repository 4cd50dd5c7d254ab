using System.Diagnostics;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;
using Sparsity.Kernels;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Benchmarks;

/// <summary>What <c>bench prune --json</c> writes.</summary>
/// <param name="Size">Its name.</param>
/// <param name="Phase">dense, mid or sparse.</param>
/// <param name="MsPerStep">Median.</param>
/// <param name="MsSpread">Half the distance between the quartiles.</param>
/// <param name="SecondsPerThousandSteps">From the median.</param>
/// <param name="Breakdown">Mean milliseconds per step of each kernel; "other" is what no kernel accounts for. Empty on a GPU.</param>
internal sealed record PruneBenchmarkResult(
    string Size,
    string Phase,
    double MsPerStep,
    double MsSpread,
    double SecondsPerThousandSteps,
    IReadOnlyDictionary<string, double> Breakdown
);

/// <summary>Times steps of mask training: 128 prompts of 64 random tokens, a mask on every node, weights frozen.</summary>
internal static class PruneBenchmark
{
    private const int Pairs = 64;
    private const int PromptTokens = 64;
    private const int WarmUp = 3;

    /// <param name="engine">Where the model is; the kernels of the CPU engine are timed one by one.</param>
    /// <param name="size">Which model; its weights are random.</param>
    /// <param name="phase">At which density.</param>
    /// <param name="steps">Measured steps, from 1, after the warm-up.</param>
    /// <param name="stop">Looked at between steps.</param>
    /// <exception cref="InvalidOperationException">No gradient reaches some place of the model: the step that would be timed is
    /// wrong.</exception>
    public static PruneBenchmarkResult Run(
        IMeasuredEngine engine,
        BenchmarkSize size,
        BenchmarkPhase phase,
        int steps,
        CancellationToken stop
    )
    {
        using ModelParameters parameters = size.RandomWeights(engine, phase);
        var model = new Transformer(parameters);
        var layout = new NodeLayout(model.Config);
        int atOnce = PruningMemory.PairsAtOnce(model, PromptTokens, Pairs);
        using var masked = new MaskedRunner(model, layout, new float[layout.Count], atOnce, PromptTokens);
        TokenizedPair[] pairs = [.. Enumerable.Range(0, Pairs).Select(i => new TokenizedPair(Prompt(i), Prompt(Pairs + i), 1, 2))];
        RequireGradientEverywhere(masked, layout, pairs);
        var mask = new MaskTraining(
            masked,
            new PruningConfig
            {
                BatchPairs = Pairs,
                MaxTokens = PromptTokens,
                Steps = WarmUp + steps,
            },
            kCoef: 1e-4
        );
        for (int step = 0; step < WarmUp; step++)
        {
            stop.ThrowIfCancellationRequested();
            mask.Step(step, pairs);
        }

        var total = new KernelTimes();
        engine.KernelTimes = engine is CpuEngine ? total : null;
        var times = new double[steps];
        for (int i = 0; i < steps; i++)
        {
            stop.ThrowIfCancellationRequested();
            long started = Stopwatch.GetTimestamp();
            mask.Step(WarmUp + i, pairs);
            times[i] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }

        engine.KernelTimes = null;
        Dictionary<string, double> breakdown = total
            .Read()
            .ToDictionary(entry => entry.Kernel, entry => Math.Round(entry.Milliseconds / steps, 3));
        if (engine is CpuEngine)
        {
            breakdown["other"] = Math.Round(times.Average() - breakdown.Values.Sum(), 3);
        }

        Measurement median = Measurement.Of(times);
        return new PruneBenchmarkResult(
            size.Name,
            phase.ToString().ToLowerInvariant(),
            Math.Round(median.Median, 3),
            Math.Round(median.Spread, 3),
            Math.Round(median.Median, 1),
            breakdown
        );

        int[] Prompt(int i) => RandomNumbers.Tokens(PromptTokens, size.Model.VocabSize, (ulong)i);
    }

    private static void RequireGradientEverywhere(MaskedRunner masked, NodeLayout layout, TokenizedPair[] pairs)
    {
        var gradient = new float[layout.Count];
        masked.LossAndMaskGradient(NodeSet.All(layout).ToMask(), pairs, TaskLoss.Binary, gradient);
        for (int site = 0; site < layout.Sites.Count; site++)
        {
            ReadOnlySpan<float> here = gradient.AsSpan(layout.RangeOf(site));
            if (!here.ContainsAnyExcept(0f) || here.ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
            {
                throw new InvalidOperationException(
                    $"The mask gradient at {layout.Sites[site]} is zero or not finite: the step is wrong, its time means nothing."
                );
            }
        }
    }
}
