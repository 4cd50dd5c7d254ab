using Sparsity.Core.Bridges;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Bridges;

/// <summary>
/// The gradient of each term of the loss against differences, for every parameter of the sparse model and of the bridges. Without AbsTopK,
/// whose jumps differences cannot follow.
/// </summary>
public sealed class BridgeGradientTests : IDisposable
{
    private const int Sequences = 2;
    private const int Tokens = 6;

    private static readonly BridgeConfig None = new()
    {
        CrossEntropyWeight = 0,
        KlSparseWeight = 0,
        NmseWeight = 0,
        KlDenseToSparseWeight = 0,
        KlSparseToDenseWeight = 0,
        EncoderFraction = null,
        FinalLocation = true,
    };

    private static readonly Dictionary<string, BridgeConfig> Terms = new()
    {
        ["cross-entropy"] = None with { CrossEntropyWeight = 2 },
        ["KL of the sparse model"] = None with { KlSparseWeight = 2 },
        ["normalised errors"] = None with { NmseWeight = 2 },
        ["KL dense to sparse"] = None with { KlDenseToSparseWeight = 2 },
        ["KL sparse to dense"] = None with { KlSparseToDenseWeight = 2 },
        ["all together"] = new BridgeConfig
        {
            KlSparseWeight = 0.5,
            NmseWeight = 2,
            KlDenseToSparseWeight = 3,
            KlSparseToDenseWeight = 0.25,
            EncoderFraction = null,
        },
    };

    private static readonly ModelConfig Dense = TinyModels.Config with
    {
        Afrac = null,
        DModel = 12,
        DMlpField = 24,
        EnableBigramTable = false,
        LearnableBigramTable = false,
    };

    private static readonly Dictionary<string, ModelConfig> Sparse = new()
    {
        ["RMSNorm, sinks, bigram table"] = TinyModels.Config with { Afrac = null },
        ["LayerNorm, concatenated positions, tied"] = TinyModels.Config with
        {
            Afrac = null,
            RmsNorm = false,
            DPosEmb = 4,
            TiedUnembed = true,
            Sink = false,
        },
    };

    private readonly CpuEngine _engine = new(1);
    private readonly ModelParameters _dense;
    private readonly int[] _tokens = [.. TinyModels.Tokens(Sequences * Tokens, 9).Select(token => (int)token)];

    public BridgeGradientTests() => _dense = TinyModels.Random(_engine, Dense, 1);

    public static TheoryData<string, string> All
    {
        get
        {
            var all = new TheoryData<string, string>();
            foreach (string model in Sparse.Keys)
            {
                foreach (string term in Terms.Keys)
                {
                    all.Add(model, term);
                }
            }

            return all;
        }
    }

    public void Dispose()
    {
        _dense.Dispose();
        _engine.Dispose();
    }

    [Theory]
    [MemberData(nameof(All))]
    public void EveryTermAgreesWithDifferences(string model, string term)
    {
        BridgeConfig config = Terms[term];
        using ModelParameters sparse = TinyModels.Random(_engine, Sparse[model], 2, isTrained: true);
        using var bridges = new BridgePairs(_engine, Dense, Sparse[model], config, isTrained: true);
        bridges.Initialise(3);
        var transformer = new Transformer(sparse);
        using var plain = new LanguageModelLoss(transformer, Sequences, Tokens);
        using var coupling = new Coupling(new Transformer(_dense), plain, bridges);
        using var loss = new BridgeLoss(coupling);
        using BackwardState gradients = transformer.CreateBackwardState(Sequences, Tokens);
        BridgeTerms start = loss.Evaluate(_tokens, gradients);
        double[] squares = SquaresOfResiduals(transformer);
        Parameter[] parameters = [.. sparse.Trained, .. bridges.All];
        int moved = 0;

        // Below the floor are rounding errors of the loss, some 1e-7 of it, divided by the step.
        const float Step = 0.02f;
        double floor = 4e-7 / Step * start.Total(config);
        foreach (Parameter parameter in parameters)
        {
            moved += CheckAlongADirection(parameter) ? 1 : 0;
        }

        Assert.True(moved > 15, $"only {moved} of {parameters.Length} parameters move the loss");

        // Along the gradient plus a random direction of the same length; differences of fourth order.
        bool CheckAlongADirection(Parameter parameter)
        {
            float[] gradient = Read(parameter.Gradient!);
            double norm = Math.Sqrt(gradient.Sum(g => (double)g * g));
            var random = RandomSource.For(5, parameter.Spec.Name);
            double[] noise = [.. gradient.Select(_ => random.NextNormal())];
            double noiseNorm = Math.Sqrt(noise.Sum(n => n * n));
            float[] direction = [.. gradient.Select((g, i) => (float)((norm > 0 ? g / norm : 0) + (noise[i] / noiseNorm)))];
            float[] values = Read(parameter.Value);
            double slope = ((8 * (At(Step) - At(-Step))) - (At(2 * Step) - At(-2 * Step))) / (12 * Step);
            _engine.Write(parameter.Value, values);
            double expected = gradient.Select((g, i) => (double)g * direction[i]).Sum();
            double tolerance = floor + (0.01 * norm); // 1 % for the curvature left
            Assert.True(
                Math.Abs(slope - expected) <= tolerance,
                $"{term}, {parameter.Spec.Name}: slope {slope:g6}, gradient {expected:g6}, tolerance {tolerance:g3}"
            );
            return norm > 10 * floor;

            double At(float length)
            {
                _engine.Write(parameter.Value, [.. values.Select((v, i) => v + (length * direction[i]))]);
                BridgeTerms terms = loss.Evaluate(_tokens);
                double[] now = SquaresOfResiduals(transformer);

                // The denominators count as constants.
                return (
                    terms with
                    {
                        NmseDenseToSparse = [.. terms.NmseDenseToSparse.Select((error, i) => error * now[i] / squares[i])],
                    }
                ).Total(config);
            }
        }

        double[] SquaresOfResiduals(Transformer of)
        {
            using ForwardState state = of.CreateForwardState(Sequences, Tokens);
            var recorder = new Squares(_engine);
            state.Hooks.Add(recorder);
            _engine.Write(state.TokenIds, _tokens);
            of.Forward(state);
            return [.. recorder.Values];
        }
    }

    private float[] Read(WeightTensor tensor)
    {
        var values = new float[tensor.Length];
        _engine.Read(tensor, values);
        return values;
    }

    /// <summary>The sum of squares of each residual, in order.</summary>
    private sealed class Squares(IComputeEngine engine) : ISiteHook
    {
        public List<double> Values { get; } = [];

        public void Forward(Site site, ActivationTensor activation)
        {
            if (site.Kind is SiteKind.ResidIn or SiteKind.ResidMid or SiteKind.FinalResid)
            {
                var values = new float[activation.Length];
                engine.Read(activation, values);
                Values.Add(values.Sum(value => (double)value * value));
            }
        }

        public void Backward(Site site, ActivationTensor gradient) { }
    }
}
