using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

public class ActivationTests
{
    public static TheoryData<string> AllEngines => Engines.All;

    /// <summary>
    /// GELU is x * Phi(x), and Phi is known to 2e-7 absolutely: half the error of erf (1.2e-7 as the CPU engine states it) and its
    /// roundings near 1. So the tolerance is 2e-7 * max(1, |x|).
    /// </summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void GeluMatchesTheExactErrorFunctionFromMinusEightToEight(string engine)
    {
        using var bench = Engines.Bench(engine);
        const int Count = 16001;
        var input = new double[1, Count, 1];
        for (int i = 0; i < Count; i++)
        {
            input[0, i, 0] = (float)(-8 + (i / 1000.0));
        }

        ActivationTensor output = bench.Output(1, Count, 1);
        bench.Engine.ActivationForward(ActivationKind.Gelu, bench.Input(input), output);
        float[] actual = bench.Read(output);
        for (int i = 0; i < Count; i++)
        {
            double x = input[0, i, 0];
            Comparison.Close([Reference.Gelu(x)], actual.AsSpan(i, 1), 2e-7 * Math.Max(1, Math.Abs(x)), $"{engine}: gelu({x})");
        }
    }

    /// <summary>Phi(x) + x phi(x): 2e-7 for Phi, and a few roundings of x phi(x), which is below 0.25.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void GeluDerivativeMatchesFiniteDifferencesFromMinusEightToEight(string engine)
    {
        using var bench = Engines.Bench(engine);
        const int Count = 1601;
        var input = new double[1, Count, 1];
        var expected = new double[1, Count, 1];
        var ones = new double[1, Count, 1];
        Flat.Of(ones).Fill(1);
        for (int i = 0; i < Count; i++)
        {
            double x = (float)(-8 + (i / 100.0));
            input[0, i, 0] = x;
            expected[0, i, 0] = (Reference.Gelu(x + 1e-5) - Reference.Gelu(x - 1e-5)) / 2e-5;
        }

        ActivationTensor gradient = bench.Gradient(ones);
        bench.Engine.ActivationBackward(ActivationKind.Gelu, bench.Input(input), gradient);
        Comparison.Close(Flat.Of(expected), bench.Read(gradient), 3e-7, engine + ": gelu derivative");
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void BothMatchReferenceAndFiniteDifferencesOnOddShapes(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
            {
                using var bench = Engines.Bench(engine);
                var random = new RandomArrays(seed++);
                double[,,] input = random.Activations(b, t, channels);
                double[,,] outputGradient = random.Activations(b, t, channels);
                foreach (ref double value in Flat.Of(input))
                {
                    // Differences are no derivative within their step of ReLU's bend.
                    value = Math.Abs(value) < 1e-3 ? 0.5 : value;
                }

                string what = $"{engine}: {kind} [{b},{t},{channels}]";
                bool slice = seed % 2 == 0;
                ActivationTensor x = bench.Input(input, slice);
                ActivationTensor y = bench.OutputLike(x, slice);
                bench.Engine.ActivationForward(kind, x, y);
                double[,,] expected = Reference.Activation(kind, input);
                Comparison.CloseRelative(expected, bench.Read(y), 4e-7, what);

                ActivationTensor gradient = bench.Gradient(outputGradient, slice);
                bench.Engine.ActivationBackward(kind, x, gradient);
                FiniteDifference.Check(
                    () => Flat.Dot(Reference.Activation(kind, input), outputGradient),
                    input,
                    bench.Read(gradient),
                    1e-6,
                    what
                );
                bench.RequireNoPadding(gradient, what);
                if (kind == ActivationKind.Relu)
                {
                    ActivationTensor fromOutput = bench.Gradient(outputGradient);
                    bench.Engine.ActivationBackward(kind, y, fromOutput);
                    Comparison.SameBits(bench.Read(gradient), bench.Read(fromOutput), what + ", derivative from the output");
                }

                float[] separate = bench.Read(y);
                bench.Engine.ActivationForward(kind, x, x);
                Comparison.SameBits(separate, bench.Read(x), what + ", in place");
                bench.RequireNeighboursUntouched(what);
            }
        }
    }

    /// <summary>
    /// What was kept gives the gradient that the whole input gives: behind AbsTopK only where that kept the output, without it everywhere.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void WhatIsKeptGivesTheGradientOfTheInput(string engine)
    {
        ulong seed = 300;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
            {
                foreach (bool selects in new[] { false, true })
                {
                    using var bench = Engines.Bench(engine);
                    var random = new RandomArrays(seed++);
                    double[,,] input = random.Activations(b, t, channels);
                    double[,,] outputGradient = random.Activations(b, t, channels);
                    string what = $"{engine}: {kind} [{b},{t},{channels}], {(selects ? "selected" : "all")}";
                    ActivationTensor x = bench.Input(input);
                    ActivationTensor expected = bench.Gradient(outputGradient);
                    ActivationTensor gradient = bench.Gradient(outputGradient);
                    SelectionTensor? selection = null;
                    if (selects)
                    {
                        ActivationTensor y = bench.OutputLike(x);
                        bench.Engine.ActivationForward(kind, x, y);
                        selection = bench.Selection(y);
                        bench.Engine.AbsTopKForward(y, (channels + 1) / 3, selection);
                        bench.Engine.AbsTopKBackward(selection, expected);
                        bench.Engine.AbsTopKBackward(selection, gradient);
                    }

                    bench.Engine.ActivationBackward(kind, x, expected);
                    SavedForBackward kept = bench.Kept(x);
                    bench.Engine.SaveForActivationBackward(kind, x, selection, kept);
                    bench.Engine.ActivationBackward(kind, kept, gradient);
                    Comparison.Close(bench.Read(expected).Select(value => (double)value).ToArray(), bench.Read(gradient), 0, what);
                    bench.RequireNoPadding(gradient, what);

                    // A second batch takes the place of the first.
                    double[,,] next = random.Activations(b, t, channels);
                    ActivationTensor nextX = bench.Input(next);
                    ActivationTensor nextExpected = bench.Gradient(outputGradient);
                    ActivationTensor nextGradient = bench.Gradient(outputGradient);
                    bench.Engine.ActivationBackward(kind, nextX, nextExpected);
                    bench.Engine.SaveForActivationBackward(kind, nextX, null, kept);
                    bench.Engine.ActivationBackward(kind, kept, nextGradient);
                    Comparison.Close(
                        bench.Read(nextExpected).Select(value => (double)value).ToArray(),
                        bench.Read(nextGradient),
                        0,
                        what + ", next batch"
                    );
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ReluAtZeroHasDerivativeZero(string engine)
    {
        using var bench = Engines.Bench(engine);
        var input = new double[1, 5, 1];
        Flat.Of(input)[1] = double.NegativeZero;
        Flat.Of(input)[2] = float.Epsilon;
        Flat.Of(input)[3] = -float.Epsilon;
        Flat.Of(input)[4] = 2;
        var ones = new double[1, 5, 1];
        Flat.Of(ones).Fill(1);
        ActivationTensor x = bench.Input(input);
        ActivationTensor gradient = bench.Gradient(ones);
        bench.Engine.ActivationBackward(ActivationKind.Relu, x, gradient);
        bench.Engine.ActivationForward(ActivationKind.Relu, x, x);

        Assert.Equal([0, 0, 1, 0, 1], bench.Read(gradient));
        Assert.Equal([0, 0, float.Epsilon, 0, 2], bench.Read(x));
    }

    /// <summary>A NaN must reach the loss, where training notices it.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void NotANumberStaysNotANumber(string engine)
    {
        using var bench = Engines.Bench(engine);
        var input = new double[1, 1, 1];
        input[0, 0, 0] = double.NaN;
        foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
        {
            ActivationTensor output = bench.Output(1, 1, 1);
            bench.Engine.ActivationForward(kind, bench.Input(input), output);
            Assert.True(float.IsNaN(bench.Read(output)[0]), $"{engine}: {kind} of NaN");
        }
    }
}
