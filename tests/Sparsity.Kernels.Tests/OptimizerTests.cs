using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

public class OptimizerTests
{
    // Around vectors of 16 and the CPU engine's items of 16384 entries.
    private static readonly int[] Lengths = [1, 5, 16, 17, 64, 65, 130, 16385, 40000];

    public static TheoryData<string> AllEngines => Engines.All;

    /// <summary>
    /// Ten steps with a new gradient each. A step rounds the weight once (6e-8 of at most 5) and its update of at most the rate a few
    /// times: 5e-7 per step.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void AdamMatchesReferenceOverTenSteps(string engine)
    {
        foreach (int length in Lengths)
        {
            foreach (
                (float rate, float beta1, float beta2, float epsilon) in new[]
                {
                    (0.0128f, 0.9f, 0.95f, 0.1f),
                    (0.003f, 0.9f, 0.999f, 1e-8f),
                }
            )
            {
                using var bench = Engines.Bench(engine);
                var random = new RandomArrays((ulong)length);
                double[] weights = random.Vector(length);
                double[] first = new double[length];
                double[] second = new double[length];
                WeightTensor w = bench.Weights(weights);
                WeightTensor m = bench.Weights(first);
                WeightTensor v = bench.Weights(second);
                for (int step = 1; step <= 10; step++)
                {
                    double[] gradient = random.Vector(length);
                    const float Scale = 0.37f;
                    WeightTensor g = bench.Weights(gradient);
                    bench.Engine.AdamStep(w, g, m, v, Scale, rate, beta1, beta2, epsilon, step);
                    Reference.AdamStep(weights, gradient, first, second, Scale, rate, beta1, beta2, epsilon, step);
                    string what = $"{engine}: Adam, {length} entries, epsilon {epsilon}, step {step}";
                    Comparison.CloseRelative(weights, bench.Read(w), 2e-7 * step, what);
                    Comparison.CloseRelative(first, bench.Read(m), 5e-7, what + ", first moment");
                    Comparison.CloseRelative(second, bench.Read(v), 5e-7, what + ", second moment");
                    Comparison.SameBits(new float[length], bench.Read(g), what + ", gradient cleared");
                }
            }
        }
    }

    /// <summary>A gradient of zero and moments of zero leave a weight exactly where it is.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void AdamWithoutGradientMovesNothing(string engine)
    {
        using var bench = Engines.Bench(engine);
        double[] weights = new RandomArrays(1).Vector(17);
        WeightTensor w = bench.Weights(weights);
        bench.Engine.AdamStep(
            w,
            bench.Constant(1, 17, 0),
            bench.Constant(1, 17, 0),
            bench.Constant(1, 17, 0),
            1,
            0.1f,
            0.9f,
            0.95f,
            0.1f,
            1
        );
        Comparison.SameBits(Flat.Floats(weights), bench.Read(w), engine);
    }

    /// <summary>Summed in double: 1e-12 relatively.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void RootMeanSquareIsOverAllEntriesTogether(string engine)
    {
        using var bench = Engines.Bench(engine);
        double[][] vectors = [.. Lengths.Select(length => new RandomArrays((ulong)length).Vector(length))];
        double expected = Reference.RootMeanSquare(vectors);
        double actual = bench.RootMeanSquare([.. vectors.Select(vector => bench.Weights(vector))]);
        Assert.True(Math.Abs(actual - expected) <= 1e-12 * expected, $"{engine}: expected {expected}, got {actual}.");

        Assert.Equal(3, bench.RootMeanSquare([bench.Weights([3.0])]));
        Assert.Equal(0, bench.RootMeanSquare([bench.Constant(4, 5, 0)]));
        double large = bench.RootMeanSquare([bench.Constant(4, 5, 1e30f), bench.Constant(3, 1, 1e30f)]);
        Assert.True(Math.Abs((large / 1e30f) - 1) <= 1e-12, $"{engine}: squares beyond float32 overflow: {large}.");
        Assert.True(double.IsNaN(bench.RootMeanSquare([bench.Weights([1, double.NaN])])), $"{engine}: NaN must show.");
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ScaleAndCountNonzero(string engine)
    {
        foreach (int length in Lengths)
        {
            using var bench = Engines.Bench(engine);
            double[,] values = new RandomArrays((ulong)length).Matrix(1, length, 0.3);
            WeightTensor weights = bench.Weights(values);
            Assert.Equal(Flat.Of(values).ToArray().Count(v => v != 0), bench.Engine.CountNonzero(weights));

            bench.Engine.Scale(weights, 0.9f);
            Comparison.SameBits([.. Flat.Floats(values).Select(v => v * 0.9f)], bench.Read(weights), $"{engine}: {length} entries scaled");
            bench.Engine.Zero(weights);
            Assert.Equal(0, bench.Engine.CountNonzero(weights));
        }

        using var special = Engines.Bench(engine);
        Assert.Equal(
            3,
            special.Engine.CountNonzero(special.Weights([0, double.NegativeZero, float.Epsilon, double.NaN, double.PositiveInfinity]))
        );
    }
}
