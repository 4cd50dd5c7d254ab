using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>What a circuit is compared with: interchanged activations, attribution, random weights, two values per node.</summary>
public sealed class ControlTests : IDisposable
{
    private static readonly TokenizedPair[] Pairs =
    [
        .. Enumerable.Range(0, 40).Select(i => new TokenizedPair([3, 4 + (i % 20), 5, 6, 7 + (i / 20)], [3, 9, 5 + (i % 20)], 11, 12)),
    ];

    private readonly CpuEngine _engine = new(1);
    private readonly ModelParameters _parameters;
    private readonly CircuitEvaluator _evaluator;
    private readonly NodeSet _all;

    public ControlTests()
    {
        ModelConfig model = TinyModels.Config with { Afrac = null };
        _parameters = TinyModels.Random(_engine, model, 4);
        var transformer = new Transformer(_parameters);
        float[] means = MeanActivations.Measure(transformer, new NodeLayout(model), TinyModels.Tokens(500, 3), 12, 2, 7);
        _evaluator = new CircuitEvaluator(transformer, means, new PruningConfig { MaxTokens = 6 });
        _all = NodeSet.All(_evaluator.Layout);
    }

    public void Dispose()
    {
        _evaluator.Dispose();
        _parameters.Dispose();
        _engine.Dispose();
    }

    [Fact]
    public void InterchangeStartsAtTheCircuitAndAtTheFullModel()
    {
        NodeSet nodes = Every(3);
        using var interchange = new Interchange(_evaluator, Pairs, orders: 3, "test");
        InterchangeCurves curves = interchange.Measure(nodes);

        Assert.Equal([0, 0.25, 0.5, 0.75, 1], curves.FullIntoCircuit.Select(point => point.Fraction));
        Assert.Equal(_evaluator.Loss(nodes, Pairs), curves.FullIntoCircuit[0].Loss, 1e-6);
        Assert.Equal(_evaluator.Loss(_all, Pairs), curves.CircuitIntoFull[0].Loss, 1e-6);
        Assert.True(Math.Abs(curves.FullIntoCircuit[4].Loss - curves.FullIntoCircuit[0].Loss) > 1e-3);
        double baseline = Math.Max(_evaluator.Loss(nodes, Pairs), _evaluator.Loss(_all, Pairs));
        Assert.Equal(curves.FullIntoCircuit[4].Loss - baseline, curves.RiseWithModelValues, 1e-6);
        Assert.Equal(curves.CircuitIntoFull[4].Loss - baseline, curves.RiseWithCircuitValues, 1e-6);
        InterchangePoint[] middle = [.. curves.FullIntoCircuit.Take(1..4), .. curves.CircuitIntoFull.Take(1..4)];
        Assert.Equal(middle.Max(point => point.Loss) - baseline, curves.RiseOfMixtures, 1e-6);
        Assert.All(middle, point => Assert.True(point.LossHigh > point.Loss)); // of three orders the highest
        Assert.NotEqual(curves.RiseOfMixturesHigh, curves.RiseOfMixtures, 1e-6);
    }

    [Fact]
    public void ACircuitSurvivesARiseAsLargeAsItsLargestAndNoSmaller()
    {
        NodeSet nodes = Every(3);
        TokenizedPair[] batch = [.. Pairs.Take(_evaluator.Masked.Runner.Pairs)];
        using var interchange = new Interchange(_evaluator, batch, orders: 3, "test");
        double rise = interchange.Measure(nodes).LargestRise;

        Assert.True(interchange.Survives(nodes, rise + 1e-6));
        Assert.False(interchange.Survives(nodes, rise - 1e-3));
    }

    [Fact]
    public void IntegratedGradientsAddUpToWhatFreezingAllDoes()
    {
        // Completeness (Sundararajan et al. 2017): without the absolute values they sum to the difference of the losses at both ends.
        float[] gradient = new float[_all.Count];
        double sum = 0;
        for (int step = 0; step < 16; step++)
        {
            float level = (step + 0.5f) / 16;
            _evaluator.Masked.LossAndMaskGradient([.. _all.ToMask().Select(value => value * level)], Pairs, TaskLoss.Binary, gradient);
            sum += gradient.Sum(value => (double)value) / 16;
        }

        double[] scores = Attribution.Scores(_evaluator, Pairs, PruningMethod.Integrated);
        double difference = _evaluator.Loss(_all, Pairs) - _evaluator.Loss(NodeSet.Empty(_evaluator.Layout), Pairs);

        Assert.Equal(difference, sum, 0.05 * Math.Abs(difference)); // 16 places on the way leave 3 %
        Assert.True(scores.Sum() >= Math.Abs(sum));
        Assert.NotEqual(Attribution.Scores(_evaluator, Pairs, PruningMethod.Attribution)[3], scores[3]);
    }

    [Fact]
    public void InterchangeOfWhatWritesTheResidualMovesTheWholeAnswer()
    {
        // With every resid_delta taken from the other run, the final residual is the other run's.
        var writers = NodeSet.Of(_evaluator.Layout, _all.Nodes.Where(node => node.Site.Kind.WritesResidual()));
        using var interchange = new Interchange(_evaluator, Pairs, orders: 3, "test");
        InterchangeCurves curves = interchange.Measure(writers);

        Assert.Equal(_evaluator.Loss(_all, Pairs), curves.FullIntoCircuit[4].Loss, 1e-5);
        Assert.Equal(_evaluator.Loss(writers, Pairs), curves.CircuitIntoFull[4].Loss, 1e-5);
        Assert.True(Math.Abs(_evaluator.Loss(_all, Pairs) - _evaluator.Loss(writers, Pairs)) > 1e-3);
    }

    [Fact]
    public void AttributionIsTheSlopeOfTheLossInEachMask()
    {
        double[] scores = Attribution.Scores(_evaluator, Pairs, PruningMethod.Attribution);
        double largest = scores.Max();
        foreach (int node in new[] { Array.IndexOf(scores, largest), 3, 50, 100, 150 })
        {
            double slope = (LossAt(node, 1.02f) - LossAt(node, 0.98f)) / 0.04;
            Assert.Equal(Math.Abs(slope), scores[node], 0.02 * largest);
        }

        double LossAt(int node, float mask)
        {
            float[] all = _all.ToMask();
            all[node] = mask;
            _evaluator.Masked.Gates.SetMask(all);
            return _evaluator.Masked.Runner.AllDifferences(Pairs).BinaryLoss();
        }
    }

    [Fact]
    public void AModelWithRandomWeightsHasThemWhereTheTrainedOneHas()
    {
        MakeSparse();
        using ModelParameters random = ControlModel.WithRandomWeights(_parameters, 5);
        foreach (Parameter parameter in random.All)
        {
            float[] trained = _parameters.Read(parameter.Spec.Name);
            float[] drawn = random.Read(parameter.Spec.Name);
            Assert.Equal(trained.Select(value => value == 0), drawn.Select(value => value == 0));
            bool isReplaced =
                parameter.Spec.Sparsity is SparsityGroup.Matrix or SparsityGroup.Embedding && trained.Any(value => value != 0);
            Assert.Equal(isReplaced, !trained.AsSpan().SequenceEqual(drawn));
        }

        // He et al.: 2 over the number of weights into an output, here a fifth of the inputs.
        Parameter matrix = random[ParameterNames.Layer(0) + "mlp.c_fc.weight"];
        float[] weights = [.. random.Read(matrix.Spec.Name).Where(value => value != 0)];
        double expected = 2.0 * matrix.Spec.Rows / weights.Length;
        Assert.Equal(expected, weights.Average(value => (double)value * value), 0.5 * expected);
    }

    [Fact]
    public void AModelWithPermutedWeightsHasTheSameOnesElsewhere()
    {
        MakeSparse();
        using ModelParameters permuted = ControlModel.WithPermutedWeights(_parameters, 5);
        foreach (Parameter parameter in permuted.All)
        {
            float[] trained = _parameters.Read(parameter.Spec.Name);
            Assert.Equal(trained.Order(), permuted.Read(parameter.Spec.Name).Order());
        }

        string name = ParameterNames.Layer(0) + "mlp.c_fc.weight";
        Assert.NotEqual(_parameters.Read(name).Select(value => value == 0), permuted.Read(name).Select(value => value == 0));
    }

    [Fact]
    public void DivergenceIsThatOfTheTwoAnswersProbabilities()
    {
        var one = new LogitDifferences([(0, 2), (-1, 30)]);
        var other = new LogitDifferences([(1, 2), (-1, -30)]);
        double p = 1 / (1 + Math.Exp(-1));
        double expected = ((p * Math.Log(p / 0.5)) + ((1 - p) * Math.Log((1 - p) / 0.5)) + 30) / 4;

        Assert.Equal(expected, one.DivergenceFrom(other), 1e-9);
        Assert.Equal(0, one.DivergenceFrom(one), 1e-12);
        foreach ((int pair, bool first) in new[] { (0, true), (0, false), (1, true) })
        {
            double slope = (Moved(pair, first, 1e-4) - Moved(pair, first, -1e-4)) / 2e-4;
            (double First, double Second) gradient = one.DivergenceGradient(other)[pair];
            Assert.Equal(slope, first ? gradient.First : gradient.Second, 1e-6);
        }

        double Moved(int pair, bool first, double by)
        {
            (double First, double Second)[] moved = [.. one.Pairs];
            moved[pair] = first ? (moved[pair].First + by, moved[pair].Second) : (moved[pair].First, moved[pair].Second + by);
            return new LogitDifferences(moved).DivergenceFrom(other);
        }
    }

    [Fact]
    public void TheBestTwoLevelsAreThoseOfLeastError()
    {
        var random = new RandomSource(5);
        float[] values = [.. Enumerable.Range(0, 60).Select(i => (float)((i % 3 == 0 ? 2 : -1) + random.NextNormal()))];
        (float threshold, float low, float high) = NodeBinarisation.BestLevels(values);
        double best = values.Min(split => Error(split));

        Assert.Equal(best, values.Sum(value => Math.Pow(value - (value >= threshold ? high : low), 2)), 1e-4);
        Assert.Equal((3f, 3f, 3f), NodeBinarisation.BestLevels([3, 3, 3]));

        double Error(float split)
        {
            float[] above = [.. values.Where(value => value >= split)];
            float[] below = [.. values.Where(value => value < split)];
            return Of(above) + Of(below);

            static double Of(float[] part) => part.Length == 0 ? 0 : part.Sum(value => Math.Pow(value - part.Average(), 2));
        }
    }

    [Fact]
    public void BinarisingEveryNodeIsReplacingItsActivation()
    {
        NodeSet nodes = Every(7);
        (IReadOnlyList<Binarisation> each, BinarisedLoss loss) = NodeBinarisation.Measure(_evaluator, nodes, Pairs, Pairs);

        Assert.Equal(nodes.Count, each.Count);
        Assert.Equal(_evaluator.Loss(nodes, Pairs), loss.Circuit);
        Assert.NotEqual(loss.Circuit, loss.AllNodes);
        Assert.Contains(each, node => Math.Abs(node.Loss - loss.Circuit) > 1e-5);
        Assert.All(each, node => Assert.True(node.Low <= node.High));
    }

    private void MakeSparse()
    {
        foreach (Parameter parameter in _parameters.All.Where(parameter => parameter.Spec.Sparsity == SparsityGroup.Matrix))
        {
            _engine.KeepLargest(parameter.Value, parameter.Spec.Length / 5, null, 0);
        }
    }

    private NodeSet Every(int step) => new(_evaluator.Layout, _all.Numbers.Where(i => i % step == 0));
}
