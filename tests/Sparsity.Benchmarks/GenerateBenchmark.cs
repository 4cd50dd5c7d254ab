using System.Diagnostics;
using Sparsity.Core.Engine;
using Sparsity.Core.Generation;
using Sparsity.Core.Model;

namespace Sparsity.Benchmarks;

/// <summary>What <c>bench generate --json</c> writes.</summary>
/// <param name="Size">Its name.</param>
/// <param name="Phase">dense, mid or sparse.</param>
/// <param name="TokensPerSecond">From the median token.</param>
/// <param name="MsPerToken">Median.</param>
/// <param name="MsSpread">Half the distance between the quartiles.</param>
/// <param name="CpuMsPerToken">Mean processor time of all threads, which other programs on the machine disturb less.</param>
internal sealed record GenerateBenchmarkResult(
    string Size,
    string Phase,
    double TokensPerSecond,
    double MsPerToken,
    double MsSpread,
    double CpuMsPerToken
);

/// <summary>Times the tokens that follow a prompt of 16, one sequence, greedily, with the cache of keys and values.</summary>
internal static class GenerateBenchmark
{
    private const int Prompt = 16;
    private const int WarmUp = 30;
    private const int Verified = 8;

    /// <param name="engine">Where the model is.</param>
    /// <param name="size">Which model; its weights are random.</param>
    /// <param name="phase">At which density.</param>
    /// <param name="tokens">Measured tokens, at most context - 46.</param>
    /// <param name="stop">Looked at between tokens.</param>
    /// <exception cref="InvalidOperationException">The tokens differ from those without a cache.</exception>
    public static GenerateBenchmarkResult Run(
        IComputeEngine engine,
        BenchmarkSize size,
        BenchmarkPhase phase,
        int tokens,
        CancellationToken stop
    )
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens, BenchmarkSize.Context - Prompt - WarmUp);
        using ModelParameters parameters = size.RandomWeights(engine, phase);
        var model = new Transformer(parameters);
        int[] prompt = RandomNumbers.Tokens(Prompt, size.Model.VocabSize, 1);
        using var generator = new TextGenerator(model);
        RequireSameAsWithoutCache(model, generator, prompt);

        var greedy = new SamplingConfig { Temperature = 0 };
        var times = new double[tokens];
        TimeSpan cpu = default;
        int produced = 0;
        long started = 0;
        foreach (int _ in generator.Continue(prompt, WarmUp + tokens, greedy, 1, endOfText: -1))
        {
            stop.ThrowIfCancellationRequested();
            if (produced >= WarmUp)
            {
                times[produced - WarmUp] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            }

            if (++produced == WarmUp)
            {
                cpu = Environment.CpuUsage.TotalTime;
            }

            started = Stopwatch.GetTimestamp();
        }

        cpu = Environment.CpuUsage.TotalTime - cpu;
        Measurement token = Measurement.Of(times);
        return new GenerateBenchmarkResult(
            size.Name,
            phase.ToString().ToLowerInvariant(),
            Math.Round(1000 / token.Median, 1),
            Math.Round(token.Median, 4),
            Math.Round(token.Spread, 4),
            Math.Round(cpu.TotalMilliseconds / tokens, 4)
        );
    }

    private static void RequireSameAsWithoutCache(Transformer model, TextGenerator generator, int[] prompt)
    {
        var greedy = new SamplingConfig { Temperature = 0 };
        using var plain = new TextGenerator(model, useCache: false);
        if (
            !plain
                .Continue(prompt, Verified, greedy, 1, endOfText: -1)
                .SequenceEqual(generator.Continue(prompt, Verified, greedy, 1, endOfText: -1))
        )
        {
            throw new InvalidOperationException("The tokens with a cache differ from those without: their time means nothing.");
        }
    }
}
