using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>A planted model with prompts drawn for it.</summary>
internal sealed class PlantedTask : IDisposable
{
    private readonly CpuEngine _engine = new(1);
    private readonly ModelParameters _parameters;

    /// <param name="planted">The model.</param>
    /// <param name="config">Its seed is that of the prompts and the pretraining text, whose tokens are all as common.</param>
    /// <param name="draw">Draws a pair of prompts.</param>
    public PlantedTask(PlantedModel planted, PruningConfig config, Func<RandomSource, TokenizedPair> draw)
    {
        _parameters = planted.Build(_engine);
        var model = new Transformer(_parameters);
        var random = RandomSource.For(config.Seed, "pretraining");
        ushort[] tokens = [.. Enumerable.Range(0, 4000).Select(_ => (ushort)random.NextInt(PlantedModel.VocabularySize))];
        float[] means = MeanActivations.Measure(model, new NodeLayout(PlantedModel.Config), tokens, 8, config.MeanBatches, config.Seed);
        Prompts = new TaskPrompts(
            Draw("training", config.Steps * config.BatchPairs),
            Draw("selection", config.SelectionPairs),
            Draw("test", config.TestPairs)
        );
        Evaluator = new CircuitEvaluator(model, means, config);

        List<TokenizedPair> Draw(string purpose, int count) =>
            [.. Enumerable.Range(0, count).Select(i => draw(RandomSource.For(config.Seed, purpose, i)))];
    }

    public TaskPrompts Prompts { get; }

    public CircuitEvaluator Evaluator { get; }

    public void Dispose()
    {
        Evaluator.Dispose();
        _parameters.Dispose();
        _engine.Dispose();
    }

    /// <summary>What a faithfulness report asks of a circuit itself.</summary>
    /// <returns>The questions that are answered with no.</returns>
    public string[] Doubts(Circuit circuit)
    {
        NodeSet nodes = circuit.NodesIn(Evaluator.Layout);
        var all = NodeSet.All(Evaluator.Layout);
        using var interchange = new Interchange(Evaluator, Prompts.Test, orders: 8, "interchange");
        return
        [
            .. Faithfulness
                .OfCircuit(
                    circuit,
                    Evaluator.Differences(nodes, Prompts.Test).DivergenceFrom(Evaluator.Differences(all, Prompts.Test)),
                    interchange.Measure(nodes),
                    PartialAblation.Measure(Evaluator, nodes, Prompts.Test)
                )
                .Where(check => !check.Passed)
                .Select(check => check.Question),
        ];
    }

    /// <summary>A circuit of nodes named by hand.</summary>
    public Circuit Of(params string[] names)
    {
        var nodes = NodeSet.Of(Evaluator.Layout, names.Select(Node.Parse));
        double loss = Evaluator.SelectionLoss(nodes, Prompts.Selection);
        return Evaluator.Describe(
            nodes,
            new ChosenNodes(nodes, new double[Evaluator.Layout.Count], 0, loss, true),
            "planted",
            "planted",
            null,
            Prompts
        );
    }
}
