using Sparsity.Core.Tasks;

namespace Sparsity.Core.Tests.Tasks;

public class LogitDifferencesTests
{
    [Fact]
    public void TheLossIsThatOfASoftmaxOverTheTwoAnswers()
    {
        // Pair 1: z1 = (2, -1), z2 = (0, 1); pair 2: z1 = (0, 0), z2 = (-3, 0).
        double first = -(Math.Log(Math.Exp(2) / (Math.Exp(2) + Math.Exp(-1))) + Math.Log(Math.E / (1 + Math.E))) / 2;
        double second = -(Math.Log(0.5) + Math.Log(1 / (1 + Math.Exp(-3)))) / 2;
        var differences = new LogitDifferences([(3, -1), (0, -3)]);
        Assert.Equal((first + second) / 2, differences.BinaryLoss(), 1e-14);
        Assert.Equal(0.875, differences.Accuracy());
    }

    [Fact]
    public void FirstAndSecondAreNotTheSame()
    {
        var right = new LogitDifferences([(2, -1)]);
        var wrong = new LogitDifferences([(-1, 2)]);

        Assert.Equal((1, 0), (right.Accuracy(), wrong.Accuracy()));
        Assert.Equal((Math.Log(1 + Math.Exp(-2)) + Math.Log(1 + Math.Exp(-1))) / 2, right.BinaryLoss(), 1e-14);
        Assert.Equal((Math.Log(1 + Math.E) + Math.Log(1 + Math.Exp(2))) / 2, wrong.BinaryLoss(), 1e-14);

        // What is fitted: the scale acts on both, the shift towards a.
        Assert.Equal((Math.Log(1 + Math.Exp(-7)) + Math.Log(1 + Math.Exp(-2))) / 2, right.BinaryLoss(3, 1), 1e-14);
    }

    [Fact]
    public void LargeDifferencesDoNotOverflow()
    {
        var differences = new LogitDifferences([(-1000, -1000)]);
        Assert.Equal(500, differences.BinaryLoss(), 1e-9);
        Assert.Equal([(-0.5, 0)], differences.BinaryLossGradient());
    }

    [Fact]
    public void TheGradientAgreesWithFiniteDifferences()
    {
        (double First, double Second)[] d = [(0.3, -1.2), (2, 0.7)];
        IReadOnlyList<(double First, double Second)> gradient = new LogitDifferences(d).BinaryLossGradient(1.5, -0.25);
        for (int i = 0; i < d.Length; i++)
        {
            Assert.Equal(Slope(i, 1e-6, 0), gradient[i].First, 1e-8);
            Assert.Equal(Slope(i, 0, 1e-6), gradient[i].Second, 1e-8);
        }

        double Slope(int pair, double first, double second) => (Loss(pair, first, second) - Loss(pair, -first, -second)) / 2e-6 / 1.5;

        double Loss(int pair, double first, double second)
        {
            (double First, double Second)[] moved = [.. d];
            moved[pair] = (d[pair].First + first, d[pair].Second + second);
            return new LogitDifferences(moved).BinaryLoss(1.5, -0.25);
        }
    }
}
