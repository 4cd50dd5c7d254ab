using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>Single prompts with answers of their own, and the loss over the whole vocabulary, against sums over the logits.</summary>
public sealed class FullLossTests : IDisposable
{
    private readonly CpuEngine _engine = new(2);
    private readonly ModelParameters _parameters;
    private readonly Transformer _model;

    private readonly TokenizedPair[] _pairs =
    [
        new([1, 2, 3], [4, 5], 6, 7) { OwnSecond = (8, 9) },
        new([5, 4, 3, 2], [2, 2, 1], 3, 9),
        new([7], [8, 1], 1, 2) { OwnSecond = (1, 2) },
    ];

    public FullLossTests()
    {
        _parameters = new ModelParameters(_engine, TinyModels.Config);
        _parameters.Initialise(3);
        _model = new Transformer(_parameters);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    public void LossesAreThoseOfTheLogits(int pairsAtOnce)
    {
        using var runner = new TaskRunner(_model, pairsAtOnce, 8);
        double binary = 0;
        double full = 0;
        foreach (TokenizedPair pair in _pairs)
        {
            foreach (
                (int[] prompt, int right, int wrong) in new[]
                {
                    (pair.First, pair.AnswerA, pair.AnswerB),
                    (pair.Second, pair.OwnSecond?.Right ?? pair.AnswerB, pair.OwnSecond?.Wrong ?? pair.AnswerA),
                }
            )
            {
                double[] logits = Logits(prompt);
                binary += Math.Log(1 + Math.Exp(logits[wrong] - logits[right])) / (2 * _pairs.Length);
                full += Math.Log(logits.Sum(logit => Math.Exp(logit - logits[right]))) / (2 * _pairs.Length);
            }
        }

        Assert.Equal(binary, runner.MeanLoss(_pairs, TaskLoss.Binary), 1e-6);
        Assert.Equal(full, runner.MeanLoss(_pairs, TaskLoss.Full), 1e-6);
        Assert.Equal(full, runner.LossAndBackward(_pairs, TaskLoss.Full), 1e-6);
        Assert.True(Math.Abs(full - binary) > 0.1);
    }

    [Fact]
    public void TheGradientOfTheBinaryLossIsThatOfEachPromptsOwnAnswers()
    {
        var layout = new NodeLayout(_model.Config);
        using var masked = new MaskedRunner(_model, layout, new float[layout.Count], 8, 8);
        float[] mask = NodeSet.All(layout).ToMask();
        var gradient = new float[layout.Count];
        masked.LossAndMaskGradient(mask, _pairs, TaskLoss.Binary, gradient);
        int largest = Enumerable.Range(0, layout.Count).MaxBy(i => Math.Abs(gradient[i]));

        const float Step = 1e-2f;
        mask[largest] = 1 + Step;
        masked.Gates.SetMask(mask);
        double above = masked.Runner.MeanLoss(_pairs, TaskLoss.Binary);
        mask[largest] = 1 - Step;
        masked.Gates.SetMask(mask);
        double below = masked.Runner.MeanLoss(_pairs, TaskLoss.Binary);

        Assert.Equal((above - below) / (2 * Step), gradient[largest], 0.02 * Math.Abs(gradient[largest]));
    }

    [Fact]
    public void ExchangedAnswersAreExchangedForBothPrompts()
    {
        using var runner = new TaskRunner(_model, 8, 8);
        double[] before = runner.AllDifferences(_pairs).ByPrompt();
        double[] after = runner.AllDifferences([.. _pairs.Select(pair => pair.WithAnswersExchanged())]).ByPrompt();

        Assert.All(before.Zip(after), entry => Assert.Equal(-entry.First, entry.Second));
    }

    [Fact]
    public void CircuitsAreMeasuredByTheLossOfTheSettings()
    {
        var layout = new NodeLayout(_model.Config);
        int nodes = layout.Count;
        var some = new NodeSet(layout, Enumerable.Range(0, nodes).Where(i => i % 3 != 0));
        using var binary = new CircuitEvaluator(_model, new float[nodes], new PruningConfig { MaxTokens = 8 });
        using var full = new CircuitEvaluator(_model, new float[nodes], new PruningConfig { MaxTokens = 8, CircuitLoss = TaskLoss.Full });
        full.Masked.Keep(some);

        Assert.Equal(full.Masked.Runner.MeanLoss(_pairs, TaskLoss.Full), full.Loss(some, _pairs));
        Assert.True(Math.Abs(full.Loss(some, _pairs) - binary.Loss(some, _pairs)) > 0.1);
        var prompts = new TaskPrompts(_pairs, _pairs, _pairs);
        var circuit = full.Describe(some, new ChosenNodes(some, new double[nodes], 0, 0, false), "task", "model", null, prompts);
        Assert.Equal(full.Loss(some, _pairs), circuit.Measurements.Loss, 1e-9);
        Assert.Equal(full.Loss(NodeSet.All(layout), _pairs), circuit.Measurements.LossFullModel, 1e-9);
    }

    [Fact]
    public void EffectsOfEdgesAndNodesAreThoseOfTheLossOfTheSettings()
    {
        var layout = new NodeLayout(_model.Config);
        var some = new NodeSet(layout, Enumerable.Range(0, layout.Count).Where(i => i % 3 != 0));
        using var full = new CircuitEvaluator(
            _model,
            new float[layout.Count],
            new PruningConfig { MaxTokens = 8, CircuitLoss = TaskLoss.Full }
        );
        using var binary = new CircuitEvaluator(_model, new float[layout.Count], new PruningConfig { MaxTokens = 8 });
        (int From, int To, float Weight)[] edges = [.. full.Graph.Edges(some)];

        IReadOnlyList<double> effects = full.EdgeEffects(some, _pairs);

        Assert.Equal(edges.Length, effects.Count);
        int largest = Enumerable.Range(0, edges.Length).MaxBy(i => Math.Abs(effects[i]));
        double whole = full.Loss(some, _pairs);
        foreach (int edge in new[] { largest, 0, edges.Length - 1 })
        {
            using (full.Graph.WithoutEdge(edges[edge].From, edges[edge].To))
            {
                Assert.Equal(full.Loss(some, _pairs) - whole, effects[edge], 1e-9);
            }
        }

        Assert.True(Math.Abs(effects[largest]) > 1e-3, $"{effects[largest]}");
        Assert.NotEqual(binary.EdgeEffects(some, _pairs)[largest], effects[largest], 1e-4);
        Assert.Equal(whole, full.Loss(some, _pairs));
        Assert.Equal(full.Loss(some.Without(some.Numbers.First()), _pairs) - whole, full.AblationEffects(some, _pairs)[0], 1e-9);
    }

    public void Dispose()
    {
        _parameters.Dispose();
        _engine.Dispose();
    }

    private double[] Logits(int[] prompt)
    {
        using ForwardState state = _model.CreateForwardState(1, prompt.Length);
        using var head = new HeadState(_engine, _model.Config, 1, prompt.Length, state.TokenIds);
        _engine.Write(state.TokenIds, prompt);
        _model.Forward(state);
        _model.Head.Forward(state.FinalResidual, head);
        var logits = new float[head.Logits.Length];
        _engine.Read(head.Logits, logits);
        return [.. logits[^_model.Config.VocabSize..].Select(logit => (double)logit)];
    }
}
