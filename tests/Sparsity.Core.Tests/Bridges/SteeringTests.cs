using Sparsity.Core.Bridges;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Bridges;

/// <summary>
/// Steering over bridges that are identities, between a model and itself: the steered dense model must do what the edited sparse one does.
/// </summary>
public sealed class SteeringTests : IDisposable
{
    private const int Channels = 16;

    private static readonly ModelConfig Config = TinyModels.Config with { Afrac = null };
    private static readonly TokenizedPair[] Pairs =
    [
        new([3, 4, 5, 6], [3, 9, 5, 6], 11, 12),
        new([1, 2], [2, 2], 11, 20),
        new([7, 8, 9], [7, 1, 9], 5, 6),
    ];

    private readonly CpuEngine _engine = new(1);
    private readonly ModelParameters _parameters;
    private readonly Transformer _model;
    private readonly BridgePairs _bridges;

    public SteeringTests()
    {
        _parameters = TinyModels.Random(_engine, Config, 4);
        _model = new Transformer(_parameters);
        _bridges = new BridgePairs(_engine, Config, Config, new BridgeConfig { EncoderFraction = null }, isTrained: false);
        var identity = new float[Channels * Channels];
        for (int i = 0; i < Channels; i++)
        {
            identity[(i * Channels) + i] = 1;
        }

        foreach (BridgeMap decoder in _bridges.Decoders)
        {
            _engine.Write(decoder.Weight.Value, identity);
        }
    }

    public void Dispose()
    {
        _bridges.Dispose();
        _parameters.Dispose();
        _engine.Dispose();
    }

    [Fact]
    public void OverIdentitiesTheDenseModelDoesWhatTheSparseOneDoes()
    {
        Node[] nodes = [.. Enumerable.Range(0, Channels).Select(channel => new Node(new Site(0, SiteKind.AttnActIn), channel))];
        using var steering = new Steering(_model, _model, _bridges, nodes, [.. nodes.Select(_ => 1.0)], pairs: 2, tokens: 4);
        SteeringResult result = steering.Run(Pairs, [0, 0.5, 1], randomDirections: 2, seed: 1);
        Assert.All(
            result.Points,
            point =>
            {
                Assert.Equal(point.Sparse.Counterfactual, point.Dense.Counterfactual, 1e-6);
                Assert.Equal(point.Sparse.Presented, point.Dense.Presented, 1e-6);
            }
        );
        Assert.NotEqual(result.Points[0].Dense.Counterfactual, result.Points[2].Dense.Counterfactual, 1e-4);
        Assert.NotEqual(result.Points[2].Random.Counterfactual, result.Points[2].Dense.Counterfactual, 1e-4);
        Assert.Equal(3, result.Prompts);
    }

    [Fact]
    public void MovingEveryFirstInputByItsWholeDifferenceGivesTheCounterfactualPrompt()
    {
        // Without positions and with the residual left as it is, act_in of layer 0 decides q, k and v; the last tokens agree, so the
        // residual there does too, and of what attention reads everything is the counterfactual's. A one-layer model's MLP sees only that
        // and its own token.
        ModelConfig config = Config with
        {
            NLayer = 1,
        };
        using ModelParameters parameters = TinyModels.Random(_engine, config, 6);
        var model = new Transformer(parameters);
        using var bridges = new BridgePairs(_engine, config, config, new BridgeConfig { EncoderFraction = null }, isTrained: false);
        Node[] nodes = [.. Enumerable.Range(0, Channels).Select(channel => new Node(new Site(0, SiteKind.AttnActIn), channel))];
        using var steering = new Steering(model, model, bridges, nodes, [.. nodes.Select(_ => 1.0)], pairs: 1, tokens: 4);
        TokenizedPair pair = Pairs[0];
        SteeringResult result = steering.Run([pair], [0, 1], randomDirections: 1, seed: 1);
        using var runner = new TaskRunner(model, 1, 4);
        runner.Differences([pair]);
        Assert.Equal(runner.Probability(0, pair.AnswerB), result.Points[0].Sparse.Counterfactual, 1e-6);
        Assert.Equal(runner.Probability(1, pair.AnswerB), result.Points[1].Sparse.Counterfactual, 1e-6);
        Assert.NotEqual(result.Points[0].Sparse.Counterfactual, result.Points[1].Sparse.Counterfactual, 1e-4);
    }

    [Theory]
    [InlineData("0.attn.act_in")]
    [InlineData("0.mlp.act_in")]
    [InlineData("1.attn.act_in")]
    [InlineData("1.mlp.act_in")]
    public void OverExactBridgesAllNodesOfAPlaceMakeItsActivationTheCounterfactualOne(string name)
    {
        using var models = new ShuffledModel(_engine, otherNorms: true);
        var dense = new Transformer(models.Dense);
        var wide = new Transformer(models.Wide);
        using var bridges = new BridgePairs(_engine, dense.Config, wide.Config, new BridgeConfig(), isTrained: false);
        models.MakeExact(bridges);
        var site = Site.Parse(name, wide.Config);
        Node[] nodes = [.. Enumerable.Range(0, wide.Config.DModel).Select(channel => new Node(site, channel))];
        double ratio = Steering.RmsRatio(
            dense,
            wide,
            Steering.LocationOf(nodes[0], wide.Config),
            new BatchSource(TinyModels.Tokens(200, 1), 2, 4),
            2,
            2,
            4,
            seed: 1
        );
        using var steering = new Steering(dense, wide, bridges, nodes, [.. nodes.Select(_ => ratio)], pairs: 1, tokens: 4);
        SteeringResult result = steering.Run([Pairs[0]], [0, 1], randomDirections: 1, seed: 1);

        using var runner = new TaskRunner(dense, 1, 4);
        runner.Hooks.Add(new CounterfactualAt(_engine, site));
        runner.Differences([Pairs[0]]);
        Assert.Equal(0.5, ratio, 1e-6); // the same squares among four times as many channels
        Assert.Equal(runner.Probability(0, Pairs[0].AnswerB), result.Points[1].Dense.Counterfactual, 1e-6);
        Assert.Equal(runner.Probability(0, Pairs[0].AnswerB), result.Points[1].Sparse.Counterfactual, 1e-6);
        Assert.Equal(runner.Probability(0, Pairs[0].AnswerA), result.Points[1].Dense.Presented, 1e-6);
        Assert.NotEqual(result.Points[0].Dense.Counterfactual, result.Points[1].Dense.Counterfactual, 1e-3);
    }

    [Fact]
    public void WhatTheDenseModelsLayerNormTakesAwaySteersNothing()
    {
        ModelConfig config = Config with { RmsNorm = false };
        using ModelParameters parameters = TinyModels.Random(_engine, config, 4);
        var model = new Transformer(parameters);
        using var bridges = new BridgePairs(_engine, config, config, new BridgeConfig { EncoderFraction = null }, isTrained: false);
        var uniform = new float[Channels * Channels];
        uniform.AsSpan().Fill(1.5f);
        _engine.Write(bridges.Decoders[0].Weight.Value, uniform);
        using var steering = new Steering(
            model,
            model,
            bridges,
            [new Node(new Site(0, SiteKind.AttnActIn), 3)],
            [1.0],
            pairs: 1,
            tokens: 4
        );
        SteeringResult result = steering.Run([Pairs[0]], [0, 1], randomDirections: 1, seed: 1);
        Assert.Equal(result.Points[0].Dense.Counterfactual, result.Points[1].Dense.Counterfactual, 1e-7);
        Assert.NotEqual(result.Points[0].Sparse.Counterfactual, result.Points[1].Sparse.Counterfactual, 1e-5);
    }

    [Fact]
    public void ProbabilitiesOfAllTokensMakeOne()
    {
        using var runner = new TaskRunner(_model, 2, 4);
        runner.Differences(Pairs[..2]);
        Assert.Equal(1, Enumerable.Range(0, Config.VocabSize).Sum(token => runner.Probability(3, token)), 1e-9);
    }

    [Fact]
    public void NodesThatDoNotReadTheResidualAreRefused()
    {
        Assert.Equal(3, Steering.LocationOf(new Node(new Site(1, SiteKind.MlpActIn), 2), Config));
        Assert.Equal(2, Steering.LocationOf(new Node(new Site(1, SiteKind.AttnActIn), 2), Config));
        Assert.Throws<BadInputException>(() => Steering.LocationOf(new Node(new Site(1, SiteKind.MlpPostAct), 2), Config));
        Assert.Throws<BadInputException>(() => Steering.LocationOf(new Node(new Site(1, SiteKind.MlpActIn), Channels), Config));
    }

    [Fact]
    public void TheRatioIsThatOfTheSparseResidualToTheDense()
    {
        using ModelParameters tripled = TinyModels.Random(_engine, Config, 4);
        foreach (Parameter parameter in tripled.All)
        {
            _engine.Scale(parameter.Value, 3);
        }

        var larger = new Transformer(tripled);
        var source = new BatchSource(TinyModels.Tokens(200, 1), 2, 4);
        Assert.Equal(3, Steering.RmsRatio(_model, larger, 0, source, 2, 2, 4, seed: 1), 1e-5);
        Assert.Equal(1 / 3.0, Steering.RmsRatio(larger, _model, 0, source, 2, 2, 4, seed: 1), 1e-5);
    }

    /// <summary>Puts every counterfactual prompt's activation at a site in place of that of the presented prompt before it.</summary>
    private sealed class CounterfactualAt(IComputeEngine engine, Site site) : ISiteHook
    {
        public void Forward(Site at, ActivationTensor activation)
        {
            if (at == site)
            {
                var values = new float[activation.Length];
                engine.Read(activation, values);
                int sequence = activation.Tokens * activation.Channels;
                for (int i = 0; i < activation.Sequences; i += 2)
                {
                    values.AsSpan((i + 1) * sequence, sequence).CopyTo(values.AsSpan(i * sequence));
                }

                engine.Write(activation, values);
            }
        }

        public void Backward(Site at, ActivationTensor gradient) { }
    }
}
