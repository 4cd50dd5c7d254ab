using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Tests.Circuits;

public class CalibrationTests
{
    [Fact]
    public void ItFindsTheBestScaleAndShift()
    {
        // Overconfident and shifted: a grid search gives the optimum to compare with.
        LogitDifferences d = Random(apart: 4, shift: 3, spread: 6);
        CalibrationResult result = Calibration.Fit(d, 16);
        double best = double.PositiveInfinity;
        for (double scale = 0; scale < 2; scale += 0.01)
        {
            for (double shift = -3; shift < 3; shift += 0.02)
            {
                best = Math.Min(best, d.BinaryLoss(scale, shift));
            }
        }

        Assert.Equal(d.BinaryLoss(), result.LossBefore, 1e-14);
        Assert.Equal(d.BinaryLoss(result.Scale, result.Shift), result.LossAfter, 1e-14);
        Assert.InRange(result.LossAfter, best - 1e-3, best + 1e-5);
        Assert.True(result.LossAfter < result.LossBefore - 0.1);
    }

    [Fact]
    public void ItConvergesWhereTheCurvatureIsFarFromOne()
    {
        // Small differences want a large scale: the second derivative there is about 1e-3, and steps that do not know it crawl.
        LogitDifferences d = Random(apart: 0.05, shift: 0, spread: 0.06);
        CalibrationResult result = Calibration.Fit(d, 16);
        Assert.Equal(Calibration.Fit(d, 1000).LossAfter, result.LossAfter, 1e-7);
        Assert.InRange(result.Scale, 20, 60);
    }

    private static LogitDifferences Random(double apart, double shift, double spread)
    {
        var random = new RandomSource(3);
        return new LogitDifferences([.. Enumerable.Range(0, 200).Select(_ => (Next(apart), Next(-apart)))]);

        double Next(double mean) => mean + shift + (spread * random.NextNormal());
    }
}
