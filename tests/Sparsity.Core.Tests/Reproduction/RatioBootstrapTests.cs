using Sparsity.Core.Reproduction;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>Intervals beside distributions that can be written down.</summary>
public class RatioBootstrapTests
{
    private const int Resamples = 2000;

    [Fact]
    public void OneCellHasNoSpread()
    {
        RatioEstimate estimate = RatioBootstrap.Estimate([new RatioCell("a", 1, Math.Log(5))], Resamples, 1)!;

        Assert.Equal(5, estimate.Ratio, 1e-12);
        Assert.Equal(5, estimate.Low, 1e-12);
        Assert.Equal(5, estimate.High, 1e-12);
        Assert.Equal(1, estimate.Cells);
    }

    [Fact]
    public void NoCellsGiveNoEstimate() => Assert.Null(RatioBootstrap.Estimate([], Resamples, 1));

    [Fact]
    public void TwoTasksGiveTheirOwnRatiosAsEnds()
    {
        // Resampled means: 2 and 8 with a quarter each, 4 with a half.
        RatioEstimate estimate = RatioBootstrap.Estimate(
            [new RatioCell("a", 1, Math.Log(2)), new RatioCell("b", 1, Math.Log(8))],
            Resamples,
            1
        )!;

        Assert.Equal(4, estimate.Ratio, 1e-12);
        Assert.Equal(2, estimate.Low, 1e-12);
        Assert.Equal(8, estimate.High, 1e-12);
    }

    [Fact]
    public void ManyTasksDoNotHideThatThereAreTwoSeeds()
    {
        // All that varies is the seed, so a quarter of the resamples has only the first and a quarter only the second. Cells drawn one by
        // one would give about 1.5 to 2.7.
        RatioCell[] cells =
        [
            .. Enumerable
                .Range(0, 20)
                .SelectMany(task => new[] { new RatioCell($"{task}", 1, 0), new RatioCell($"{task}", 2, Math.Log(4)) }),
        ];

        RatioEstimate estimate = RatioBootstrap.Estimate(cells, Resamples, 3)!;

        Assert.Equal(2, estimate.Ratio, 1e-12);
        Assert.Equal(1, estimate.Low, 1e-12);
        Assert.Equal(4, estimate.High, 1e-12);
        Assert.Equal(40, estimate.Cells);
    }

    [Fact]
    public void ManyTasksOfOneSeedGiveTheIntervalOfTheirMean()
    {
        // 100 tasks, half with ln r = 0 and half with 1: the mean's deviation is 0.05, its middle 95 % 0.5 -+ 0.098.
        RatioCell[] cells = [.. Enumerable.Range(0, 100).Select(task => new RatioCell($"{task}", 1, task % 2))];

        RatioEstimate estimate = RatioBootstrap.Estimate(cells, 10_000, 1)!;

        Assert.Equal(0.5, Math.Log(estimate.Ratio), 1e-12);
        Assert.Equal(0.402, Math.Log(estimate.Low), 0.02);
        Assert.Equal(0.598, Math.Log(estimate.High), 0.02);
    }

    [Fact]
    public void MissingCellsLeaveOutTheResamplesThatHoldNothing()
    {
        // Tasks a and b each with a seed of their own: a resample of a alone with seed 2 alone has nothing.
        RatioEstimate estimate = RatioBootstrap.Estimate([new RatioCell("a", 1, 0), new RatioCell("b", 2, Math.Log(9))], Resamples, 1)!;

        Assert.Equal(3, estimate.Ratio, 1e-12);
        Assert.Equal(1, estimate.Low, 1e-12);
        Assert.Equal(9, estimate.High, 1e-12);
    }

    [Fact]
    public void TheSeedDecidesTheDraws()
    {
        RatioCell[] cells = [.. Enumerable.Range(0, 7).Select(task => new RatioCell($"{task}", 1, task * 0.37))];

        Assert.Equal(RatioBootstrap.Estimate(cells, 200, 1), RatioBootstrap.Estimate(cells, 200, 1));
        Assert.NotEqual(RatioBootstrap.Estimate(cells, 200, 1), RatioBootstrap.Estimate(cells, 200, 2));
    }
}
