using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

public class NormTests
{
    // The mean rounds by 6e-8 of itself, which the reciprocal deviation multiplies: at most 3.3 here, as Spread sees to. A few such errors
    // add up.
    private const double ForwardTolerance = 1e-6;

    // The same once more multiplied by the reciprocal deviation.
    private const double BackwardTolerance = 4e-6;

    public static TheoryData<string> AllEngines => Engines.All;

    public static TheoryData<string, NormKind> Cases => Engines.With(NormKind.RmsNorm, NormKind.LayerNorm);

    [Theory]
    [MemberData(nameof(Cases))]
    public void ForwardMatchesReference(string engine, NormKind kind)
    {
        ulong seed = 1;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            using var bench = Engines.Bench(engine);
            var random = new RandomArrays(seed++);
            double[,,] input = Spread(random, b, t, channels);
            double[] weight = random.Vector(channels);
            double[]? bias = kind == NormKind.LayerNorm && t != 5 ? random.Vector(channels) : null;
            string what = $"{engine}: {kind} forward [{b},{t},{channels}]";
            bool slice = seed % 2 == 0;
            ActivationTensor output = bench.Output(b, t, channels, slice);
            ActivationTensor statistics = bench.Output(b, t, 2);
            bench.Engine.NormForward(
                kind,
                bench.Input(input, slice),
                bench.Weights(weight),
                bias is null ? null : bench.Weights(bias),
                output,
                statistics
            );
            (double[,,] expected, double[,,] expectedStatistics) = Reference.Norm(kind, input, weight, bias);
            Comparison.CloseRelative(expected, bench.Read(output), ForwardTolerance, what);
            Comparison.CloseRelative(expectedStatistics, bench.Read(statistics), ForwardTolerance, what + ", statistics");
            bench.RequireNeighboursUntouched(what);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void BackwardMatchesFiniteDifferences(string engine, NormKind kind)
    {
        ulong seed = 100;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            using var bench = Engines.Bench(engine);
            var random = new RandomArrays(seed++);
            double[,,] input = Spread(random, b, t, channels);
            double[] weight = random.Vector(channels);
            double[] bias = random.Vector(channels);
            double[,,] outputGradient = random.Activations(b, t, channels);
            string what = $"{engine}: {kind} backward [{b},{t},{channels}]";
            double Loss() => Flat.Dot(Reference.Norm(kind, input, weight, bias).Output, outputGradient);
            bool slice = seed % 2 == 0;
            ActivationTensor x = bench.Input(input, slice);
            ActivationTensor statistics = bench.Output(b, t, 2);
            WeightTensor weights = bench.Weights(weight);
            bench.Engine.NormForward(kind, x, weights, bench.Weights(bias), bench.Output(b, t, channels), statistics);

            ActivationTensor dx = bench.Gradient(new double[b, t, channels], slice);
            ActivationTensor dy = bench.Gradient(outputGradient, slice);
            WeightTensor dw = bench.Constant(1, channels, 0);
            WeightTensor db = bench.Constant(1, channels, 0);
            bench.Engine.NormBackward(kind, x, statistics, weights, dy, dx, dw, db);
            FiniteDifference.Check(Loss, input, bench.Read(dx), BackwardTolerance, what + ", input");
            FiniteDifference.Check(Loss, weight, bench.Read(dw), BackwardTolerance, what + ", weight");
            FiniteDifference.Check(Loss, bias, bench.Read(db), BackwardTolerance, what + ", bias");
            bench.RequireNoPadding(dx, what);
            bench.RequireNeighboursUntouched(what);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void AFrozenScaleIsAConstantForwardAndBackward(string engine, NormKind kind)
    {
        ulong seed = 200;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            using var bench = Engines.Bench(engine);
            var random = new RandomArrays(seed++);
            double[,,] input = random.Activations(b, t, channels);
            double[,,] scale = random.Activations(b, t, 2);
            double[] weight = random.Vector(channels);
            double[] bias = random.Vector(channels);
            double[,,] outputGradient = random.Activations(b, t, channels);
            string what = $"{engine}: {kind} of frozen scale [{b},{t},{channels}]";
            ActivationTensor x = bench.Input(input);
            ActivationTensor statistics = bench.Input(scale);
            ActivationTensor output = bench.Output(b, t, channels);
            WeightTensor weights = bench.Weights(weight);
            bench.Engine.NormForward(kind, x, weights, bench.Weights(bias), output, statistics, isScaleFrozen: true);
            (double[,,] expected, double[,,] expectedStatistics) = Reference.Norm(kind, input, weight, bias, scale);
            Comparison.CloseRelative(expected, bench.Read(output), ForwardTolerance, what);
            Comparison.CloseRelative(expectedStatistics, bench.Read(statistics), ForwardTolerance, what + ", statistics");

            double Loss() => Flat.Dot(Reference.Norm(kind, input, weight, bias, scale).Output, outputGradient);
            ActivationTensor dx = bench.Gradient(new double[b, t, channels]);
            WeightTensor dw = bench.Constant(1, channels, 0);
            bench.Engine.NormBackward(kind, x, statistics, weights, bench.Gradient(outputGradient), dx, dw, null, isScaleFrozen: true);
            FiniteDifference.Check(Loss, input, bench.Read(dx), BackwardTolerance, what + ", input");
            FiniteDifference.Check(Loss, weight, bench.Read(dw), BackwardTolerance, what + ", weight");
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void BackwardAccumulates(string engine, NormKind kind)
    {
        using var bench = Engines.Bench(engine);
        var random = new RandomArrays(5);
        double[,,] before = random.Activations(3, 17, 5);
        ActivationTensor x = bench.Input(random.Activations(3, 17, 5));
        ActivationTensor dy = bench.Gradient(random.Activations(3, 17, 5));
        ActivationTensor statistics = bench.Output(3, 17, 2);
        WeightTensor weights = bench.Weights(random.Vector(5));
        bench.Engine.NormForward(kind, x, weights, null, bench.Output(3, 17, 5), statistics);

        ActivationTensor fresh = bench.Gradient(new double[3, 17, 5]);
        ActivationTensor onTop = bench.Gradient(before);
        WeightTensor dw = bench.Constant(1, 5, 0);
        WeightTensor dwOnTop = bench.Constant(1, 5, 3);
        WeightTensor dbOnTop = bench.Constant(1, 5, -2);
        bench.Engine.NormBackward(kind, x, statistics, weights, dy, fresh, dw, null);
        bench.Engine.NormBackward(kind, x, statistics, weights, dy, onTop, dwOnTop, dbOnTop);

        double[] sums = [.. bench.Read(fresh).Zip(Flat.Of(before).ToArray(), (a, c) => a + c)];
        Comparison.CloseRelative(sums, bench.Read(onTop), 1e-6, "input gradient on top of another");
        Comparison.CloseRelative(bench.Read(dw).Select(v => v + 3.0).ToArray(), bench.Read(dwOnTop), 1e-6, "weight gradient on top of 3");

        double[] dySums = new double[5];
        float[] dyValues = bench.Read(dy);
        for (int i = 0; i < dyValues.Length; i++)
        {
            dySums[i % 5] += dyValues[i];
        }

        Comparison.CloseRelative(dySums.Select(v => v - 2).ToArray(), bench.Read(dbOnTop), 1e-6, "bias gradient on top of -2");

        // Only the input's gradient: neither of the others is needed.
        bench.Engine.NormBackward(kind, x, statistics, weights, dy, fresh, null, null);
    }

    /// <summary>
    /// Channels that hardly differ: deviation 0.01 around 1, reciprocal 100. The mean's rounding error of 6e-8 then shows as 6e-6 in
    /// outputs, a few times over.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void LayerNormOfNearlyEqualChannelsLosesOnlyWhatTheMeanRounds(string engine)
    {
        using var bench = Engines.Bench(engine);
        double[,,] input = Spread(new RandomArrays(6), 3, 17, 24);
        foreach (ref double value in Flat.Of(input))
        {
            value = (float)(1 + (0.01 * value));
        }

        double[] weight = new RandomArrays(7).Vector(24);
        ActivationTensor output = bench.Output(3, 17, 24);
        bench.Engine.NormForward(NormKind.LayerNorm, bench.Input(input), bench.Weights(weight), null, output, bench.Output(3, 17, 2));
        Comparison.CloseRelative(Reference.Norm(NormKind.LayerNorm, input, weight, null).Output, bench.Read(output), 2e-5, engine);
    }

    /// <summary>Epsilon alone stands in the denominator: 1.1920929e-7 for RMSNorm, 1e-5 for LayerNorm.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void ZeroInputGivesTheBiasAndEpsilon(string engine, NormKind kind)
    {
        using var bench = Engines.Bench(engine);
        ActivationTensor output = bench.Output(1, 5, 3);
        ActivationTensor statistics = bench.Output(1, 5, 2);
        bench.Engine.NormForward(
            kind,
            bench.Input(new double[1, 5, 3]),
            bench.Weights([1, 2, 3]),
            bench.Weights([4.0, 5, 6]),
            output,
            statistics
        );

        Assert.Equal(Enumerable.Range(0, 15).Select(i => 4f + (i % 3)), bench.Read(output));
        double epsilon = kind == NormKind.RmsNorm ? 1.1920929e-7 : 1e-5;
        Comparison.Close([1 / Math.Sqrt(epsilon)], bench.Read(statistics).AsSpan(1, 1), 1e-3, "reciprocal deviation of zeros");
    }

    /// <summary>
    /// Random inputs of which every token's channels have a deviation of at least 0.3: less makes the operation itself ill-conditioned.
    /// </summary>
    private static double[,,] Spread(RandomArrays random, int sequences, int tokens, int channels)
    {
        double[,,] input = random.Activations(sequences, tokens, channels);
        Span<double> values = Flat.Of(input);
        for (int token = 0; token < sequences * tokens; token++)
        {
            Span<double> x = values.Slice(token * channels, channels);
            while (Deviation(x) < 0.3)
            {
                random.Vector(channels).CopyTo(x);
            }
        }

        return input;
    }

    private static double Deviation(ReadOnlySpan<double> values)
    {
        double sum = 0;
        double squares = 0;
        foreach (double value in values)
        {
            sum += value;
            squares += value * value;
        }

        return Math.Sqrt(Math.Max(0, (squares / values.Length) - (sum / values.Length * (sum / values.Length))));
    }
}
