using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>Which of the budgets of docs/method.md section 2 limits a parameter's nonzero entries.</summary>
public enum SparsityGroup
{
    /// <summary>Never made sparse: norm weights, sink logits, the bigram table, concatenated wpe.</summary>
    Dense,

    /// <summary>Attention and MLP matrices, and added wpe (as the official script has it): fraction pfrac / (E*E_mlp).</summary>
    Matrix,

    /// <summary>wte and lm_head: fraction pfrac' / E.</summary>
    Embedding,

    /// <summary>Biases of linear layers and of LayerNorm: fraction pfrac' / E where sparse_biases is on.</summary>
    Bias,
}

/// <summary>
/// One parameter of the model: everything that allocation, initialisation, training, sparsity and checkpoints need to know of it.
/// </summary>
/// <param name="Name">The official state-dict name.</param>
/// <param name="Shape">As in the state dict: (output, input) for linear weights, one number for vectors.</param>
/// <param name="Sparsity">Which nonzero budget it has.</param>
/// <param name="AliveAxis">Which lines keep a minimum of entries: 1 each row (c_attn, c_fc), 0 each column (c_proj), null none.</param>
/// <param name="IsDecayed">Whether weight decay applies.</param>
/// <param name="InitialMean">Mean of the initial normal distribution.</param>
/// <param name="InitialDeviation">Standard deviation of the initial normal distribution; 0 for a constant.</param>
/// <param name="IsBuffer">True for what is stored with the model but never trained.</param>
public sealed record ParameterSpec(
    string Name,
    IReadOnlyList<int> Shape,
    SparsityGroup Sparsity = SparsityGroup.Dense,
    int? AliveAxis = null,
    bool IsDecayed = false,
    float InitialMean = 0,
    float InitialDeviation = 0,
    bool IsBuffer = false
)
{
    /// <summary>1 for vectors.</summary>
    public int Rows => Shape.Count == 1 ? 1 : Shape[0];

    public int Columns => Shape[^1];

    public int Length => checked(Rows * Columns);

    /// <summary>
    /// The sublayer that it belongs to: 2L the head, -1 the embeddings, with an unembedding tied to them. A backward pass finishes
    /// gradients from the highest to the lowest.
    /// </summary>
    public int Sublayer { get; init; } = -1;

    /// <summary>Whether it is an embedding or its unembedding: left out of counts "without embeddings".</summary>
    public bool IsEmbedding => Sparsity == SparsityGroup.Embedding || Name == ParameterNames.Position || Name == ParameterNames.Bigram;

    /// <summary>Draws the initial normal distribution.</summary>
    public float[] DrawInitial(ulong seed)
    {
        var random = RandomSource.For(seed, "initial " + Name);
        var values = new float[Length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = InitialDeviation == 0 ? InitialMean : InitialMean + (InitialDeviation * (float)random.NextNormal());
        }

        return values;
    }

    /// <summary>The one list of parameters of a model (docs/method.md section 1).</summary>
    public static IReadOnlyList<ParameterSpec> ListFor(ModelConfig config)
    {
        const float Deviation = 0.02f;
        float projection = Deviation / MathF.Sqrt(2f * config.NLayer);
        int d = config.DModel;
        int attention = config.AttentionChannels;
        int input = config.SublayerInputChannels;
        int head = 2 * config.NLayer;
        var list = new List<ParameterSpec>();
        if (config.EnableBigramTable)
        {
            list.Add(
                new(ParameterNames.Bigram, [config.VocabSize, config.VocabSize], IsBuffer: !config.LearnableBigramTable) { Sublayer = head }
            );
        }

        list.Add(new(ParameterNames.Token, [config.VocabSize, d], SparsityGroup.Embedding, IsDecayed: true, InitialDeviation: Deviation));
        list.Add(
            config.DPosEmb is { } positionChannels
                ? new(
                    ParameterNames.Position,
                    [config.BlockSize, positionChannels],
                    IsDecayed: true,
                    InitialDeviation: Deviation,
                    IsBuffer: config.SinusoidalCatPosEmb
                )
                : new(ParameterNames.Position, [config.BlockSize, d], SparsityGroup.Matrix, IsDecayed: true, InitialDeviation: Deviation)
        );
        for (int layer = 0; layer < config.NLayer; layer++)
        {
            string prefix = ParameterNames.Layer(layer);
            int sublayer = 2 * layer;
            AddNorm(prefix + "ln_1", d, sublayer);
            if (config.DPosEmb is { } first)
            {
                AddNorm(prefix + "ln_p1", first, sublayer);
            }

            AddLinear(prefix + "attn.c_attn", 3 * attention, input, aliveAxis: 1, Deviation, sublayer);
            if (config.Sink)
            {
                list.Add(new(prefix + "attn.attn_imp.sink_logit", [config.NHead]) { Sublayer = sublayer });
            }

            AddLinear(prefix + "attn.c_proj", d, attention, aliveAxis: 0, projection, sublayer);
            sublayer++;
            AddNorm(prefix + "ln_2", d, sublayer);
            if (config.DPosEmb is { } second)
            {
                AddNorm(prefix + "ln_p2", second, sublayer);
            }

            AddLinear(prefix + "mlp.c_fc", config.DMlp, input, aliveAxis: 1, Deviation, sublayer);
            AddLinear(prefix + "mlp.c_proj", d, config.DMlp, aliveAxis: 0, projection, sublayer);
        }

        AddNorm(ParameterNames.FinalNorm, d, head);
        if (!config.TiedUnembed)
        {
            list.Add(
                new(
                    ParameterNames.Unembedding,
                    [config.VocabSize, d],
                    SparsityGroup.Embedding,
                    IsDecayed: true,
                    InitialDeviation: Deviation
                )
                {
                    Sublayer = head,
                }
            );
        }

        list.Add(new(ParameterNames.LogitsBias, [config.VocabSize], IsBuffer: true) { Sublayer = head });
        return list;

        void AddNorm(string name, int channels, int sublayer)
        {
            list.Add(new(name + ".weight", [channels], InitialMean: 1) { Sublayer = sublayer });
            if (!config.RmsNorm && config.LnBias)
            {
                list.Add(new(name + ".bias", [channels], SparsityGroup.Bias) { Sublayer = sublayer });
            }
        }

        void AddLinear(string name, int output, int inputs, int aliveAxis, float deviation, int sublayer)
        {
            list.Add(
                new(name + ".weight", [output, inputs], SparsityGroup.Matrix, aliveAxis, IsDecayed: true, InitialDeviation: deviation)
                {
                    Sublayer = sublayer,
                }
            );
            if (config.Bias)
            {
                list.Add(new(name + ".bias", [output], SparsityGroup.Bias) { Sublayer = sublayer });
            }
        }
    }
}

/// <summary>The official state-dict names.</summary>
public static class ParameterNames
{
    public const string Token = "transformer.wte.weight";
    public const string Position = "transformer.wpe.weight";
    public const string Bigram = "bigram_table";
    public const string FinalNorm = "transformer.ln_f";
    public const string Unembedding = "lm_head.weight";
    public const string LogitsBias = "final_logits_bias";

    /// <summary>The prefix of a layer's parameters.</summary>
    public static string Layer(int layer) => $"transformer.h.{layer}.";
}

/// <summary>A parameter in an engine's memory, with its gradient where it is trained.</summary>
public sealed class Parameter(ParameterSpec spec, WeightTensor value, WeightTensor? gradient)
{
    public ParameterSpec Spec { get; } = spec;

    public WeightTensor Value { get; } = value;

    /// <summary>Null where the parameter is frozen.</summary>
    public WeightTensor? Gradient { get; } = gradient;
}

/// <summary>All parameters of a model in an engine's memory, in the order of <see cref="ParameterSpec.ListFor"/>.</summary>
public sealed class ModelParameters : IDisposable
{
    private readonly Dictionary<string, Parameter> _byName;

    /// <param name="engine">Where they live.</param>
    /// <param name="config">What there is of them.</param>
    /// <param name="isTrained">Which of those that are no buffers get a gradient; null for none.</param>
    public ModelParameters(IComputeEngine engine, ModelConfig config, Func<ParameterSpec, bool>? isTrained = null)
    {
        Engine = engine;
        Config = config;
        All =
        [
            .. ParameterSpec
                .ListFor(config)
                .Select(spec => new Parameter(
                    spec,
                    engine.AllocateWeights(spec.Name, spec.Rows, spec.Columns),
                    !spec.IsBuffer && isTrained?.Invoke(spec) == true
                        ? engine.AllocateWeights("gradient of " + spec.Name, spec.Rows, spec.Columns)
                        : null
                )),
        ];
        _byName = All.ToDictionary(parameter => parameter.Spec.Name);
    }

    public IComputeEngine Engine { get; }

    public ModelConfig Config { get; }

    public IReadOnlyList<Parameter> All { get; }

    /// <summary>Those that have a gradient.</summary>
    public IEnumerable<Parameter> Trained => All.Where(parameter => parameter.Gradient is not null);

    public Parameter this[string name] => _byName[name];

    public Parameter? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The matrix that turns the last residual into logits: lm_head, or wte where tied.</summary>
    public Parameter Unembedding => _byName[Config.TiedUnembed ? ParameterNames.Token : ParameterNames.Unembedding];

    /// <summary>
    /// Draws the initial weights (docs/method.md section 1). The bigram table starts uniform in [0, 0.02) where it is learned, sinusoids
    /// are what they are, and wpe starts at zero where it is added (the official script zeroes it).
    /// </summary>
    public void Initialise(ulong seed)
    {
        // Each parameter has a random sequence of its own, so they can be drawn at the same time.
        IEnumerable<(Parameter Parameter, float[] Values)> drawn = All.AsParallel()
            .AsOrdered()
            .WithMergeOptions(ParallelMergeOptions.NotBuffered)
            .Select(parameter => (parameter, parameter.Spec.DrawInitial(seed)));
        foreach ((Parameter parameter, float[] values) in drawn)
        {
            ParameterSpec spec = parameter.Spec;
            if (spec.Name == ParameterNames.Bigram && Config.LearnableBigramTable)
            {
                var random = RandomSource.For(seed, "initial " + spec.Name);
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = 0.02f * (float)random.NextDouble();
                }
            }
            else if (spec.Name == ParameterNames.Position)
            {
                if (Config.DPosEmb is null)
                {
                    values.AsSpan().Clear();
                }
                else if (Config.SinusoidalCatPosEmb)
                {
                    Sinusoids(values, Config.BlockSize, Config.DPosEmb.Value);
                }
            }

            Engine.Write(parameter.Value, values);
        }
    }

    /// <summary>A host copy of a parameter's values.</summary>
    public float[] Read(string name)
    {
        Parameter parameter = _byName[name];
        var values = new float[parameter.Spec.Length];
        Engine.Read(parameter.Value, values);
        return values;
    }

    /// <summary>Hexadecimal SHA-256 over names and values of all parameters: tells whether two files hold the same model.</summary>
    public string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (Parameter parameter in All)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(parameter.Spec.Name));
            hash.AppendData(MemoryMarshal.AsBytes<float>(Read(parameter.Spec.Name)));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public void Dispose()
    {
        foreach (Parameter parameter in All)
        {
            parameter.Value.Dispose();
            parameter.Gradient?.Dispose();
        }
    }

    /// <summary>
    /// First half sines, second half cosines, periods log-spaced from 4 to block_size tokens; an odd last channel is zero.
    /// </summary>
    private static void Sinusoids(Span<float> values, int blockSize, int channels)
    {
        int half = Math.Max(1, channels / 2);
        double longest = Math.Max(4.0, blockSize);
        values.Clear();
        for (int i = 0; i < half; i++)
        {
            double exponent = half == 1 ? Math.Log10(4) : Math.Log10(4) + ((Math.Log10(longest) - Math.Log10(4)) * i / (half - 1));
            var frequency = (float)(2 * Math.PI / (float)Math.Pow(10, exponent));
            for (int position = 0; position < blockSize; position++)
            {
                float angle = position * frequency;
                values[(position * channels) + i] = MathF.Sin(angle);
                if (half + i < channels)
                {
                    values[(position * channels) + half + i] = MathF.Cos(angle);
                }
            }
        }
    }
}
