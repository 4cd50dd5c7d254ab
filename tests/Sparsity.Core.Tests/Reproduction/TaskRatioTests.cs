using Sparsity.Core.Reproduction;
using Xunit.Abstractions;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>Student's interval over tasks: by hand, and how often it holds the truth.</summary>
public class TaskRatioTests(ITestOutputHelper output)
{
    [Fact]
    public void EachTaskCountsOnceHoweverManySeedsItHas()
    {
        // Means of the tasks: ln 2, ln 8 and ln 4. Mean ln 4, deviation ln 2, t(2) = 4.302653: 4 times 2^(-+ 4.302653 / sqrt 3).
        var ratio = TaskRatio.Of([
            new RatioCell("a", 1, Math.Log(1)),
            new RatioCell("a", 2, Math.Log(4)),
            new RatioCell("b", 1, Math.Log(8)),
            new RatioCell("c", 3, Math.Log(4)),
        ]);

        Assert.Equal(4, ratio.Ratio, 1e-12);
        Assert.Equal(4 * Math.Pow(2, -4.302653 / Math.Sqrt(3)), ratio.Low!.Value, 1e-6);
        Assert.Equal(4 * Math.Pow(2, 4.302653 / Math.Sqrt(3)), ratio.High!.Value, 1e-4);
    }

    [Fact]
    public void OneTaskHasNoIntervalHoweverManySeeds() =>
        Assert.Equal(new TaskRatio(Math.Exp(0.5), null, null), TaskRatio.Of([new RatioCell("a", 1, 0), new RatioCell("a", 2, 1)]));

    /// <summary>The five tasks that docs/results.md compares; the interval there.</summary>
    [Fact]
    public void TheIntervalOfTheTasksOfTheDocument()
    {
        var ratio = TaskRatio.Of(new[] { 27.7, 12.7, 9.4, 9.3, 1.1 }.Select((value, i) => new RatioCell($"{i}", 1, Math.Log(value))));

        Assert.Equal("8.1 (1.8 to 35.6)", FormattableString.Invariant($"{ratio.Ratio:0.0} ({ratio.Low:0.0} to {ratio.High:0.0})"));
    }

    /// <summary>
    /// Made-up truths: tasks have ratios of their own around the mean of all tasks, and seeds differ around these. At 5 tasks and 3 seeds
    /// the t-interval holds the mean in 95 % of 2,000 draws, give or take three standard errors of such a share (1.5 %). The bootstrap,
    /// which sees the spread of a sample as if it were that of all tasks, holds it less often where tasks differ more than seeds, as they
    /// do in the figures: that is why both are reported.
    /// </summary>
    [Theory]
    [InlineData(1, 0.25, 0.93)]
    [InlineData(1, 0.5, 0.93)]
    [InlineData(0.3, 1, 1)] // where seeds differ more, the bootstrap, which draws them too, is wide enough
    public void TheIntervalHoldsTheMeanInNinetyFivePercentOfDrawsAndTheBootstrapInFewer(
        double betweenTasks,
        double withinTask,
        double mostByBootstrap
    )
    {
        const int Draws = 2000;
        const int Tasks = 5;
        const int Seeds = 3;
        const double Truth = 2;
        var random = RandomSource.For(7, "coverage of intervals", (long)(100 * betweenTasks * withinTask));
        int byT = 0,
            byBootstrap = 0;
        for (int draw = 0; draw < Draws; draw++)
        {
            var cells = new List<RatioCell>();
            for (int task = 0; task < Tasks; task++)
            {
                double own = Truth + (betweenTasks * random.NextNormal());
                for (ulong seed = 1; seed <= Seeds; seed++)
                {
                    cells.Add(new RatioCell($"{task}", seed, own + (withinTask * random.NextNormal())));
                }
            }

            var overTasks = TaskRatio.Of(cells);
            byT += overTasks.Low <= Math.Exp(Truth) && Math.Exp(Truth) <= overTasks.High ? 1 : 0;
            RatioEstimate bootstrap = RatioBootstrap.Estimate(cells, 200, (ulong)draw)!;
            byBootstrap += bootstrap.Low <= Math.Exp(Truth) && Math.Exp(Truth) <= bootstrap.High ? 1 : 0;
        }

        output.WriteLine(FormattableString.Invariant($"t {(double)byT / Draws:0.000}, bootstrap {(double)byBootstrap / Draws:0.000}"));
        Assert.InRange(byT, 0.935 * Draws, 0.965 * Draws);
        Assert.InRange(byBootstrap, 0.78 * Draws, mostByBootstrap * Draws);
    }
}
