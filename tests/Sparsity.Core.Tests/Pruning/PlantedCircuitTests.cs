using Sparsity.Core.Circuits;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>
/// Circuits written into a model by hand, among random distractors, are pruned back to exactly their nodes and edges. Weights leave the
/// model's own loss near 0.03 and its attention short of saturation: where nothing changes the loss, no gradient says what is needed.
/// </summary>
public class PlantedCircuitTests
{
    private const int AnswerA = 10;
    private const int AnswerB = 11;

    private static readonly PruningConfig Config = new()
    {
        Steps = 120,
        BatchPairs = 8,
        MaxTokens = 8,
        TargetLoss = 0.06,
        SelectionPairs = 64,
        TestPairs = 64,
        MeanBatches = 8,
    };

    /// <summary>
    /// The paper's figure 4: neurons detect the opening quote and tell its kind; a head looks for the detector and copies the kind.
    /// </summary>
    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    public void QuoteDetectorAndCopy(ulong seed)
    {
        const int Double = 1;
        const int Single = 2;
        var model = new PlantedModel(seed, sink: -30);
        model.Embed(Double, 1, 2);
        model.Embed(Single, 2, 2);
        model.NeuronReads(0, 1, 1);
        model.NeuronReads(0, 2, 1);
        model.NeuronReads(1, 1, 1);
        model.NeuronReads(2, 2, 1);
        model.NeuronWrites(0, 3, 1);
        model.NeuronWrites(1, 4, 1);
        model.NeuronWrites(2, 4, -1);
        model.QueryBias(1, 4);
        model.Key(1, 3, 1.5f);
        model.Value(1, 4, 1);
        model.Write(1, 6, 1);
        model.Unembed(AnswerA, 6, 1);
        model.Unembed(AnswerB, 6, -1);

        ShouldBe(
            model,
            seed,
            random =>
            {
                int place = random.NextInt(5);
                int[] prompt = Fillers(random, 6);
                return new TokenizedPair(With(prompt, (place, Double)), With(prompt, (place, Single)), AnswerA, AnswerB);
            },
            [
                "0.mlp.act_in.1 > 0.mlp.post_act.0",
                "0.mlp.act_in.2 > 0.mlp.post_act.0",
                "0.mlp.act_in.1 > 0.mlp.post_act.1",
                "0.mlp.act_in.2 > 0.mlp.post_act.2",
                "0.mlp.post_act.0 > 0.mlp.resid_delta.3",
                "0.mlp.post_act.1 > 0.mlp.resid_delta.4",
                "0.mlp.post_act.2 > 0.mlp.resid_delta.4",
                "1.attn.act_in.3 > 1.attn.k.0",
                "1.attn.act_in.4 > 1.attn.v.0",
                "1.attn.v.0 > 1.attn.resid_delta.6",
            ]
        );
    }

    /// <summary>
    /// The paper's figure 5: a head averages the opening brackets over the text, and a second one holds the average against its sink.
    /// </summary>
    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    public void BracketCounterWithSinkThreshold(ulong seed)
    {
        const int Open = 1;
        var model = new PlantedModel(seed, sink: 9);
        model.Embed(Open, 1, 1);
        model.QueryBias(0, 20);
        model.KeyBias(0, 4);
        model.Value(0, 1, 1);
        model.Write(0, 2, 1);
        model.Query(1, 2, 14);
        model.KeyBias(1, 4);
        model.ValueBias(1, 1);
        model.Write(1, 6, 1);
        model.Unembed(AnswerA, 6, 8, bias: -4);

        // One bracket of six tokens: a score of 4.7 against the sink's 9; two: 9.3, six times.
        ShouldBe(
            model,
            seed,
            random =>
            {
                int place = 1 + random.NextInt(5);
                int[] prompt = With(Fillers(random, 6), (0, Open));
                return new TokenizedPair(With(prompt, (place, Open)), prompt, AnswerA, AnswerB);
            },
            ["0.attn.act_in.1 > 0.attn.v.0", "0.attn.v.0 > 0.attn.resid_delta.2", "1.attn.act_in.2 > 1.attn.q.0", "1.attn.resid_delta.6"]
        );
    }

    /// <summary>
    /// The paper's figure 6: what the variable began as is copied to the end of its line, and from there to the variable's next use.
    /// </summary>
    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    public void TwoHopVariableTracking(ulong seed)
    {
        const int Set = 1;
        const int Text = 2;
        const int LineEnd = 3;
        const int Variable = 4;
        var model = new PlantedModel(seed, sink: 5);
        model.Embed(Set, 1, 1);
        model.Embed(Text, 1, -1);
        model.Embed(Set, 2, 1);
        model.Embed(Text, 2, 1);
        model.Embed(LineEnd, 4, 1);
        model.Embed(Variable, 5, 1);
        model.Query(0, 4, 4);
        model.Key(0, 2, 4);
        model.Value(0, 1, 1);
        model.Write(0, 3, 1);
        model.Query(1, 5, 4);
        model.Key(1, 4, 4);
        model.Value(1, 3, 1);
        model.Write(1, 6, 1);
        model.Unembed(AnswerA, 6, 2);
        model.Unembed(AnswerB, 6, -2);

        ShouldBe(
            model,
            seed,
            random =>
            {
                int[] prompt =
                [
                    Variable,
                    Set,
                    .. Fillers(random, 1 + random.NextInt(2)),
                    LineEnd,
                    .. Fillers(random, 1 + random.NextInt(2)),
                    Variable,
                ];
                return new TokenizedPair(prompt, With(prompt, (1, Text)), AnswerA, AnswerB);
            },
            [
                "0.attn.act_in.4 > 0.attn.q.0",
                "0.attn.act_in.2 > 0.attn.k.0",
                "0.attn.act_in.1 > 0.attn.v.0",
                "0.attn.v.0 > 0.attn.resid_delta.3",
                "1.attn.act_in.5 > 1.attn.q.0",
                "1.attn.act_in.4 > 1.attn.k.0",
                "1.attn.act_in.3 > 1.attn.v.0",
                "1.attn.v.0 > 1.attn.resid_delta.6",
            ]
        );
    }

    /// <summary>
    /// The last token of every prompt makes its residual two thirds longer, which nothing reads; but ln_f then passes less of the answer,
    /// and it takes that to tell a weak signal from a strong one. The writer acts through the norm alone: with frozen scales it is no part
    /// of the circuit, without it is.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void FrozenNormScalesLeaveOutWhatActsThroughTheNormAlone(bool freezeNormScale)
    {
        const int Loud = 1;
        const int Strong = 2;
        const int Weak = 3;
        var model = new PlantedModel(1, sink: -20);
        model.Embed(Loud, 1, 1);
        model.NeuronReads(0, 1, 1);
        model.NeuronWrites(0, 5, 40);
        model.Embed(Strong, 2, 1);
        model.Embed(Weak, 2, 0.4f);
        model.Value(1, 2, 1);
        model.Write(1, 6, 6);
        model.Unembed(AnswerA, 6, 22, bias: -8);

        // The signal is 1 or 0.4, the length 50 in place of 30: the logit of the first answer is 13.2 - 8 or 5.3 - 8, without the writer 22
        // - 8 or 8.8 - 8. The two are not alike far from zero, else what the norm passes would have no slope.
        string[] circuit = ["1.attn.act_in.2 > 1.attn.v.0", "1.attn.v.0 > 1.attn.resid_delta.6"];
        string[] writer = ["0.mlp.act_in.1 > 0.mlp.post_act.0", "0.mlp.post_act.0 > 0.mlp.resid_delta.5"];
        ShouldBe(
            model,
            1,
            random =>
            {
                int place = random.NextInt(5);
                int[] prompt = With(Fillers(random, 6), (5, Loud));
                return new TokenizedPair(With(prompt, (place, Strong)), With(prompt, (place, Weak)), AnswerA, AnswerB);
            },
            freezeNormScale ? circuit : [.. circuit, .. writer],
            Config with
            {
                FreezeNormScale = freezeNormScale,
            }
        );
    }

    /// <summary>Prunes, and compares edges ("from > to") and, of these and of those named without an edge, the nodes.</summary>
    private static void ShouldBe(
        PlantedModel planted,
        ulong seed,
        Func<RandomSource, TokenizedPair> draw,
        string[] edgesAndNodes,
        PruningConfig? other = null
    )
    {
        PruningConfig config = (other ?? Config) with { Seed = seed };
        using var task = new PlantedTask(planted, config, draw);
        (CircuitEvaluator evaluator, TaskPrompts prompts) = (task.Evaluator, task.Prompts);
        using var search = new CircuitSearch(evaluator);

        ChosenNodes chosen = search.Choose(search.TrainMasks(prompts.Training), prompts.Selection, config.TargetLoss);
        Circuit circuit = evaluator.Describe(chosen.Nodes, chosen, "planted", "planted", null, prompts);

        string[] nodes = [.. edgesAndNodes.SelectMany(entry => entry.Split(" > ")).Distinct().Order(StringComparer.Ordinal)];
        Assert.True(
            chosen.PassesSelection,
            $"The loss is {chosen.SelectionLoss}, of the whole model {circuit.Measurements.LossFullModel}."
        );
        Assert.Equal(nodes, circuit.Nodes.Select(node => node.Name).Order(StringComparer.Ordinal));
        Assert.Equal(
            edgesAndNodes.Where(entry => entry.Contains('>', StringComparison.Ordinal)).Order(StringComparer.Ordinal),
            circuit.Edges.Select(edge => $"{edge.From} > {edge.To}").Order(StringComparer.Ordinal)
        );
        ChosenNodes baseline = Attribution.Choose(evaluator, prompts.Selection, [config.TargetLoss], PruningMethod.Attribution)[0];
        Assert.True(
            evaluator.Graph.Edges(baseline.Nodes).Count() >= circuit.Edges.Count,
            "The attribution baseline found a smaller circuit than the planted one."
        );
        Assert.InRange(circuit.Measurements.Loss, 0, config.TargetLoss);
        Assert.True(
            circuit.Measurements.LossWithoutCircuit > 0.6,
            $"Without the circuit the loss is {circuit.Measurements.LossWithoutCircuit}."
        );
        Assert.True(circuit.Measurements.LossRandomBest > 0.6, $"A random circuit has a loss of {circuit.Measurements.LossRandomBest}.");
        Assert.All(circuit.Nodes, node => Assert.True(node.AblationEffect > 0.1, $"{node.Name} has an effect of {node.AblationEffect}."));
        Assert.Empty(task.Doubts(circuit));
    }

    /// <summary>Tokens without a part in the circuit.</summary>
    private static int[] Fillers(RandomSource random, int count) => [.. Enumerable.Range(0, count).Select(_ => 5 + random.NextInt(5))];

    private static int[] With(int[] prompt, (int Place, int Token) change)
    {
        int[] changed = [.. prompt];
        changed[change.Place] = change.Token;
        return changed;
    }
}
