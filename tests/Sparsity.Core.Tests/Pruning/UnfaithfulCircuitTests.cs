using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>
/// Circuits that reach a low loss, and whose removal breaks the task, but that are not what the model does: a faithfulness report must say
/// so, and must call the true circuits of the same models real.
/// </summary>
public class UnfaithfulCircuitTests
{
    private const int AnswerA = 10;
    private const int AnswerB = 11;
    private const int Yes = 1;
    private const int No = 2;

    private static readonly PruningConfig Config = new()
    {
        MaxTokens = 8,
        TargetLoss = 0.06,
        SelectionPairs = 32,
        TestPairs = 32,
        MeanBatches = 8,
        Steps = 120,
    };

    /// <summary>
    /// Three neurons tell the last token's kind; the effects of two cancel. The first alone does the task while the others are frozen, and
    /// nothing in it changes when they are not. But its work is undone by the second, and the model's answer is the third's.
    /// </summary>
    [Fact]
    public void HalfOfACancellingPairIsDoubtful()
    {
        using PlantedTask task = CancellingPair();
        Circuit half = task.Of("0.mlp.act_in.1", "0.mlp.post_act.0", "0.mlp.resid_delta.4");
        Circuit whole = task.Of(
            "0.mlp.act_in.1",
            "0.mlp.post_act.0",
            "0.mlp.post_act.1",
            "0.mlp.post_act.2",
            "0.mlp.resid_delta.4",
            "0.mlp.resid_delta.5",
            "0.mlp.resid_delta.6"
        );

        Assert.True(half.Solved);
        Assert.Equal(["does it work with any part of the rest", "can the model do without any one node of the rest"], task.Doubts(half));
        Assert.True(whole.Solved);
        Assert.Empty(task.Doubts(whole));
    }

    /// <summary>
    /// A neuron that something outside the circuit holds down on every prompt of the task, and lets go when it is frozen at its mean: a
    /// path that the model never takes.
    /// </summary>
    [Fact]
    public void ADormantPathIsDoubtful()
    {
        using PlantedTask task = DormantPath();
        Circuit dormant = task.Of("0.mlp.act_in.1", "0.mlp.post_act.0", "0.mlp.resid_delta.4");
        Circuit real = task.Of("0.mlp.act_in.1", "0.mlp.post_act.2", "0.mlp.resid_delta.6");

        Assert.True(dormant.Solved);
        Assert.Contains("does it work with the model's activations", task.Doubts(dormant));
        Assert.True(real.Solved);
        Assert.Empty(task.Doubts(real));
    }

    /// <summary>Without being asked, the search may take either path; asked to survive interchange it takes the model's.</summary>
    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    public void ASearchThatIsAskedToSurviveInterchangeFindsTheModelsOwnPath(ulong seed)
    {
        using PlantedTask task = DormantPath(Config with { Seed = seed, InterchangeFactor = 2 });
        using var search = new CircuitSearch(task.Evaluator);

        ChosenNodes chosen = search.Choose(search.TrainMasks(task.Prompts.Training), task.Prompts.Selection, Config.TargetLoss);
        Circuit circuit = task.Evaluator.Describe(chosen.Nodes, chosen, "planted", "planted", null, task.Prompts);

        Assert.True(circuit.SurvivesInterchange);
        Assert.True(circuit.Solved);
        Assert.Contains("0.mlp.post_act.2", circuit.Nodes.Select(node => node.Name));
        Assert.InRange(circuit.Smallest!.Edges, 1, circuit.Edges.Count);
    }

    /// <summary>Two neurons do the same, and either is enough.</summary>
    [Fact]
    public void WithoutOneWayTheSearchFindsTheOther()
    {
        ChosenNodes first = Choose([]);
        Node found = Assert.Single(first.Nodes.Nodes, node => node.Site.Kind == SiteKind.MlpPostAct);
        ChosenNodes second = Choose([found]);

        Assert.True(first.PassesSelection && second.PassesSelection);
        Node other = Assert.Single(second.Nodes.Nodes, node => node.Site.Kind == SiteKind.MlpPostAct);
        Assert.Equal(["0.mlp.post_act.0", "0.mlp.post_act.2"], new[] { found.Name, other.Name }.Order(StringComparer.Ordinal));

        ChosenNodes Choose(Node[] excluded)
        {
            var model = new PlantedModel(1, sink: -30);
            model.Embed(Yes, 1, 2);
            model.NeuronReads(0, 1, 1);
            model.NeuronReads(2, 1, 1);
            model.NeuronWrites(0, 4, 1);
            model.NeuronWrites(2, 6, 1);
            model.Unembed(AnswerA, 4, 4);
            model.Unembed(AnswerA, 6, 4, bias: -4);
            using var task = new PlantedTask(model, Config with { Exclude = excluded, RemovalPass = true }, LastTokenDecides);
            using var search = new CircuitSearch(task.Evaluator);
            IReadOnlyList<TrainedMask> masks = search.TrainMasks(task.Prompts.Training);
            foreach (Node node in excluded)
            {
                Assert.All(masks, mask => Assert.Equal(-1, mask.Tau[task.Evaluator.Layout.IndexOf(node)]));
                foreach (PruningMethod baseline in new[] { PruningMethod.Attribution, PruningMethod.Integrated })
                {
                    ChosenNodes ranked = Attribution.Choose(task.Evaluator, task.Prompts.Selection, [Config.TargetLoss], baseline)[0];
                    Assert.True(ranked.PassesSelection);
                    Assert.DoesNotContain(node, ranked.Nodes.Nodes);
                }
            }

            return search.Choose(masks, task.Prompts.Selection, Config.TargetLoss);
        }
    }

    /// <summary>A mask that was hardly trained keeps much; what is not needed goes afterwards.</summary>
    [Fact]
    public void TheRemovalPassLeavesWhatIsNeeded()
    {
        PruningConfig hardly = Config with { Steps = 1, InitialBias = 1, InitialScale = 0.5, KCoef = [0] };
        using PlantedTask without = DormantPath(config: hardly);
        using PlantedTask with = DormantPath(config: hardly with { RemovalPass = true });

        ChosenNodes large = Choose(without);
        ChosenNodes small = Choose(with);

        Assert.True(large.PassesSelection && small.PassesSelection);
        Assert.True(small.Nodes.Count < large.Nodes.Count, $"{small.Nodes.Count} of {large.Nodes.Count} nodes are left.");
        Assert.All(
            small.Nodes.Numbers,
            node =>
                Assert.True(
                    with.Evaluator.Loss(small.Nodes.Without(node), with.Prompts.Selection) > Config.TargetLoss * Config.SelectionMargin,
                    $"{small.Nodes.Layout[node]} is not needed."
                )
        );

        static ChosenNodes Choose(PlantedTask task)
        {
            using var search = new CircuitSearch(task.Evaluator);
            return search.Choose(search.TrainMasks(task.Prompts.Training), task.Prompts.Selection, Config.TargetLoss);
        }
    }

    /// <summary>Half of the strength gives half of the logit difference, which a scale makes up for.</summary>
    [Fact]
    public void TheCalibratedCriterionIsThatAfterScaleAndShift()
    {
        var model = new PlantedModel(1, sink: -30);
        model.Embed(Yes, 1, 2);
        for (int neuron = 0; neuron < 3; neuron++)
        {
            model.NeuronReads(neuron, 1, 1);
            model.NeuronWrites(neuron, 4, 1);
        }

        model.Unembed(AnswerA, 4, 2, bias: -6);
        string[] third = ["0.mlp.act_in.1", "0.mlp.post_act.0", "0.mlp.resid_delta.4"];
        using var plain = new PlantedTask(model, Config, LastTokenDecides);
        using var calibrated = new PlantedTask(model, Config with { Criterion = LossCriterion.Calibrated }, LastTokenDecides);
        Circuit judged = calibrated.Of(third);

        Assert.Equal("missed", plain.Of(third).Shortcoming);
        Assert.True(judged.Solved);
        Assert.Equal(judged.Measurements.LossCalibrated, judged.JudgedLoss);
        Assert.InRange(judged.JudgedLoss, 0, Config.TargetLoss);
        Assert.True(judged.Measurements.Loss > 0.3, $"{judged.Measurements.Loss}");
        var nodes = NodeSet.Of(calibrated.Evaluator.Layout, third.Select(Node.Parse));
        Assert.Equal(judged.Calibration!.LossAfter, calibrated.Evaluator.SelectionLoss(nodes, calibrated.Prompts.Selection));
    }

    private static PlantedTask CancellingPair()
    {
        var model = new PlantedModel(1, sink: -30);
        model.Embed(Yes, 1, 2);
        for (int neuron = 0; neuron < 3; neuron++)
        {
            model.NeuronReads(neuron, 1, 1);
            model.NeuronWrites(neuron, 4 + neuron, 1);
        }

        model.Unembed(AnswerA, 4, 4);
        model.Unembed(AnswerA, 5, -4);
        model.Unembed(AnswerA, 6, 4, bias: -4);
        return new PlantedTask(model, Config, LastTokenDecides);
    }

    private static PlantedTask DormantPath(PruningConfig? config = null)
    {
        var model = new PlantedModel(config?.Seed ?? 1, sink: -30);
        model.Embed(Yes, 1, 2);
        model.Embed(Yes, 3, 2);
        model.Embed(No, 3, 2);
        model.NeuronReads(0, 1, 1);
        model.NeuronReads(0, 3, -1.2f);
        model.NeuronReads(2, 1, 1);
        model.NeuronWrites(0, 4, 1);
        model.NeuronWrites(2, 6, 1);
        model.Unembed(AnswerA, 4, 5);
        model.Unembed(AnswerA, 6, 4, bias: -4);
        return new PlantedTask(model, config ?? Config, LastTokenDecides);
    }

    private static TokenizedPair LastTokenDecides(RandomSource random)
    {
        int[] fillers = [.. Enumerable.Range(0, 5).Select(_ => 5 + random.NextInt(5))];
        return new TokenizedPair([.. fillers, Yes], [.. fillers, No], AnswerA, AnswerB);
    }
}
