using MathNet.Numerics.Distributions;

namespace Sparsity.Core.Reproduction;

/// <summary>
/// A ratio over tasks with Student's t-interval: the tasks are taken to be drawn from all tasks there could be, and how far their own
/// ratios lie apart says how far the mean may lie from that of all. Seeds only make each task's own ratio sharper.
/// </summary>
/// <param name="Ratio">Geometric mean of the tasks' own geometric means over their seeds: each task counts once.</param>
/// <param name="Low">Lower end of the 95 % interval, with one degree of freedom fewer than tasks; null for one task.</param>
/// <param name="High">Upper end; null for one task.</param>
internal sealed record TaskRatio(double Ratio, double? Low, double? High)
{
    private const double Upper = 0.975;

    /// <param name="cells">At least one; tasks may have different numbers of seeds.</param>
    public static TaskRatio Of(IEnumerable<RatioCell> cells)
    {
        double[] logs = [.. cells.GroupBy(cell => cell.Task).Select(task => task.Average(cell => cell.LogRatio))];
        double mean = logs.Average();
        if (logs.Length == 1)
        {
            return new TaskRatio(Math.Exp(mean), null, null);
        }

        double variance = logs.Sum(log => (log - mean) * (log - mean)) / (logs.Length - 1);
        double half = StudentT.InvCDF(0, 1, logs.Length - 1, Upper) * Math.Sqrt(variance / logs.Length);
        return new TaskRatio(Math.Exp(mean), Math.Exp(mean - half), Math.Exp(mean + half));
    }
}
