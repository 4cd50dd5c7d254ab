namespace Sparsity.Core.Reproduction;

/// <summary>How many times more edges one of two circuits has, for one task and seed.</summary>
/// <param name="LogRatio">Natural logarithm.</param>
internal readonly record struct RatioCell(string Task, ulong Seed, double LogRatio);

/// <summary>A geometric mean of ratios with the middle 95 % of its bootstrap distribution.</summary>
/// <param name="Cells">Pairs of task and seed behind it.</param>
internal sealed record RatioEstimate(double Ratio, double Low, double High, int Cells);

/// <summary>
/// Resamples tasks and seeds, each with replacement and independently of the other, as new tasks and new seeds would be drawn: cells of one
/// task or one seed come and go together, so that many tasks measured with few seeds do not pass for many seeds.
/// </summary>
internal static class RatioBootstrap
{
    private const double Tail = 0.025;

    /// <param name="cells">At most one for each task and seed; some may lack.</param>
    /// <param name="resamples">How many, from 1; one that holds no cell is left out.</param>
    /// <param name="seed">Of the draws.</param>
    /// <returns>Null where there are no cells.</returns>
    public static RatioEstimate? Estimate(IReadOnlyList<RatioCell> cells, int resamples, ulong seed)
    {
        if (cells.Count == 0)
        {
            return null;
        }

        string[] tasks = [.. cells.Select(cell => cell.Task).Distinct().Order(StringComparer.Ordinal)];
        ulong[] seeds = [.. cells.Select(cell => cell.Seed).Distinct().Order()];
        (int Task, int Seed, double LogRatio)[] indexed =
        [
            .. cells.Select(cell => (Array.IndexOf(tasks, cell.Task), Array.IndexOf(seeds, cell.Seed), cell.LogRatio)),
        ];
        var random = RandomSource.For(seed, "bootstrap of edge ratios");
        var taskCounts = new int[tasks.Length];
        var seedCounts = new int[seeds.Length];
        var means = new List<double>();
        for (int i = 0; i < resamples; i++)
        {
            Draw(random, taskCounts);
            Draw(random, seedCounts);
            double weight = indexed.Sum(cell => (double)taskCounts[cell.Task] * seedCounts[cell.Seed]);
            if (weight > 0)
            {
                means.Add(indexed.Sum(cell => taskCounts[cell.Task] * seedCounts[cell.Seed] * cell.LogRatio) / weight);
            }
        }

        double mean = cells.Average(cell => cell.LogRatio);
        means.Sort();
        return means.Count == 0
            ? new RatioEstimate(Math.Exp(mean), Math.Exp(mean), Math.Exp(mean), cells.Count)
            : new RatioEstimate(
                Math.Exp(mean),
                Math.Exp(means[(int)(Tail * means.Count)]),
                Math.Exp(means[means.Count - 1 - (int)(Tail * means.Count)]),
                cells.Count
            );
    }

    /// <summary>Overwrites <paramref name="counts"/> with how often each was drawn in as many draws as there are.</summary>
    private static void Draw(RandomSource random, int[] counts)
    {
        Array.Clear(counts);
        for (int i = 0; i < counts.Length; i++)
        {
            counts[random.NextInt(counts.Length)]++;
        }
    }
}
