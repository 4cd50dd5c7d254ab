using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>Masks over all nodes of a small random model, without AbsTopK, whose jumps finite differences cannot follow.</summary>
public sealed class NodeGatesTests : IDisposable
{
    private static readonly ModelConfig Config = TinyModels.Config with { Afrac = null };

    private static readonly TokenizedPair[] Pairs = [new([3, 4, 5, 6, 7], [3, 9, 5], 11, 12), new([1], [2, 2], 11, 20)];

    private readonly CpuEngine _engine = new(2);
    private readonly ModelParameters _parameters;
    private readonly Transformer _model;
    private readonly NodeLayout _layout = new(Config);
    private readonly float[] _means;
    private readonly TaskRunner _runner;
    private readonly NodeGates _gates;

    public NodeGatesTests()
    {
        _parameters = TinyModels.Random(_engine, Config, 4);
        _model = new Transformer(_parameters);
        _means = MeanActivations.Measure(_model, _layout, TinyModels.Tokens(500, 3), 12, 2, 7);
        _runner = new TaskRunner(_model, 3, 6);
        _gates = new NodeGates(_engine, _layout, _means);
        _runner.Hooks.Add(_gates);
    }

    public void Dispose()
    {
        _runner.Dispose();
        _gates.Dispose();
        _parameters.Dispose();
        _engine.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AFullMaskChangesNothing(bool freezesNormScale)
    {
        using var plain = new TaskRunner(_model, 3, 6);
        double[] expected = plain.AllDifferences(Pairs).ByPrompt();
        _gates.SetMask([.. _means.Select(_ => 1f)]);
        using TaskRunner gated = Gated(freezesNormScale);
        Assert.Equal(expected, gated.AllDifferences(Pairs).ByPrompt());
    }

    /// <summary>
    /// What the last MLP writes meets only ln_f: with its scale frozen, logits are linear in those masks, and without they are not.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WithFrozenScalesNothingActsThroughTheNorms(bool freezesNormScale)
    {
        using TaskRunner gated = Gated(freezesNormScale);
        double[][] differences =
        [
            .. new[] { 0f, 0.5f, 1f }.Select(last =>
            {
                _gates.SetMask([
                    .. Enumerable
                        .Range(0, _layout.Count)
                        .Select(i =>
                            _layout[i].Site == new Site(1, SiteKind.MlpResidDelta) ? last
                            : i % 3 == 0 ? 0f
                            : 1f
                        ),
                ]);
                return gated.AllDifferences(Pairs).ByPrompt();
            }),
        ];
        double bend = Enumerable
            .Range(0, 2 * Pairs.Length)
            .Max(i => Math.Abs(((differences[0][i] + differences[2][i]) / 2) - differences[1][i]));
        double change = Enumerable.Range(0, 2 * Pairs.Length).Max(i => Math.Abs(differences[2][i] - differences[0][i]));

        Assert.True(change > 0.1, $"The logit differences hardly change: {change}.");
        Assert.True(
            freezesNormScale ? bend < 1e-5 * change : bend > 1e-2 * change,
            $"Half-way the logit differences are {bend} off the line, of {change}."
        );
    }

    /// <summary>
    /// Leaving out tokens that nothing reads behind the last attention changes neither the answers nor any mask's gradient.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TokensThatNothingReadsMakeNoDifference(bool freezesNormScale)
    {
        float[] mask = [.. Enumerable.Range(0, _layout.Count).Select(i => i % 3 == 0 ? 0f : 1f)];
        _gates.SetMask(mask);
        (double[] Differences, float[] Gradient, Dictionary<Site, int> Tokens)[] passes =
        [
            .. new[] { true, false }.Select(seesAll =>
            {
                using TaskRunner gated = Gated(freezesNormScale);
                var counter = new TokenCounter(seesAll);
                gated.Hooks.Add(counter);
                double[] differences = gated.Differences(Pairs).ByPrompt();
                gated.Backward([.. Pairs.Select(_ => (0.3, -0.2))]);
                var gradient = new float[mask.Length];
                _gates.TakeMaskGradient(gradient);
                return (differences, gradient, counter.Tokens);
            }),
        ];

        var lastMlp = new Site(1, SiteKind.MlpPostAct);
        Assert.Equal(6 * 6, passes[0].Tokens[lastMlp]);
        Assert.Equal(6, passes[1].Tokens[lastMlp]);
        Assert.Equal(6, passes[1].Tokens[new Site(1, SiteKind.AttnY)]);
        Assert.Equal(6 * 6, passes[1].Tokens[new Site(1, SiteKind.AttnV)]);
        for (int i = 0; i < passes[0].Differences.Length; i++)
        {
            Assert.Equal(passes[0].Differences[i], passes[1].Differences[i], 1e-5);
        }

        double largest = passes[0].Gradient.Max(MathF.Abs);
        Assert.True(largest > 1e-3);
        for (int i = 0; i < mask.Length; i++)
        {
            Assert.True(
                Math.Abs(passes[0].Gradient[i] - passes[1].Gradient[i]) < 1e-5 * largest,
                $"{_layout[i].Name}: {passes[0].Gradient[i]} and {passes[1].Gradient[i]}."
            );
        }
    }

    [Fact]
    public void AnEmptyMaskHidesAllButTheLastToken()
    {
        // With every node frozen only the last token's own embedding, position and bigram row are left.
        TokenizedPair[] sameEnd = [new([5, 6, 7], [8, 9, 7], 11, 12)];
        using var ungated = new TaskRunner(_model, 3, 6);
        double[] seen = ungated.AllDifferences(sameEnd).ByPrompt();
        Assert.True(Math.Abs(seen[0] - seen[1]) > 1e-3);
        _gates.SetMask(new float[_layout.Count]);
        double[] hidden = _runner.AllDifferences(sameEnd).ByPrompt();
        Assert.Equal(hidden[0], hidden[1]);
    }

    [Fact]
    public void PaddingToTheRightChangesNothing()
    {
        using var longer = new TaskRunner(_model, 1, 19);
        double[] expected = longer.AllDifferences(Pairs).ByPrompt();
        using var plain = new TaskRunner(_model, 3, 6);
        double[] actual = plain.AllDifferences(Pairs).ByPrompt();
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], 1e-5);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TheMaskGradientAgreesWithFiniteDifferences(bool freezesNormScale)
    {
        using TaskRunner gated = Gated(freezesNormScale);
        float[] mask = [.. Enumerable.Range(0, _layout.Count).Select(i => 0.3f + (0.6f * (i * 37 % 100 / 100f)))];
        _gates.SetMask(mask);
        gated.Backward(gated.Differences(Pairs).BinaryLossGradient());
        var gradient = new float[mask.Length];
        _gates.TakeMaskGradient(gradient);

        const float Step = 0.02f;
        double largest = gradient.Max(Math.Abs);
        for (int i = 0; i < mask.Length; i += 3)
        {
            double slope = (LossAt(i, Step) - LossAt(i, -Step)) / (2 * Step);
            Assert.True(
                Math.Abs(slope - gradient[i]) <= 2e-2 * largest,
                $"{_layout[i]}: gradient {gradient[i]}, slope {slope}, largest {largest}"
            );
        }

        double LossAt(int node, float change)
        {
            float[] moved = [.. mask];
            moved[node] += change;
            _gates.SetMask(moved);
            return gated.Differences(Pairs).BinaryLoss();
        }
    }

    [Fact]
    public void MeansAreThoseOfTheActivations()
    {
        // Two batches of 16 windows by the same seed, averaged by hand at one site.
        using ForwardState state = _model.CreateForwardState(16, 12);
        var recorder = new Recorder(_engine, new Site(1, SiteKind.MlpPostAct));
        state.Hooks.Add(recorder);
        var source = new Core.Training.BatchSource(TinyModels.Tokens(500, 3), 16, 12);
        for (int i = 0; i < 2; i++)
        {
            _engine.Write(state.TokenIds, source.Random(7, i));
            _model.Forward(state);
        }

        int first = _layout.IndexOf(new Node(new Site(1, SiteKind.MlpPostAct), 0));
        for (int channel = 0; channel < 40; channel++)
        {
            Assert.Equal(
                recorder.Values.Select(values => Enumerable.Range(0, 192).Average(t => values[(t * 40) + channel])).Average(),
                _means[first + channel],
                1e-5
            );
        }
    }

    private TaskRunner Gated(bool freezesNormScale)
    {
        var runner = new TaskRunner(_model, 3, 6) { FreezesNormScale = freezesNormScale };
        runner.Hooks.Add(_gates);
        return runner;
    }

    private sealed class Recorder(Core.Engine.IComputeEngine engine, Site wanted) : ISiteHook
    {
        public List<float[]> Values { get; } = [];

        public void Forward(Site site, Core.Engine.ActivationTensor activation)
        {
            if (site == wanted)
            {
                var values = new float[activation.Length];
                engine.Read(activation, values);
                Values.Add(values);
            }
        }

        public void Backward(Site site, Core.Engine.ActivationTensor gradient) { }
    }

    private sealed class TokenCounter(bool needsEveryToken) : ISiteHook
    {
        public bool NeedsEveryToken => needsEveryToken;

        public Dictionary<Site, int> Tokens { get; } = [];

        public void Forward(Site site, ActivationTensor activation) => Tokens[site] = activation.Sequences * activation.Tokens;

        public void Backward(Site site, ActivationTensor gradient) { }
    }
}
