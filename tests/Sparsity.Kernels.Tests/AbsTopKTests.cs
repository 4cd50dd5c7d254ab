using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>Selection computes nothing: every comparison here is exact.</summary>
public class AbsTopKTests
{
    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void AgreesWithASortOnRandomData(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            int[] keeps = [0, 1, channels / 2, channels - 1, channels];
            foreach (int keep in keeps.Distinct())
            {
                Check(
                    engine,
                    new RandomArrays(seed++).Activations(b, t, channels),
                    keep,
                    $"random [{b},{t},{channels}], k = {keep}",
                    slice: seed % 2 == 0
                );
            }
        }
    }

    /// <summary>
    /// Values from -2, -1, -0, 0, 1, 2, so that nearly every boundary is a tie, also between opposite signs and among exact zeros.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void AgreesWithASortWhereNearlyAllAreTied(string engine)
    {
        double[] values = [-2, -1, double.NegativeZero, 0, 1, 2];
        ulong seed = 50;
        foreach ((int b, int t) in Shapes.All)
        {
            foreach (int channels in new[] { 1, 7, 24, 300 })
            {
                var random = new RandomArrays(seed++);
                var input = new double[b, t, channels];
                foreach (ref double value in Flat.Of(input))
                {
                    value = values[random.Integer(values.Length)];
                }

                int keep = random.Integer(channels + 1);
                Check(engine, input, keep, $"duplicates [{b},{t},{channels}], k = {keep}", slice: false);
            }
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void TiesGoToTheLowerChannel(string engine)
    {
        Assert.Equal([0, -3, 3, 0, 0, 0], Keep(engine, [1, -3, 3, 3, -3, 2], 2));
        Assert.Equal([5, 5, 0, 0, 0, 0], Keep(engine, [5, 5, -5, 5, 5, 5], 2));
        Assert.Equal([0, 2, -9, 0, 0, 0], Keep(engine, [1, 2, -9, 2, 1, 2], 2));
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void DenormalsAndExtremesAreOrderedByMagnitude(string engine)
    {
        const float Tiny = float.Epsilon;
        Assert.Equal([0, -2 * Tiny, 0, 3 * Tiny], Keep(engine, [Tiny, -2 * Tiny, 0, 3 * Tiny], 2));
        Assert.Equal([0, 0, float.MaxValue, float.NegativeInfinity], Keep(engine, [1, Tiny, float.MaxValue, float.NegativeInfinity], 2));
        Assert.Equal([Tiny, 0, 0, 0], Keep(engine, [Tiny, 0, 0, 0], 1));
    }

    /// <summary>The official code's topk selects zeros like any other entry, and their gradient flows.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void KeptZerosPassTheirGradient(string engine)
    {
        using var bench = Engines.Bench(engine);
        var input = new double[1, 1, 5];
        input[0, 0, 3] = 2;
        ActivationTensor values = bench.Input(input);
        SelectionTensor selection = bench.Selection(values);
        bench.Engine.AbsTopKForward(values, 3, selection);
        var ones = new double[1, 1, 5];
        Flat.Of(ones).Fill(1);
        ActivationTensor gradient = bench.Gradient(ones);
        bench.Engine.AbsTopKBackward(selection, gradient);

        Assert.Equal([1, 1, 0, 1, 0], bench.Read(gradient));
    }

    /// <summary>A selection is overwritten, not added to.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void SelectionIsOverwritten(string engine)
    {
        using var bench = Engines.Bench(engine);
        var random = new RandomArrays(9);
        double[,,] outputGradient = random.Activations(3, 65, 7);
        ActivationTensor first = bench.Input(random.Activations(3, 65, 7));
        SelectionTensor selection = bench.Selection(first);
        bench.Engine.AbsTopKForward(first, 7, selection);
        double[,,] input = random.Activations(3, 65, 7);
        bench.Engine.AbsTopKForward(bench.Input(input), 2, selection);
        ActivationTensor gradient = bench.Gradient(outputGradient);
        bench.Engine.AbsTopKBackward(selection, gradient);

        Comparison.SameBits(
            Masked(outputGradient, ReferenceSelection.AbsTopK(input, 2)),
            bench.Read(gradient),
            engine + ": gradient after a second selection"
        );
    }

    private static float[] Keep(string engine, float[] channels, int keep)
    {
        using var bench = Engines.Bench(engine);
        var input = new double[1, 1, channels.Length];
        for (int c = 0; c < channels.Length; c++)
        {
            input[0, 0, c] = channels[c];
        }

        ActivationTensor values = bench.Input(input);
        bench.Engine.AbsTopKForward(values, keep, bench.Selection(values));
        return bench.Read(values);
    }

    private static void Check(string engine, double[,,] input, int keep, string what, bool slice)
    {
        using var bench = Engines.Bench(engine);
        double[,,] kept = ReferenceSelection.AbsTopK(input, keep);
        ActivationTensor values = bench.Input(input, slice);
        SelectionTensor selection = bench.Selection(values);
        bench.Engine.AbsTopKForward(values, keep, selection);
        Comparison.SameBits(Masked(input, kept), bench.Read(values), $"{engine}: AbsTopK forward, {what}");

        double[,,] outputGradient = new RandomArrays(8).Activations(input.GetLength(0), input.GetLength(1), input.GetLength(2));
        ActivationTensor gradient = bench.Gradient(outputGradient, slice);
        bench.Engine.AbsTopKBackward(selection, gradient);
        Comparison.SameBits(Masked(outputGradient, kept), bench.Read(gradient), $"{engine}: AbsTopK backward, {what}");
        bench.RequireNoPadding(gradient, what);
        bench.RequireNeighboursUntouched(what);
    }

    private static float[] Masked(double[,,] values, double[,,] kept) =>
        [.. Flat.Floats(values).Zip(Flat.Floats(kept), (value, keep) => keep == 1 ? value : 0)];
}
