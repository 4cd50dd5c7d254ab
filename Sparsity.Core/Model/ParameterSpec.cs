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

    /// <summary>Tensors of these shapes for operations that go over all of them, in the same order.</summary>
    /// <param name="engine">Where they live.</param>
    /// <param name="specs">The parameters.</param>
    /// <param name="what">Stands before each name: "gradient of ", say.</param>
    internal static IReadOnlyList<WeightTensor> Allocate(IComputeEngine engine, IEnumerable<ParameterSpec> specs, string what = "") =>
        engine.AllocateWeights([.. specs.Select(spec => (what + spec.Name, spec.Rows, spec.Columns))]);

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
