using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>
/// The whole model in every kind of configuration: logits and the gradient of each parameter against the model in double precision.
/// </summary>
public class ModelGradientTests
{
    // Activations of order 1 through two layers of at most 20 terms each; gradients of a mean loss are of order 0.1.
    private const double LogitsTolerance = 2e-6;
    private const double GradientTolerance = 2e-6;

    private static readonly ModelConfig Small = new()
    {
        BlockSize = 7,
        VocabSize = 11,
        NLayer = 2,
        NHead = 2,
        DHeadField = 3,
        DModel = 6,
        DMlpField = 10,
    };

    private static readonly Dictionary<string, ModelConfig> Configurations = new()
    {
        ["LayerNorm with bias, tied"] = Small,
        ["LayerNorm without bias, no biases, ReLU"] = Small with
        {
            LnBias = false,
            Bias = false,
            ActivationType = "relu",
            TiedUnembed = false,
        },
        ["RMSNorm, ReLU residual, heads wider than the residual"] = Small with
        {
            RmsNorm = true,
            ResidualActivationType = "relu",
            DHeadField = 5,
            DMlpField = 3,
        },
        ["AbsTopK at all places, learned bigrams, sinks"] = Small with
        {
            RmsNorm = true,
            Afrac = 0.6,
            AfracLoctypes = string.Join(',', SiteKinds.AbsTopKPlaces),
            TiedUnembed = false,
            EnableBigramTable = true,
            LearnableBigramTable = true,
            Sink = true,
        },
        ["AbsTopK that keeps one entry"] = Small with { RmsNorm = true, Afrac = 0.2, AfracLoctypes = "attn_q,attn_k,mlp_in" },
        ["AbsTopK of the embedding and before GELU, at least one entry"] = Small with
        {
            RmsNorm = true,
            Afrac = 0.1,
            AfracAtLeastOne = true,
            AfracLoctypes = "resid_pre,mlp_pre_act,mlp_out",
        },
        ["learned concatenated positions"] = Small with { DPosEmb = 3, Afrac = 0.5, AfracLoctypes = "attn_in,mlp_in" },
        ["concatenated positions of width 1"] = Small with { DPosEmb = 1, LnBias = false, Bias = false, TiedUnembed = false },
        ["sinusoids of odd width, fixed bigrams"] = Small with
        {
            DPosEmb = 5,
            SinusoidalCatPosEmb = true,
            RmsNorm = true,
            EnableBigramTable = true,
        },
        ["one layer, one head, one neuron, one channel of a head"] = Small with
        {
            NLayer = 1,
            NHead = 1,
            DHeadField = 1,
            DMlpField = 1,
            Sink = true,
        },
        ["sinks with LayerNorm and ReLU residual"] = Small with
        {
            Sink = true,
            ResidualActivationType = "relu",
            Afrac = 0.7,
            AfracLoctypes = "resid_post_attn,resid_post_mlp",
        },
    };

    public static TheoryData<string, string> Cases => Engines.With([.. Configurations.Keys]);

    [Theory]
    [MemberData(nameof(Cases))]
    public void LogitsAndGradientsMatchTheReference(string engineName, string name)
    {
        ModelConfig config = Configurations[name].Validated();
        using IComputeEngine engine = Engines.Create(engineName);
        using var parameters = new ModelParameters(engine, config, _ => true);
        Dictionary<string, Array> values = RandomValues(parameters);
        var reference = new ReferenceModel(config, values);
        var random = new RandomArrays(5);
        int[,] tokens = random.Tokens(2, 6, config.VocabSize - 1);
        tokens[0, 2] = config.VocabSize - 1; // its bigram row gets no gradient
        int[,] targets = random.Tokens(2, 6, config.VocabSize);
        targets[1, 5] = -1;
        targets[0, 2] = -1;

        var model = new Transformer(parameters);
        using ForwardState forward = model.CreateForwardState(2, 6);
        using BackwardState backward = model.CreateBackwardState(2, 6);
        using var head = new HeadState(engine, config, 2, 6, forward.TokenIds);
        engine.Write(forward.TokenIds, [.. tokens.Cast<int>()]);
        engine.Write(head.Targets, [.. targets.Cast<int>()]);
        model.Forward(forward);
        model.Head.Forward(forward.FinalResidual, head);
        var logits = new float[head.Logits.Length];
        engine.Read(head.Logits, logits);
        Comparison.CloseRelative(reference.Logits(tokens), logits, LogitsTolerance, $"{engineName}: {name}, logits");

        head.CrossEntropy(10, withGradient: true);
        model.Head.Backward(forward.FinalResidual, head, backward.Residual);
        model.Backward(forward, backward);
        foreach (Parameter parameter in parameters.Trained)
        {
            var gradient = new float[parameter.Spec.Length];
            engine.Read(parameter.Gradient!, gradient);
            FiniteDifference.Check(
                () => reference.Loss(tokens, targets),
                values[parameter.Spec.Name],
                gradient,
                GradientTolerance,
                $"{engineName}: {name}, {parameter.Spec.Name}"
            );
        }
    }

    /// <summary>Weights large enough that every part matters; what is fixed by the configuration stays as it is.</summary>
    private static Dictionary<string, Array> RandomValues(ModelParameters parameters)
    {
        parameters.Initialise(3);
        var values = new Dictionary<string, Array>();
        foreach (Parameter parameter in parameters.All)
        {
            ParameterSpec spec = parameter.Spec;
            Array array = spec.Shape.Count == 1 ? new double[spec.Length] : new double[spec.Rows, spec.Columns];
            Span<double> entries = Flat.Of(array);
            var random = RandomSource.For(4, spec.Name);
            float[] initial = parameters.Read(spec.Name);
            for (int i = 0; i < entries.Length; i++)
            {
                bool isFixed = spec.IsBuffer && spec.Name == ParameterNames.Position;
                entries[i] = isFixed ? initial[i] : spec.InitialMean + (0.4f * (float)random.NextNormal());
            }

            parameters.Engine.Write(parameter.Value, Flat.Floats(array));
            entries = Flat.Of(array);
            parameters.Read(spec.Name).Select(value => (double)value).ToArray().CopyTo(entries);
            values[spec.Name] = array;
        }

        return values;
    }
}
