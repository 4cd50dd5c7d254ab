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
        var curves = InterchangeCurves.Measure(_evaluator, nodes, Pairs);

        Assert.Equal([0, 0.25, 0.5, 0.75, 1], curves.FullIntoCircuit.Select(point => point.Fraction));
        Assert.Equal(_evaluator.Loss(nodes, Pairs), curves.FullIntoCircuit[0].Loss, 1e-6);
        Assert.Equal(_evaluator.Loss(_all, Pairs), curves.CircuitIntoFull[0].Loss, 1e-6);
        Assert.True(Math.Abs(curves.FullIntoCircuit[4].Loss - curves.FullIntoCircuit[0].Loss) > 1e-3);
    }

    [Fact]
    public void InterchangeOfWhatWritesTheResidualMovesTheWholeAnswer()
    {
        // With every resid_delta taken from the other run, the final residual is the other run's.
        var writers = NodeSet.Of(_evaluator.Layout, _all.Nodes.Where(node => node.Site.Kind.WritesResidual()));
        var curves = InterchangeCurves.Measure(_evaluator, writers, Pairs);

        Assert.Equal(_evaluator.Loss(_all, Pairs), curves.FullIntoCircuit[4].Loss, 1e-5);
        Assert.Equal(_evaluator.Loss(writers, Pairs), curves.CircuitIntoFull[4].Loss, 1e-5);
        Assert.True(Math.Abs(_evaluator.Loss(_all, Pairs) - _evaluator.Loss(writers, Pairs)) > 1e-3);
    }

    [Fact]
    public void AttributionIsTheSlopeOfTheLossInEachMask()
    {
        double[] scores = Attribution.Scores(_evaluator, Pairs);
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
    public void ARandomModelIsAsSparse()
    {
        foreach (Parameter parameter in _parameters.All.Where(parameter => parameter.Spec.Sparsity == SparsityGroup.Matrix))
        {
            _engine.KeepLargest(parameter.Value, parameter.Spec.Length / 5, null, 0);
        }

        using ModelParameters random = Faithfulness.RandomLike(_parameters, 5);
        foreach (
            Parameter parameter in random.All.Where(parameter =>
                parameter.Spec.Sparsity == SparsityGroup.Matrix && parameter.Spec.Name != ParameterNames.Position
            )
        )
        {
            Assert.Equal(parameter.Spec.Length / 5, _engine.CountNonzero(parameter.Value));
            Assert.NotEqual(_parameters.Read(parameter.Spec.Name), random.Read(parameter.Spec.Name));
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

    private NodeSet Every(int step) => new(_evaluator.Layout, _all.Numbers.Where(i => i % step == 0));
}
