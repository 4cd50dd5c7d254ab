using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Tests.Pruning;

public class BinaryLossTests
{
    [Fact]
    public void TheLossIsThatOfASoftmaxOverTheTwoAnswers()
    {
        // Pair 1: z1 = (2, -1), z2 = (0, 1); pair 2: z1 = (0, 0), z2 = (-3, 0).
        double first = -(Math.Log(Math.Exp(2) / (Math.Exp(2) + Math.Exp(-1))) + Math.Log(Math.E / (1 + Math.E))) / 2;
        double second = -(Math.Log(0.5) + Math.Log(1 / (1 + Math.Exp(-3)))) / 2;
        Assert.Equal((first + second) / 2, BinaryLoss.Mean([3, -1, 0, -3]), 1e-14);
        Assert.Equal(0.875, BinaryLoss.Accuracy([3, -1, 0, -3]));
    }

    [Fact]
    public void LargeDifferencesDoNotOverflow()
    {
        Assert.Equal(500, BinaryLoss.Mean([-1000, -1000]), 1e-9);
        var gradient = new double[2];
        BinaryLoss.Gradient([-1000, -1000], gradient);
        Assert.Equal([-0.5, 0], gradient);
    }

    [Fact]
    public void TheGradientAgreesWithFiniteDifferences()
    {
        double[] d = [0.3, -1.2, 2, 0.7];
        var gradient = new double[4];
        BinaryLoss.Gradient(d, gradient, 1.5, -0.25);
        for (int i = 0; i < 4; i++)
        {
            double[] up = [.. d];
            double[] down = [.. d];
            up[i] += 1e-6;
            down[i] -= 1e-6;
            Assert.Equal((BinaryLoss.Mean(up, 1.5, -0.25) - BinaryLoss.Mean(down, 1.5, -0.25)) / 2e-6 / 1.5, gradient[i], 1e-8);
        }
    }

    [Fact]
    public void CalibrationFindsTheBestScaleAndShift()
    {
        // Overconfident and shifted: a grid search gives the optimum to compare with.
        var random = new RandomSource(3);
        double[] d = [.. Enumerable.Range(0, 400).Select(i => (i % 2 == 0 ? 4 : -4) + 3 + (6 * random.NextNormal()))];
        CalibrationResult result = Calibration.Fit(d, 16);
        double best = double.PositiveInfinity;
        for (double scale = 0; scale < 2; scale += 0.01)
        {
            for (double shift = -3; shift < 3; shift += 0.02)
            {
                best = Math.Min(best, BinaryLoss.Mean(d, scale, shift));
            }
        }

        Assert.Equal(BinaryLoss.Mean(d), result.LossBefore, 1e-14);
        Assert.Equal(BinaryLoss.Mean(d, result.Scale, result.Shift), result.LossAfter, 1e-14);
        Assert.InRange(result.LossAfter, best - 1e-3, best + 1e-5);
        Assert.True(result.LossAfter < result.LossBefore - 0.1);
    }

    [Fact]
    public void CalibrationConvergesWhereTheCurvatureIsFarFromOne()
    {
        // Small differences want a large scale: the second derivative there is about 1e-3, and steps that do not know it crawl.
        var random = new RandomSource(3);
        double[] d = [.. Enumerable.Range(0, 400).Select(i => (i % 2 == 0 ? 0.05 : -0.05) + (0.06 * random.NextNormal()))];
        CalibrationResult result = Calibration.Fit(d, 16);
        Assert.Equal(Calibration.Fit(d, 1000).LossAfter, result.LossAfter, 1e-7);
        Assert.InRange(result.Scale, 20, 60);
    }
}
