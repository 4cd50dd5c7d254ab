using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

public class AttentionTests
{
    // Scores of width 16 are of order 4, known to 16 * 6e-8 * 4: exp turns that into a relative error of the probabilities; outputs are of
    // order 1.
    private const double ForwardTolerance = 4e-6;

    // A gradient sums up to 130 such terms, of which many cancel.
    private const double BackwardTolerance = 2e-5;

    private static readonly (int Heads, int Width)[] HeadShapes = [(1, 1), (1, 3), (2, 3), (3, 1), (1, 16), (2, 16)];

    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ForwardMatchesReference(string engine) =>
        ForEach(
            (b, t, heads, width, withSink, random) =>
            {
                using var bench = Engines.Bench(engine);
                string what = $"{engine}: attention forward [{b},{t}], {heads} heads of {width}, sink {withSink}";
                var (query, key, value) = Inputs(random, b, t, heads * width);
                double[]? sink = withSink ? random.Vector(heads) : null;
                bool slice = !withSink;
                ActivationTensor output = bench.Output(b, t, heads * width, slice);
                ActivationTensor logSumExp = bench.Output(b, t, heads);
                bench.Engine.AttentionForward(
                    bench.Input(query, slice),
                    bench.Input(key, slice),
                    bench.Input(value, slice),
                    heads,
                    sink is null ? null : bench.Weights(sink),
                    output,
                    logSumExp
                );
                (double[,,] expected, double[,,] expectedLogSumExp) = Reference.Attention(query, key, value, heads, sink);
                Comparison.CloseRelative(expected, bench.Read(output), ForwardTolerance, what);
                Comparison.CloseRelative(expectedLogSumExp, bench.Read(logSumExp), ForwardTolerance, what + ", log-sum-exp");
                bench.RequireNeighboursUntouched(what);
            }
        );

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void BackwardMatchesFiniteDifferences(string engine) =>
        ForEach(
            (b, t, heads, width, withSink, random) =>
            {
                using var bench = Engines.Bench(engine);
                string what = $"{engine}: attention backward [{b},{t}], {heads} heads of {width}, sink {withSink}";
                int channels = heads * width;
                var (query, key, value) = Inputs(random, b, t, channels);
                double[]? sink = withSink ? random.Vector(heads) : null;
                double[,,] outputGradient = random.Activations(b, t, channels);
                double Loss() => Flat.Dot(Reference.Attention(query, key, value, heads, sink).Output, outputGradient);

                bool slice = !withSink;
                ActivationTensor q = bench.Input(query, slice);
                ActivationTensor k = bench.Input(key, slice);
                ActivationTensor v = bench.Input(value, slice);
                WeightTensor? sinks = sink is null ? null : bench.Weights(sink);
                ActivationTensor output = bench.Output(b, t, channels, slice);
                ActivationTensor logSumExp = bench.Output(b, t, heads);
                bench.Engine.AttentionForward(q, k, v, heads, sinks, output, logSumExp);

                ActivationTensor dq = bench.Output(b, t, channels, slice);
                ActivationTensor dk = bench.Output(b, t, channels, slice);
                ActivationTensor dv = bench.Output(b, t, channels, slice);
                WeightTensor? dsink = sink is null ? null : bench.Constant(1, heads, 0);
                bench.Engine.AttentionBackward(
                    q,
                    k,
                    v,
                    heads,
                    sinks,
                    output,
                    logSumExp,
                    bench.Gradient(outputGradient, slice),
                    dq,
                    dk,
                    dv,
                    dsink
                );
                FiniteDifference.Check(Loss, query, bench.Read(dq), BackwardTolerance, what + ", query");
                FiniteDifference.Check(Loss, key, bench.Read(dk), BackwardTolerance, what + ", key");
                FiniteDifference.Check(Loss, value, bench.Read(dv), BackwardTolerance, what + ", value");
                if (sink is not null)
                {
                    FiniteDifference.Check(Loss, sink, bench.Read(dsink!), BackwardTolerance, what + ", sink");
                }

                bench.RequireNoPadding(dq, what + ", query");
                bench.RequireNoPadding(dk, what + ", key");
                bench.RequireNoPadding(dv, what + ", value");
                bench.RequireNeighboursUntouched(what);
            }
        );

    /// <summary>Query, key and value as neighbouring slices of one tensor, as c_attn makes them, and their gradients the same.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void SlicesOfOneTensorGiveTheSameAsSeparateTensors(string engine)
    {
        using var bench = Engines.Bench(engine);
        var random = new RandomArrays(11);
        const int Channels = 6;
        double[,,] all = random.Activations(3, 65, 3 * Channels);
        double[,,] outputGradient = random.Activations(3, 65, Channels);
        ActivationTensor whole = bench.Input(all);
        ActivationTensor wholeGradient = bench.Output(3, 65, 3 * Channels);
        (float[] Output, float[] Gradient)[] results = new (float[], float[])[2];
        for (int i = 0; i < 2; i++)
        {
            ActivationTensor Part(int p) => i == 0 ? whole.Slice(p * Channels, Channels) : bench.Input(PartOf(all, p * Channels, Channels));
            ActivationTensor[] parts = [Part(0), Part(1), Part(2)];
            ActivationTensor[] gradients =
            [
                .. Enumerable.Range(0, 3).Select(p => i == 0 ? wholeGradient.Slice(p * Channels, Channels) : bench.Output(3, 65, Channels)),
            ];
            ActivationTensor output = bench.Output(3, 65, Channels);
            ActivationTensor logSumExp = bench.Output(3, 65, 2);
            bench.Engine.AttentionForward(parts[0], parts[1], parts[2], 2, null, output, logSumExp);
            bench.Engine.AttentionBackward(
                parts[0],
                parts[1],
                parts[2],
                2,
                null,
                output,
                logSumExp,
                bench.Gradient(outputGradient),
                gradients[0],
                gradients[1],
                gradients[2],
                null
            );
            results[i] = (bench.Read(output), [.. gradients.SelectMany(bench.Read)]);
        }

        Comparison.SameBits(results[1].Output, results[0].Output, engine + ": output from slices");
        Comparison.SameBits(results[1].Gradient, results[0].Gradient, engine + ": gradients into slices");
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void SinkGradientAccumulates(string engine)
    {
        using var bench = Engines.Bench(engine);
        var random = new RandomArrays(12);
        var (query, key, value) = Inputs(random, 1, 5, 4);
        ActivationTensor q = bench.Input(query);
        ActivationTensor k = bench.Input(key);
        ActivationTensor v = bench.Input(value);
        WeightTensor sink = bench.Weights(random.Vector(2));
        ActivationTensor output = bench.Output(1, 5, 4);
        ActivationTensor logSumExp = bench.Output(1, 5, 2);
        bench.Engine.AttentionForward(q, k, v, 2, sink, output, logSumExp);
        ActivationTensor dy = bench.Gradient(random.Activations(1, 5, 4));
        WeightTensor fresh = bench.Constant(1, 2, 0);
        WeightTensor onTop = bench.Constant(1, 2, 3);
        foreach (WeightTensor? target in new[] { fresh, onTop, null })
        {
            bench.Engine.AttentionBackward(
                q,
                k,
                v,
                2,
                sink,
                output,
                logSumExp,
                dy,
                bench.Output(1, 5, 4),
                bench.Output(1, 5, 4),
                bench.Output(1, 5, 4),
                target
            );
        }

        Comparison.CloseRelative(
            bench.Read(fresh).Select(x => x + 3.0).ToArray(),
            bench.Read(onTop),
            1e-6,
            engine + ": sink gradient on top of 3"
        );
    }

    /// <summary>
    /// Scores of thousands overflow exp unless the largest is subtracted; later tokens with larger scores must not leak into earlier ones.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void LargeScoresStayFiniteAndCausal(string engine)
    {
        using var bench = Engines.Bench(engine);
        var random = new RandomArrays(13);
        var query = new double[1, 17, 1];
        var key = new double[1, 17, 1];
        for (int t = 0; t < 17; t++)
        {
            query[0, t, 0] = 100;
            key[0, t, 0] = t * 10;
        }

        double[,,] value = random.Activations(1, 17, 1);
        double[,,] outputGradient = random.Activations(1, 17, 1);
        ActivationTensor q = bench.Input(query);
        ActivationTensor k = bench.Input(key);
        ActivationTensor v = bench.Input(value);
        ActivationTensor output = bench.Output(1, 17, 1);
        ActivationTensor logSumExp = bench.Output(1, 17, 1);
        bench.Engine.AttentionForward(q, k, v, 1, null, output, logSumExp);

        // Each token attends to itself alone.
        Comparison.CloseRelative(value, bench.Read(output), 1e-6, engine + ": output");
        ActivationTensor dq = bench.Output(1, 17, 1);
        ActivationTensor dk = bench.Output(1, 17, 1);
        ActivationTensor dv = bench.Output(1, 17, 1);
        bench.Engine.AttentionBackward(q, k, v, 1, null, output, logSumExp, bench.Gradient(outputGradient), dq, dk, dv, null);
        Comparison.CloseRelative(outputGradient, bench.Read(dv), 1e-6, engine + ": value gradient");

        // p (dy.v - dy.y) is zero up to rounding, times keys of up to 160.
        Comparison.Close(new double[17], bench.Read(dq), 1e-4, engine + ": query gradient");
        Comparison.Close(new double[17], bench.Read(dk), 1e-4, engine + ": key gradient");
    }

    private static (double[,,] Query, double[,,] Key, double[,,] Value) Inputs(RandomArrays random, int b, int t, int channels) =>
        (random.Activations(b, t, channels), random.Activations(b, t, channels), random.Activations(b, t, channels));

    private static double[,,] PartOf(double[,,] all, int first, int count)
    {
        var part = new double[all.GetLength(0), all.GetLength(1), count];
        for (int b = 0; b < part.GetLength(0); b++)
        {
            for (int t = 0; t < part.GetLength(1); t++)
            {
                for (int c = 0; c < count; c++)
                {
                    part[b, t, c] = all[b, t, first + c];
                }
            }
        }

        return part;
    }

    private static void ForEach(Action<int, int, int, int, bool, RandomArrays> body)
    {
        for (int i = 0; i < Shapes.All.Length; i++)
        {
            for (int j = 0; j < 2; j++)
            {
                (int heads, int width) = HeadShapes[((2 * i) + j) % HeadShapes.Length];
                (int sequences, int tokens) = Shapes.All[i];
                body(sequences, tokens, heads, width, false, new RandomArrays((ulong)((2 * i) + j + 1)));
                body(sequences, tokens, heads, width, true, new RandomArrays((ulong)((2 * i) + j + 100)));
            }
        }
    }
}
