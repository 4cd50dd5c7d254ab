using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

public class LossTests
{
    // exp, a sum of at most 300 of them, log: about 10 roundings of 6e-8, of losses of order 1 to 10.
    private const double Tolerance = 1e-6;

    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void CrossEntropyMatchesReferenceAndFiniteDifferences(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t) in Shapes.All)
        {
            foreach (int vocabulary in new[] { 2, 7, 24, 300 })
            {
                using var bench = Engines.Bench(engine);
                var random = new RandomArrays(seed++);
                string what = $"{engine}: cross-entropy [{b},{t},{vocabulary}]";
                double[,,] logits = random.Activations(b, t, vocabulary);
                int[,] targets = NextTokens(random, b, t, vocabulary);
                float scale = 1f / (b * Math.Max(t - 1, 1));
                ActivationTensor z = bench.Input(logits);
                TokenTensor targetTensor = bench.Tokens(targets);
                ActivationTensor losses = bench.Output(b, t, 1);
                bench.Engine.CrossEntropy(z, targetTensor, losses, null, scale);
                double[,,] expected = Reference.CrossEntropy(logits, targets);
                Comparison.CloseRelative(expected, bench.Read(losses), Tolerance, what);
                Comparison.SameBits(Flat.Floats(logits), bench.Read(z), what + ", logits without a gradient stay");

                ActivationTensor gradient = bench.Output(b, t, vocabulary);
                bench.Engine.CrossEntropy(z, targetTensor, losses, gradient, scale);
                double Loss() => scale * Flat.Of(Reference.CrossEntropy(logits, targets)).ToArray().Sum();
                FiniteDifference.Check(() => Loss() / scale, logits, [.. bench.Read(gradient).Select(g => g / scale)], Tolerance, what);
                bench.RequireNoPadding(gradient, what);

                bench.Engine.CrossEntropy(z, targetTensor, losses, z, scale);
                Comparison.SameBits(bench.Read(gradient), bench.Read(z), what + ", gradient in place of the logits");
                Comparison.CloseRelative(expected, bench.Read(losses), Tolerance, what + ", loss with the gradient in place");
                bench.RequireNoPadding(z, what + ", in place");
            }
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void IgnoredTargetsGiveExactlyZero(string engine)
    {
        using var bench = Engines.Bench(engine);
        var random = new RandomArrays(2);
        int[,] targets = random.Tokens(3, 17, 5);
        targets[0, 0] = -1;
        targets[1, 16] = -1;
        targets[2, 8] = -1;
        ActivationTensor losses = bench.Output(3, 17, 1);
        ActivationTensor gradient = bench.Output(3, 17, 5);
        bench.Engine.CrossEntropy(bench.Input(random.Activations(3, 17, 5)), bench.Tokens(targets), losses, gradient, 0.5f);

        float[] loss = bench.Read(losses);
        float[] g = bench.Read(gradient);
        for (int i = 0; i < loss.Length; i++)
        {
            bool ignored = i is 0 or 33 or 42;
            Assert.Equal(ignored, loss[i] == 0);
            Assert.Equal(ignored, g.AsSpan(5 * i, 5).IndexOfAnyExcept(0f) < 0);
        }
    }

    /// <summary>
    /// Large logits neither overflow nor round the loss away: differences of logits are exact, so the tolerance is relative to the loss.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void LargeLogitsKeepTheirPrecision(string engine)
    {
        foreach (double offset in new[] { 1e4, -1e4, 1e30 })
        {
            using var bench = Engines.Bench(engine);
            var logits = new double[1, 5, 4];
            for (int t = 0; t < 5; t++)
            {
                for (int v = 0; v < 4; v++)
                {
                    logits[0, t, v] = offset + (Math.Abs(offset) > 1e6 ? 0 : v * t);
                }
            }

            int[,] targets =
            {
                { 0, 1, 2, 3, 3 },
            };
            ActivationTensor losses = bench.Output(1, 5, 1);
            ActivationTensor gradient = bench.Output(1, 5, 4);
            bench.Engine.CrossEntropy(bench.Input(logits), bench.Tokens(targets), losses, gradient, 1);
            string what = $"{engine}: cross-entropy of logits around {offset}";
            Comparison.CloseRelative(Reference.CrossEntropy(logits, targets), bench.Read(losses), Tolerance, what);
            double[] softmax = [.. Enumerable.Range(0, 4).Select(v => Math.Exp(logits[0, 1, v] - offset))];
            double[] expected = [.. softmax.Select((p, v) => (p / softmax.Sum()) - (v == 1 ? 1 : 0))];
            Comparison.Close(expected, bench.Read(gradient).AsSpan(4, 4), Tolerance, what + ", gradient");
        }

        using var wide = Engines.Bench(engine);
        ActivationTensor loss = wide.Output(1, 1, 1);
        wide.Engine.CrossEntropy(
            wide.Input(
                new double[,,]
                {
                    {
                        { 3e4, -3e4 },
                    },
                }
            ),
            wide.Tokens(
                new[,]
                {
                    { 1 },
                }
            ),
            loss,
            null,
            1
        );
        Comparison.Close([6e4], wide.Read(loss), 6e-2, engine + ": a target of probability exp(-60000)");
    }

    /// <summary>Logits that are not numbers must show in the loss.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void NotANumberReachesTheLoss(string engine)
    {
        using var bench = Engines.Bench(engine);
        ActivationTensor losses = bench.Output(1, 2, 1);
        bench.Engine.CrossEntropy(
            bench.Input(
                new[,,]
                {
                    {
                        { 1.0, double.NaN, 2 },
                        { 1, 2, 3 },
                    },
                }
            ),
            bench.Tokens(
                new[,]
                {
                    { 0, 0 },
                }
            ),
            losses,
            null,
            1
        );
        Assert.True(float.IsNaN(bench.Read(losses)[0]));
        Assert.True(float.IsFinite(bench.Read(losses)[1]));
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void BigramMatchesReferenceAndFiniteDifferences(string engine)
    {
        ulong seed = 200;
        foreach ((int b, int t) in Shapes.All)
        {
            foreach (int vocabulary in new[] { 2, 7, 130 })
            {
                using var bench = Engines.Bench(engine);
                var random = new RandomArrays(seed++);
                string what = $"{engine}: bigram [{b},{t},{vocabulary}]";
                double[,] table = random.Matrix(vocabulary, vocabulary);
                double[,,] logits = random.Activations(b, t, vocabulary);
                double[,,] gradient = random.Activations(b, t, vocabulary);
                int[,] tokens = random.Tokens(b, t, vocabulary);
                tokens[0, 0] = vocabulary - 1;
                TokenTensor ids = bench.Tokens(tokens);
                ActivationTensor z = bench.Input(logits);
                bench.Engine.BigramForward(ids, bench.Weights(table), z);
                Comparison.CloseRelative(Reference.Bigram(tokens, table, logits), bench.Read(z), 2e-7, what);

                WeightTensor tableGradient = bench.Constant(vocabulary, vocabulary, 0);
                bench.Engine.BigramBackward(ids, bench.Gradient(gradient), tableGradient);
                float[] actual = bench.Read(tableGradient);
                int lastRow = vocabulary * (vocabulary - 1);
                Assert.True(actual.AsSpan(lastRow).IndexOfAnyExcept(0f) < 0, what + ": the table's last row never receives a gradient.");

                // For the differences the last row does not take part either.
                double Loss() => Flat.Dot(Reference.Bigram(tokens, WithoutLastRow(table), logits), gradient);
                FiniteDifference.Check(Loss, table, actual, Tolerance, what + ", table");

                WeightTensor onTop = bench.Constant(vocabulary, vocabulary, 2);
                bench.Engine.BigramBackward(ids, bench.Gradient(gradient), onTop);
                Comparison.CloseRelative(
                    actual.Select(v => v + 2.0).ToArray(),
                    bench.Read(onTop),
                    Tolerance,
                    what + ", table gradient on top of 2"
                );
            }
        }
    }

    private static double[,] WithoutLastRow(double[,] table)
    {
        var result = (double[,])table.Clone();
        Flat.Of(result)[^table.GetLength(1)..].Clear();
        return result;
    }

    /// <summary>As training has them: the last position of every sequence has no target.</summary>
    private static int[,] NextTokens(RandomArrays random, int b, int t, int vocabulary)
    {
        int[,] targets = random.Tokens(b, t, vocabulary);
        for (int i = 0; i < b; i++)
        {
            targets[i, t - 1] = -1;
        }

        return targets;
    }
}
