using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>Memory, the residual stream, node masks and channel sums.</summary>
public class ElementwiseTests
{
    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void MemoryIsZeroWhenAllocatedAndReadsBackWhatWasWritten(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            using var bench = Engines.Bench(engine);
            using ActivationTensor fresh = bench.Engine.AllocateActivations("fresh", b, t, channels);
            Assert.All(bench.Read(fresh), value => Assert.Equal(0, value));
            float[] values = Flat.Floats(new RandomArrays(seed++).Activations(b, t, channels));
            bench.Engine.Write(fresh, values);
            Comparison.SameBits(values, bench.Read(fresh), $"{engine}: [{b},{t},{channels}]");

            // Channels of a slice are those of the whole.
            float[] second = new float[b * t];
            bench.Engine.Read(fresh.Slice(1, 1), second);
            Comparison.SameBits([.. values.Where((_, i) => i % channels == 1)], second, $"{engine}: slice of [{b},{t},{channels}]");
            bench.Engine.Zero(fresh.Slice(1, 1));
            Comparison.SameBits(
                [.. values.Select((v, i) => i % channels == 1 ? 0 : v)],
                bench.Read(fresh),
                $"{engine}: [{b},{t},{channels}] with a slice zeroed"
            );

            using WeightTensor weights = bench.Engine.AllocateWeights("fresh", channels, t);
            Assert.All(bench.Read(weights), value => Assert.Equal(0, value));
        }
    }

    /// <summary>
    /// Beside 5 tokens engines may keep room in which an operation leaves numbers, as the bias here. A copy has none of them: as a
    /// gradient it is summed over 5 tokens and no more.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ACopyMayBeGivenAsAGradient(string engine)
    {
        const int Tokens = 5;
        using var bench = Engines.Bench(engine);
        using ActivationTensor input = bench.Engine.AllocateActivations("input", 2, Tokens, 3);
        using ActivationTensor output = bench.Engine.AllocateActivations("output", 2, Tokens, 2);
        using ActivationTensor copy = bench.Engine.AllocateActivations("copy", 2, Tokens, 2);
        using WeightTensor weight = bench.Engine.AllocateWeights("weight", 2, 3);
        using WeightTensor bias = bench.Engine.AllocateWeights("bias", 1, 2);
        using WeightTensor products = bench.Engine.AllocateWeights("products", 2, 2);
        using WeightTensor sums = bench.Engine.AllocateWeights("sums", 1, 2);
        bench.Engine.Write(bias, [1, 2]);
        bench.Engine.LinearForward(input, weight, bias, output);
        bench.Engine.Copy(output, copy);
        bench.Engine.LinearBackwardWeight(copy, copy, products, sums);

        Assert.Equal([10, 20, 20, 40], bench.Read(products));
        Assert.Equal([10, 20], bench.Read(sums));
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void WrongLengthsAreRefusedByName(string engine)
    {
        using var bench = Engines.Bench(engine);
        using WeightTensor weights = bench.Engine.AllocateWeights("the weights", 2, 3);
        using ActivationTensor activations = bench.Engine.AllocateActivations("the activations", 1, 2, 3);
        using TokenTensor tokens = bench.Engine.AllocateTokens("the tokens", 1, 2);
        Assert.Contains(
            "the weights",
            Assert.ThrowsAny<ArgumentException>(() => bench.Engine.Write(weights, new float[5])).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "the weights",
            Assert.ThrowsAny<ArgumentException>(() => bench.Engine.Read(weights, new float[7])).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "the activations",
            Assert.ThrowsAny<ArgumentException>(() => bench.Engine.Write(activations, new float[5])).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "the activations",
            Assert.ThrowsAny<ArgumentException>(() => bench.Engine.Read(activations, new float[7])).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "the tokens",
            Assert.ThrowsAny<ArgumentException>(() => bench.Engine.Write(tokens, new int[3])).Message,
            StringComparison.Ordinal
        );
        Assert.ThrowsAny<ArgumentException>(() => activations.Slice(1, 3));
        Assert.ThrowsAny<ArgumentException>(() => activations.Slice(-1, 2));
    }

    /// <summary>The source, added in one rounding, is clear afterwards.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void WeightsMoveIntoOthers(string engine)
    {
        foreach ((int rows, int columns) in new[] { (1, 1), (3, 5), (17, 64) })
        {
            using var bench = Engines.Bench(engine);
            using WeightTensor source = bench.Engine.AllocateWeights("source", rows, columns);
            using WeightTensor target = bench.Engine.AllocateWeights("target", rows, columns);
            float[] a = [.. Enumerable.Range(0, rows * columns).Select(i => MathF.Sin(i + 1))];
            float[] b = [.. Enumerable.Range(0, rows * columns).Select(i => 1000 * MathF.Cos(i))];
            bench.Engine.Write(source, a);
            bench.Engine.Write(target, b);
            bench.Engine.MoveInto(source, target);
            Comparison.SameBits([.. a.Zip(b, (x, y) => x + y)], bench.Read(target), $"{engine}: [{rows},{columns}]");
            Assert.All(bench.Read(source), value => Assert.Equal(0, value));
            Assert.Equal(0, bench.Engine.CountNonzero(source));
        }
    }

    /// <summary>A slice keeps its whole's memory: the collector must not take it away.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ASliceOutlivesItsWhole(string engine)
    {
        using var bench = Engines.Bench(engine);
        WeakReference whole = MakeSlice(bench.Engine, out ActivationTensor slice);
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        // Memory given back would be handed out again to these.
        ActivationTensor[] others = [.. Enumerable.Range(0, 20).Select(_ => bench.Output(1, 16, 3))];
        Assert.All(bench.Read(slice), value => Assert.Equal(5, value));
        GC.KeepAlive(others);
        GC.KeepAlive(whole);
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void AddAndCopyMatchReference(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            using var bench = Engines.Bench(engine);
            var random = new RandomArrays(seed++);
            string what = $"{engine}: [{b},{t},{channels}]";
            double[,,] a = random.Activations(b, t, channels);
            double[,,] c = random.Activations(b, t, channels);
            float[] expected = Flat.Floats(Reference.Add(a, c)); // the sum of two floats, rounded once: exact to compare
            bool slice = seed % 2 == 0;
            ActivationTensor x = bench.Gradient(a, slice);
            ActivationTensor y = bench.Gradient(c, slice);
            ActivationTensor sum = bench.Output(b, t, channels, slice);
            bench.Engine.Add(x, y, sum);
            Comparison.SameBits(expected, bench.Read(sum), what + ", sum");
            bench.RequireNoPadding(sum, what + ", sum");

            ActivationTensor copy = bench.Output(b, t, channels, slice);
            bench.Engine.Copy(x, copy);
            Comparison.SameBits(Flat.Floats(a), bench.Read(copy), what + ", copy");
            bench.RequireNoPadding(copy, what + ", copy");

            bench.Engine.Add(x, y, x);
            Comparison.SameBits(expected, bench.Read(x), what + ", sum in place of a");
            bench.Engine.Add(copy, y, y);
            Comparison.SameBits(expected, bench.Read(y), what + ", sum in place of b");
            bench.RequireNeighboursUntouched(what);
        }
    }

    /// <summary>One multiply-add and one product per entry; the mask's gradient is a sum over at most 390 tokens.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void GateMatchesReferenceAndFiniteDifferences(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            using var bench = Engines.Bench(engine);
            var random = new RandomArrays(seed++);
            string what = $"{engine}: gate [{b},{t},{channels}]";
            bool slice = seed % 2 == 0;
            double[,,] input = random.Activations(b, t, channels);
            double[,,] outputGradient = random.Activations(b, t, channels);
            double[] mask = random.Vector(channels);
            double[] mean = random.Vector(channels);
            mask[0] = 1;
            mask[1] = 0;
            ActivationTensor x = bench.Input(input, slice);
            WeightTensor masks = bench.Weights(mask);
            WeightTensor means = bench.Weights(mean);
            ActivationTensor output = bench.Output(b, t, channels, slice);
            SavedForBackward kept = bench.Kept(x);
            bench.Engine.GateForward(x, masks, means, output, kept);
            Comparison.CloseRelative(Reference.Gate(input, mask, mean), bench.Read(output), 2e-7, what);

            double Loss() => Flat.Dot(Reference.Gate(input, mask, mean), outputGradient);
            WeightTensor maskGradient = bench.Constant(1, channels, 0);
            ActivationTensor gradient = bench.Gradient(outputGradient, slice);
            bench.Engine.GateBackward(kept, masks, means, gradient, maskGradient);
            FiniteDifference.Check(Loss, input, bench.Read(gradient), 1e-6, what + ", input");
            FiniteDifference.Check(Loss, mask, bench.Read(maskGradient), 2e-6, what + ", mask");
            bench.RequireNoPadding(gradient, what);

            WeightTensor onTop = bench.Constant(1, channels, 3);
            bench.Engine.GateBackward(kept, masks, means, bench.Gradient(outputGradient), onTop);
            Comparison.CloseRelative(
                bench.Read(maskGradient).Select(v => v + 3.0).ToArray(),
                bench.Read(onTop),
                1e-6,
                what + ", mask gradient on top of 3"
            );

            float[] separate = bench.Read(output);
            bench.Engine.GateForward(x, masks, means, x);
            Comparison.SameBits(separate, bench.Read(x), what + ", in place");
            bench.RequireNeighboursUntouched(what);
        }
    }

    /// <summary>In double, of floats: all but exact.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void ChannelSumsAddUpRealTokensInDouble(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            using var bench = Engines.Bench(engine);
            double[,,] input = new RandomArrays(seed++).Activations(b, t, channels);
            double[] expected = Reference.ChannelSums(input);
            double[] sums = new double[channels];
            sums.AsSpan().Fill(1000);
            bench.Engine.ChannelSums(bench.Input(input, slice: seed % 2 == 0), sums);
            for (int c = 0; c < channels; c++)
            {
                Assert.True(
                    Math.Abs(expected[c] + 1000 - sums[c]) <= 1e-10,
                    $"{engine}: channel {c} of [{b},{t},{channels}]: expected {expected[c] + 1000}, got {sums[c]}."
                );
            }
        }
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static WeakReference MakeSlice(IComputeEngine engine, out ActivationTensor slice)
    {
        ActivationTensor whole = engine.AllocateActivations("whole", 1, 16, 3);
        var values = new float[whole.Length];
        values.AsSpan().Fill(5);
        engine.Write(whole, values);
        slice = whole.Slice(1, 2);
        return new WeakReference(whole);
    }
}
