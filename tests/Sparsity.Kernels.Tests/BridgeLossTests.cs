using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>The divergence and the normalised error of bridges (docs/method.md section 5).</summary>
public class BridgeLossTests
{
    // As for the cross-entropy: about 10 roundings of 6e-8, of terms of order 1 to 10, and of a sum of at most 300 of them.
    private const double Tolerance = 1e-6;

    // Logarithms of probabilities are near 6 at 300 entries: each of the four roundings on the way to their difference is up to 2.4e-7 and
    // common to a token's terms, and so is the error of either sum.
    private const double LossTolerance = 3e-6;

    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void DivergenceMatchesReferenceAndFiniteDifferences(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t) in Shapes.All)
        {
            foreach (int vocabulary in new[] { 2, 7, 300 })
            {
                using var bench = Engines.Bench(engine);
                var random = new RandomArrays(seed++);
                string what = $"{engine}: divergence [{b},{t},{vocabulary}]";
                double[,,] target = random.Activations(b, t, vocabulary);
                double[,,] logits = random.Activations(b, t, vocabulary);
                ActivationTensor q = bench.Input(target);
                ActivationTensor p = bench.Input(logits);
                ActivationTensor losses = bench.Output(b, t, 1);
                bench.Engine.KullbackLeibler(q, p, losses, null, 1);
                double[,,] expected = Reference.KullbackLeibler(target, logits);
                Comparison.CloseRelative(expected, bench.Read(losses), LossTolerance, what);
                bench.RequireNoPadding(losses, what + ", losses");

                const float Scale = 0.25f; // a power of two: dividing by it is exact
                ActivationTensor gradient = bench.Output(b, t, vocabulary);
                bench.Engine.KullbackLeibler(q, p, losses, gradient, Scale);
                FiniteDifference.Check(
                    () => Flat.Of(Reference.KullbackLeibler(target, logits)).ToArray().Sum(),
                    logits,
                    [.. bench.Read(gradient).Select(g => g / Scale)],
                    Tolerance,
                    what
                );
                bench.RequireNoPadding(gradient, what);

                bench.Engine.KullbackLeibler(q, p, losses, p, Scale);
                Comparison.SameBits(bench.Read(gradient), bench.Read(p), what + ", gradient in place of the logits");
                Comparison.CloseRelative(expected, bench.Read(losses), LossTolerance, what + ", loss with the gradient in place");
                Comparison.SameBits(Flat.Floats(target), bench.Read(q), what + ", the target stays");
            }
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void DivergenceOfHandValues(string engine)
    {
        // Token 0: q = (3/4, 1/4) against p = (1/2, 1/2). Token 1: equal up to a constant. Token 2: q is certain, p gives it 1/3.
        double[,,] target =
        {
            {
                { Math.Log(3), 0, -1e4 },
                { 1, 2, 3 },
                { 0, 1e4, 0 },
            },
        };
        double[,,] logits =
        {
            {
                { 5, 5, -1e4 },
                { 11, 12, 13 },
                { 7, 7, 7 },
            },
        };
        using var bench = Engines.Bench(engine);
        ActivationTensor losses = bench.Output(1, 3, 1);
        ActivationTensor gradient = bench.Output(1, 3, 3);
        bench.Engine.KullbackLeibler(bench.Input(target), bench.Input(logits), losses, gradient, 1);
        Comparison.Close(
            [(0.75 * Math.Log(1.5)) + (0.25 * Math.Log(0.5)), 0, Math.Log(3)],
            bench.Read(losses),
            Tolerance,
            engine + ": divergence by hand"
        );
        double third = 1.0 / 3;
        Comparison.Close(
            [-0.25, 0.25, 0, 0, 0, 0, third, -2 * third, third],
            bench.Read(gradient),
            Tolerance,
            engine + ": its gradient by hand"
        );
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void DivergenceOfEqualLogitsIsExactlyZero(string engine)
    {
        using var bench = Engines.Bench(engine);
        double[,,] logits = new RandomArrays(3).Activations(2, 17, 24);
        ActivationTensor losses = bench.Output(2, 17, 1);
        ActivationTensor gradient = bench.Output(2, 17, 24);
        bench.Engine.KullbackLeibler(bench.Input(logits), bench.Input(logits), losses, gradient, 1);
        Assert.All(bench.Read(losses), loss => Assert.Equal(0, loss));
        Assert.All(bench.Read(gradient), entry => Assert.Equal(0, entry));
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void NotANumberReachesTheDivergence(string engine)
    {
        using var bench = Engines.Bench(engine);
        double[,,] broken =
        {
            {
                { 1, double.NaN, 2 },
                { 1, 2, 3 },
            },
        };
        double[,,] whole =
        {
            {
                { 1, 2, 2 },
                { 1, 2, 3 },
            },
        };
        ActivationTensor losses = bench.Output(1, 2, 1);
        bench.Engine.KullbackLeibler(bench.Input(broken), bench.Input(whole), losses, null, 1);
        Assert.True(float.IsNaN(bench.Read(losses)[0]));
        Assert.Equal(0, bench.Read(losses)[1]);
        bench.Engine.KullbackLeibler(bench.Input(whole), bench.Input(broken), losses, null, 1);
        Assert.True(float.IsNaN(bench.Read(losses)[0]));
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void NormalisedErrorMatchesReferenceAndFiniteDifferences(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            using var bench = Engines.Bench(engine);
            var random = new RandomArrays(seed++);
            string what = $"{engine}: normalised error [{b},{t},{channels}]";
            bool slice = seed % 2 == 0;
            double[,,] prediction = random.Activations(b, t, channels);
            double[,,] target = random.Activations(b, t, channels);
            ActivationTensor x = bench.Input(prediction, slice);
            ActivationTensor y = bench.Input(target, slice);
            ScalarTensor sums = bench.Scalars(4);
            bench.Engine.NormalisedErrorForward(x, y, sums, 1);
            (double error, double square) = Reference.NormalisedError(prediction, target);
            double[] read = bench.Read(sums);
            Comparison.CloseRelative(new[] { error, square }, [(float)read[1], (float)read[2]], 2e-7, what + ", sums");
            Assert.True(read[0] == 0 && read[3] == 0, what + ": the neighbours of the sums were touched.");

            // The denominator is a constant of the loss that is differentiated; gradients come on top of what was there.
            double Loss() => Reference.NormalisedError(prediction, target).Error / square;
            double[,,] before = random.Activations(b, t, channels);
            const float Scale = 4;
            ActivationTensor dx = bench.Gradient(before, slice);
            ActivationTensor dy = bench.Gradient(before, slice);
            bench.Engine.NormalisedErrorBackward(x, y, sums, 1, Scale, dx, dy);
            FiniteDifference.Check(Loss, prediction, Without(before, bench.Read(dx), Scale), Tolerance, what + ", prediction");
            FiniteDifference.Check(Loss, target, Without(before, bench.Read(dy), Scale), Tolerance, what + ", target");
            bench.RequireNoPadding(dx, what + ", prediction");
            bench.RequireNoPadding(dy, what + ", target");
            bench.RequireNeighboursUntouched(what);

            ActivationTensor alone = bench.Gradient(before, slice);
            bench.Engine.NormalisedErrorBackward(x, y, sums, 1, Scale, alone, null);
            Comparison.SameBits(bench.Read(dx), bench.Read(alone), what + ", prediction alone");
            alone = bench.Gradient(before, slice);
            bench.Engine.NormalisedErrorBackward(x, y, sums, 1, Scale, null, alone);
            Comparison.SameBits(bench.Read(dy), bench.Read(alone), what + ", target alone");
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void NormalisedErrorOfHandValues(string engine)
    {
        using var bench = Engines.Bench(engine);
        ActivationTensor x = bench.Input(
            new double[,,]
            {
                {
                    { 1, 2 },
                    { 3, -4 },
                },
            }
        );
        ActivationTensor y = bench.Input(
            new double[,,]
            {
                {
                    { 1, 0 },
                    { 2, -5 },
                },
            }
        );
        ScalarTensor sums = bench.Scalars(2);
        ActivationTensor gradient = bench.Gradient(new double[1, 2, 2]);
        bench.Engine.NormalisedErrorForward(x, y, sums, 0);
        bench.Engine.NormalisedErrorBackward(x, y, sums, 0, 3, gradient, null);
        Assert.Equal([6, 30], bench.Read(sums));
        Comparison.Close([0, 0.4, 0.2, 0.2], bench.Read(gradient), 1e-7, engine + ": 3 * 2 (x - t) / 30");
    }

    private static float[] Without(double[,,] before, float[] sum, float scale)
    {
        float[] start = Flat.Floats(before);
        return [.. sum.Select((value, i) => (value - start[i]) / scale)];
    }
}
