using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tests.Circuits.Released;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>Pruning with final_resid as a ninth location, on the released fixture's model and prompts.</summary>
public sealed class FinalResidTests : IDisposable
{
    private readonly ReleasedFixture _fixture = new(ReleasedFixture.Own);

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void ASearchChoosesAmongItsChannelsToo()
    {
        CircuitInputs inputs = _fixture.Import("viz/csp_tiny/single_double_quote/prune_v2/48/viz_data.pt").Inputs;
        var config = new PruningConfig
        {
            Steps = 40,
            BatchPairs = 8,
            MaxTokens = inputs.LongestPrompt,
            KCoef = [1e-3],
            SelectionPairs = 16,
            TestPairs = 16,
            RandomCircuits = 1,
            FinalResid = true,
        };
        using var evaluator = new CircuitEvaluator(_fixture.Model, inputs.Means, config);
        using var search = new CircuitSearch(evaluator);
        ChosenNodes chosen = search.Choose(search.TrainMasks(inputs.Pairs), inputs.Pairs, 0.15);

        Circuit circuit = evaluator.Describe(
            chosen.Nodes,
            chosen,
            "decides",
            "model",
            null,
            new TaskPrompts(inputs.Pairs, inputs.Pairs, inputs.Pairs)
        );

        Assert.Equal(608, circuit.TotalNodes);
        CircuitNode[] final = [.. circuit.Nodes.Where(node => node.Name.StartsWith("final_resid.", StringComparison.Ordinal))];
        Assert.InRange(final.Length, 1, 31);
        Assert.True(chosen.PassesSelection, $"{circuit.Measurements.Loss}");
        Assert.All(circuit.Edges, edge => Assert.NotNull(edge.Effect));
        Assert.Contains(final, node => node.AblationEffect > 0.01);
        Assert.Equal(608, circuit.LayoutIn(_fixture.Model.Config).Count);
        Assert.Equal(576, new NodeLayout(_fixture.Model.Config).Count);

        // All of final_resid frozen leaves the bigram table, which sees the last token only.
        var without = NodeSet.Of(evaluator.Layout, NodeSet.All(evaluator.Layout).Nodes.Where(node => node.Site != Site.Final));
        int[] lastTokens = [.. inputs.Pairs.SelectMany(pair => new[] { pair.First[^1], pair.Second[^1] })];
        IGrouping<(int, int), double>[] alike =
        [
            .. evaluator
                .Differences(without, inputs.Pairs)
                .ByPrompt()
                .Select((difference, i) => (difference, i))
                .GroupBy(entry => (lastTokens[entry.i], entry.i % 2), entry => Math.Round(entry.difference, 5)),
        ];
        Assert.Contains(alike, group => group.Count() > 1);
        Assert.All(alike, group => Assert.Single(group.Distinct()));

        // Nothing interchanged yet: each run's own numbers.
        using var interchange = new Interchange(evaluator, inputs.Pairs, orders: 2, "test");
        InterchangeCurves curves = interchange.Measure(chosen.Nodes);
        Assert.Equal(circuit.Measurements.Loss, curves.FullIntoCircuit[0].Loss, 1e-6);
        Assert.Equal(circuit.Measurements.LossFullModel, curves.CircuitIntoFull[0].Loss, 1e-6);
        Assert.All(curves.FullIntoCircuit.Concat(curves.CircuitIntoFull), point => Assert.True(double.IsFinite(point.Loss)));
    }
}
