using Sparsity.Core.Reproduction;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>The search for the dense width of a given loss.</summary>
public class WidthSearchTests
{
    private static readonly int[] Widths = [8, 16, 24, 32, 48, 64, 96];

    [Fact]
    public void AWidthWithinTheToleranceEndsTheSearch()
    {
        var search = new WidthSearch(Widths, 32, 2, 0.02);

        Assert.Equal(32, search.Next);
        search.Add(1.9); // 5 % better than looked for: narrower
        Assert.Equal(24, search.Next);
        search.Add(2.03); // 1.5 % above
        Assert.Null(search.Next);
        WidthMatch match = search.Match();
        Assert.Equal(MatchKind.Matched, match.Kind);
        Assert.Equal([24], match.Widths);
        Assert.Equal(0, match.Share);
    }

    [Fact]
    public void WithoutAMatchTheNeighboursAreInterpolated()
    {
        var search = new WidthSearch(Widths, 32, 2, 0.02);
        var tried = new List<int>();
        while (search.Next is { } width)
        {
            tried.Add(width);
            search.Add(width >= 24 ? 1.9 : 2.3);
        }

        Assert.Equal([32, 24, 8, 16], tried); // one down, two down, then between
        WidthMatch match = search.Match();
        Assert.Equal(MatchKind.Interpolated, match.Kind);
        Assert.Equal([16, 24], match.Widths);
        Assert.Equal(0.75, match.Share, 1e-12); // (2 - 2.3) / (1.9 - 2.3)
    }

    [Fact]
    public void FromAWidthThatIsTooNarrowItGoesUp()
    {
        var search = new WidthSearch(Widths, 8, 2, 0.02);
        var tried = new List<int>();
        while (search.Next is { } width)
        {
            tried.Add(width);
            search.Add(width >= 64 ? 1.9 : 2.1);
        }

        Assert.Equal([8, 16, 32, 96, 48, 64], tried); // strides of 1, 2 and 4, the last cut at the end of the range; then between
        Assert.Equal([48, 64], search.Match().Widths);
        Assert.Equal(0.5, search.Match().Share, 1e-12);
    }

    [Theory]
    [InlineData(3.0, 96)]
    [InlineData(1.0, 8)]
    public void WhereAllAreWorseOrBetterTheNearestWidthStandsIn(double everyLoss, int expected)
    {
        var search = new WidthSearch(Widths, 32, 2, 0.02);
        while (search.Next is not null)
        {
            search.Add(everyLoss);
        }

        WidthMatch match = search.Match();
        Assert.Equal(MatchKind.OutOfRange, match.Kind);
        Assert.Equal([expected], match.Widths);
    }

    [Fact]
    public void TheToleranceIsAShareOfTheLossLookedFor()
    {
        var search = new WidthSearch([8], 8, 4, 0.02);
        search.Add(4.081); // 2 % of 4 is 0.08

        Assert.Null(search.Next);
        Assert.Equal(MatchKind.OutOfRange, search.Match().Kind);
    }
}
