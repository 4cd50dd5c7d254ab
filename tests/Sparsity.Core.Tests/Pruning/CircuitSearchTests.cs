using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>Mask training and choice on a small random model.</summary>
public sealed class CircuitSearchTests : IDisposable
{
    private static readonly TokenizedPair[] Pairs =
    [
        .. Enumerable.Range(0, 12).Select(i => new TokenizedPair([3, 4 + i, 5, 6, 7], [3, 9, 5 + i], 11, 12)),
    ];

    private static readonly PruningConfig Config = new()
    {
        Steps = 30,
        BatchPairs = 3,
        MaxTokens = 6,
        KCoef = [1e-3, 1e-2],
        MeanBatches = 1,
    };

    private readonly CpuEngine _engine = new(2);
    private readonly ModelParameters _parameters;
    private readonly Transformer _model;
    private readonly float[] _means;

    public CircuitSearchTests()
    {
        _parameters = TinyModels.Random(_engine, TinyModels.Config, 4);
        _model = new Transformer(_parameters);
        _means = MeanActivations.Measure(_model, new NodeLayout(TinyModels.Config), TinyModels.Tokens(500, 3), 12, 2, 7);
    }

    public void Dispose()
    {
        _parameters.Dispose();
        _engine.Dispose();
    }

    [Theory]
    [InlineData(7)]
    [InlineData(30)]
    [InlineData(44)]
    public void AnInterruptedTrainingGoesOnBitForBit(int stepsBefore)
    {
        using var folder = new TemporaryFolder();
        IReadOnlyList<TrainedMask> expected = Train(Config, null, default);
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() =>
            Train(Config, new MaskCheckpoint(folder["mask.json"], "x"), stop.Token, stop, stepsBefore)
        );

        IReadOnlyList<TrainedMask> resumed = Train(Config, new MaskCheckpoint(folder["mask.json"], "x"), default);

        Assert.Equal(expected.Select(mask => mask.KCoef), resumed.Select(mask => mask.KCoef));
        Assert.All(expected.Zip(resumed), masks => Assert.Equal(masks.First.Tau, masks.Second.Tau));
        Assert.Throws<BadInputException>(() => new MaskCheckpoint(folder["mask.json"], "y"));
    }

    [Fact]
    public void TiedMasksKeepQueryAndKeyTogether()
    {
        using var evaluator = new CircuitEvaluator(_model, _means, Config with { TiedQueryKey = true });
        using var search = new CircuitSearch(evaluator);
        IReadOnlyList<TrainedMask> masks = search.TrainMasks(Pairs);
        ChosenNodes chosen = search.Choose(masks, Pairs, 0.72);

        Assert.True(masks[0].Tau.Distinct().Count() > 100);
        foreach ((int query, int key) in evaluator.Layout.QueryKeyPairs)
        {
            Assert.All(masks, mask => Assert.Equal(mask.Tau[query], mask.Tau[key]));
            Assert.Equal(chosen.Nodes.Contains(query), chosen.Nodes.Contains(key));
        }
    }

    [Fact]
    public void TheFullLossIsTheCrossEntropyOfTheRightAnswers()
    {
        using var runner = new TaskRunner(_model, 2, 6);
        TokenizedPair[] pairs = [Pairs[0], Pairs[5]];

        // The binary differences of every token against token 0 give the whole softmax.
        double expected = 0;
        for (int i = 0; i < 4; i++)
        {
            double[] against =
            [
                .. Enumerable
                    .Range(0, 29)
                    .Select(token =>
                        runner.AllDifferences([.. pairs.Select(pair => pair with { AnswerA = token, AnswerB = 0 })]).ByPrompt()[i]
                    ),
            ];
            expected += Math.Log(against.Sum(Math.Exp)) - against[i % 2 == 0 ? 11 : 12];
        }

        Assert.Equal(expected / 4, runner.LossAndBackward(pairs, TaskLoss.Full), 1e-5);
    }

    [Fact]
    public void RandomCircuitsHaveAsManyNodesAtEachLocation()
    {
        using var evaluator = new CircuitEvaluator(_model, _means, Config);
        var all = NodeSet.All(evaluator.Layout);
        Assert.All(evaluator.RandomLosses(all, Pairs, 2), loss => Assert.Equal(evaluator.Loss(all, Pairs), loss));
        var none = NodeSet.Empty(evaluator.Layout);
        Assert.All(evaluator.RandomLosses(none, Pairs, 2), loss => Assert.Equal(evaluator.Loss(none, Pairs), loss));
        var half = new NodeSet(evaluator.Layout, all.Numbers.Where(i => i % 2 == 0));
        Assert.Equal(3, evaluator.RandomLosses(half, Pairs, 3).Distinct().Count());
    }

    [Fact]
    public void TheEffectOfANodeIsWhatFreezingItCosts()
    {
        using var evaluator = new CircuitEvaluator(_model, _means, Config);
        var nodes = new NodeSet(evaluator.Layout, Enumerable.Range(0, evaluator.Layout.Count).Where(i => i % 3 != 0));
        IReadOnlyList<double> effects = evaluator.AblationEffects(nodes, Pairs);
        double whole = evaluator.Loss(nodes, Pairs);

        Assert.Equal(nodes.Count, effects.Count);
        Assert.Equal(evaluator.Loss(nodes.Without(1), Pairs) - whole, effects[0]);
        Assert.Contains(effects, effect => Math.Abs(effect) > 1e-4);
    }

    [Fact]
    public void TheEffectOfAnAttentionIsWhatFreezingItsNodesCosts()
    {
        using var evaluator = new CircuitEvaluator(_model, _means, Config);
        NodeLayout layout = evaluator.Layout;
        var nodes = new NodeSet(
            layout,
            Enumerable
                .Range(0, layout.Count)
                .Where(i => i % 3 != 0 && !(layout[i].Site.Layer == 0 && layout[i].Site.Kind >= SiteKind.MlpActIn))
        );
        IReadOnlyDictionary<string, double> effects = evaluator.LayerEffects(nodes, Pairs);

        Assert.Equal(["0.attn", "1.attn", "1.mlp"], effects.Keys);
        var without = new NodeSet(
            layout,
            nodes.Numbers.Where(i => !(layout[i].Site.Layer == 1 && layout[i].Site.Kind <= SiteKind.AttnResidDelta))
        );
        Assert.InRange(without.Count, 1, nodes.Count - 1);
        Assert.Equal(evaluator.Loss(without, Pairs) - evaluator.Loss(nodes, Pairs), effects["1.attn"]);
        Assert.True(Math.Abs(effects["1.attn"]) > 1e-4);
    }

    [Fact]
    public void TheSizesTriedForATargetHaveTheirLossesWhateverElseIsSought()
    {
        using var evaluator = new CircuitEvaluator(_model, _means, Config);
        using var search = new CircuitSearch(evaluator);
        IReadOnlyList<TrainedMask> masks = search.TrainMasks(Pairs);
        double kept = search.Choose(masks, Pairs, 100).SelectionLoss;

        ChosenNodes alone = search.Choose(masks, Pairs, 0.9);
        ChosenNodes beside = search.Choose(masks, Pairs, [0.75, 0.9])[1];

        Assert.True(alone.PassesSelection, $"Loss {alone.SelectionLoss}, of few nodes {kept}.");
        Assert.Equal(alone.Tried, beside.Tried);
        Assert.Contains(new TriedSize(alone.Nodes.Count, alone.SelectionLoss), alone.Tried!);
        Assert.Equal(alone.Tried!.Select(size => size.Nodes).Order().Distinct(), alone.Tried!.Select(size => size.Nodes));
        Assert.True(alone.Tried!.Count > 1);
    }

    private IReadOnlyList<TrainedMask> Train(
        PruningConfig config,
        MaskCheckpoint? checkpoint,
        CancellationToken token,
        CancellationTokenSource? stop = null,
        int stepsBefore = 0
    )
    {
        using var evaluator = new CircuitEvaluator(_model, _means, config);
        using var search = new CircuitSearch(evaluator);
        var pairs = new Stopper(Pairs, stop, stepsBefore * config.BatchPairs);
        return search.TrainMasks(pairs, checkpoint, null, token);
    }

    /// <summary>Cancels when so many pairs have been read.</summary>
    private sealed class Stopper(IReadOnlyList<TokenizedPair> pairs, CancellationTokenSource? stop, int reads)
        : IReadOnlyList<TokenizedPair>
    {
        private int _reads;

        public int Count => pairs.Count;

        public TokenizedPair this[int index]
        {
            get
            {
                if (++_reads == reads)
                {
                    stop?.Cancel();
                }

                return pairs[index];
            }
        }

        public IEnumerator<TokenizedPair> GetEnumerator() => pairs.GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
