using Sparsity.TestSupport;
using Xunit.Sdk;

namespace Sparsity.Kernels.Tests;

/// <summary>The measures themselves: a comparison that passes everything would hide any defect.</summary>
public class TestSupportTests
{
    [Fact]
    public void CloseReportsTheWorstEntryAndItsShareOfTheTolerance()
    {
        Assert.Equal(0.5, Comparison.Close([1, 2], [1, 2.5f], 1, "half"));
        Assert.Equal(0, Comparison.Close([1, 2], [1, 2], 0, "equal"));
        var failure = Assert.Throws<ComparisonException>(() => Comparison.Close([1, 2, 3], [1, 2.5f, 5], 0.25, "the thing"));
        Assert.Contains(
            "the thing: differs by 2, allowed 0.25 (2 of 3 numbers differ by more; the worst is entry 2: expected 3, got 5)",
            failure.Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(double.NaN, 1f)]
    [InlineData(1.0, float.NaN)]
    [InlineData(double.NaN, float.NaN)]
    [InlineData(double.PositiveInfinity, float.PositiveInfinity)]
    [InlineData(1.0, float.PositiveInfinity)]
    public void CloseNeverPassesWhatIsNotFinite(double expected, float actual) =>
        Assert.Throws<ComparisonException>(() => Comparison.Close([0, expected, 0], [0, actual, 0], 1e300, "not finite"));

    /// <summary>The worst of several results is found by its share: what is no number must not come last.</summary>
    [Fact]
    public void AShareThatIsNoNumberIsTheLargest()
    {
        Assert.Equal(double.PositiveInfinity, new ParityResult("no tolerance", double.PositiveInfinity, double.NaN).Share);
        Assert.Equal(double.PositiveInfinity, new ParityResult("no difference", double.NaN, 1).Share);
        Assert.Equal(0.5, new ParityResult("half", 1, 2).Share);
        Assert.Equal(0, new ParityResult("equal", 0, 0).Share);
    }

    [Fact]
    public void CloseRefusesDifferentLengths() => Assert.Throws<ComparisonException>(() => Comparison.Close([1, 2], [1], 1, "lengths"));

    [Fact]
    public void SameBitsTellsZerosApart()
    {
        Comparison.SameBits([float.NaN, 0], [float.NaN, 0], "same");
        Assert.Throws<ComparisonException>(() => Comparison.SameBits([0f], [-0f], "zeros"));
    }

    /// <summary>Values of erf and erfc as the C library gives them (Python: math.erf).</summary>
    [Theory]
    [InlineData(0.5, 0.5204998778130465)]
    [InlineData(1, 0.8427007929497149)]
    [InlineData(1.9999, 0.9953201979070294)]
    [InlineData(2, 0.9953222650189527)]
    [InlineData(3, 0.9999779095030014)]
    [InlineData(-1, -0.8427007929497149)]
    public void ErfIsAccurate(double x, double expected)
    {
        Assert.Equal(expected, Reference.Erf(x), 4e-15);
        Assert.Equal(1 - expected, Reference.ComplementaryErf(x), 4e-15);
    }

    [Fact]
    public void ComplementaryErfIsAccurateFarOut()
    {
        Assert.Equal(1, Reference.ComplementaryErf(4) / 1.541725790028002e-8, 1e-13);
        Assert.Equal(1, Reference.ComplementaryErf(5) / 1.5374597944280351e-12, 1e-13);
        Assert.Equal(2, Reference.ComplementaryErf(-7));
    }

    [Fact]
    public void FiniteDifferencesAcceptTheGradientAndNoOther()
    {
        double[] x = [1, 2, 3];
        double Loss() => (x[0] * x[0]) + (x[1] * x[2]);
        FiniteDifference.Check(Loss, x, [2, 3, 2], 1e-8, "right");
        Assert.Equal([1, 2, 3], x);
        Assert.Throws<ComparisonException>(() => FiniteDifference.Check(Loss, x, [2, 3, 2.001f], 1e-6, "wrong"));
        Assert.ThrowsAny<XunitException>(() => FiniteDifference.Check(Loss, x, [2, 3, float.NaN], 1e-6, "not a number"));
    }

    /// <summary>One wrong entry among many shows along a random direction even where the sample misses it.</summary>
    [Fact]
    public void DirectionsNoticeASingleWrongEntryOfALargeArray()
    {
        double[] x = new RandomArrays(1).Vector(5000);
        double Loss() => x.Sum(value => value * value) / 2;
        float[] gradient = Flat.Floats(x);
        FiniteDifference.Check(Loss, x, gradient, 1e-6, "right");
        gradient[2500] += 0.1f;
        Assert.ThrowsAny<XunitException>(() => FiniteDifference.Check(Loss, x, gradient, 1e-6, "wrong"));
    }
}
