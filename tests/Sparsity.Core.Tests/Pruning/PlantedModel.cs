using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>
/// A two-layer model whose weights are written by hand. Channel 0 of the residual is a large constant, so that the norms hardly change what
/// they pass: act_in is nearly the residual itself. Channels 1 to 6, channel 0 of q, k, v in each layer and the first neurons are the
/// circuit's; the rest are filled with random distractors, which read everything and write only channels from 7 on.
/// </summary>
internal sealed class PlantedModel
{
    public const int VocabularySize = 12;

    private const int Width = 16;
    private const int FirstDistractor = 7;
    private const int HeadChannels = 4;
    private const int Channels = 2 * HeadChannels;
    private const int Neurons = 24;
    private const int PlantedNeurons = 3;
    private const float Constant = 30;

    private readonly Dictionary<string, float[]> _values = [];

    public static ModelConfig Config { get; } =
        new ModelConfig
        {
            BlockSize = 8,
            VocabSize = VocabularySize,
            NLayer = 2,
            NHead = 2,
            DHeadField = HeadChannels,
            DModel = Width,
            DMlpField = Neurons,
            RmsNorm = true,
            ActivationType = "relu",
            TiedUnembed = false,
            Sink = true,
        }.Validated();

    /// <param name="seed">Of the distractors.</param>
    /// <param name="sink">Logit of the sink of the first head of each layer.</param>
    public PlantedModel(ulong seed, float sink)
    {
        foreach (ParameterSpec spec in ParameterSpec.ListFor(Config))
        {
            _values[spec.Name] = new float[spec.Length];
        }

        for (int token = 0; token < VocabularySize; token++)
        {
            Embed(token, 0, Constant);
        }

        foreach (
            string norm in new[]
            {
                "transformer.h.0.ln_1",
                "transformer.h.0.ln_2",
                "transformer.h.1.ln_1",
                "transformer.h.1.ln_2",
                "transformer.ln_f",
            }
        )
        {
            _values[norm + ".weight"].AsSpan().Fill(Constant / MathF.Sqrt(Width));
        }

        var random = RandomSource.For(seed, "distractors");
        Fill(ParameterNames.Token, Width, (_, column) => column >= FirstDistractor);
        for (int layer = 0; layer < 2; layer++)
        {
            string prefix = ParameterNames.Layer(layer);
            _values[prefix + "attn.attn_imp.sink_logit"][0] = sink;
            Fill(
                prefix + "attn.c_attn.weight",
                Width,
                (row, column) => column > 0 && (row % Channels >= HeadChannels || (row >= 2 * Channels && row % Channels > 0))
            );
            Fill(prefix + "attn.c_proj.weight", Channels, (row, column) => row >= FirstDistractor && column > 0);
            Fill(prefix + "mlp.c_fc.weight", Width, (row, column) => column > 0 && row >= PlantedNeurons);
            Fill(prefix + "mlp.c_proj.weight", Neurons, (row, column) => row >= FirstDistractor && column >= PlantedNeurons);
        }

        void Fill(string name, int columns, Func<int, int, bool> isDistractor)
        {
            float[] values = _values[name];
            for (int i = 0; i < values.Length; i++)
            {
                if (isDistractor(i / columns, i % columns) && random.NextBool(0.5))
                {
                    values[i] = 0.5f * (float)random.NextNormal();
                }
            }
        }
    }

    public void Embed(int token, int channel, float value) => _values[ParameterNames.Token][(token * Width) + channel] = value;

    /// <summary>Channel 0 of q in a layer reads a residual channel.</summary>
    public void Query(int layer, int from, float weight) => Attend(layer, 0, from, weight);

    public void Key(int layer, int from, float weight) => Attend(layer, Channels, from, weight);

    public void Value(int layer, int from, float weight) => Attend(layer, 2 * Channels, from, weight);

    /// <summary>What channel 0 of q, k or v has without reading anything.</summary>
    public void QueryBias(int layer, float value) => _values[ParameterNames.Layer(layer) + "attn.c_attn.bias"][0] = value;

    public void KeyBias(int layer, float value) => _values[ParameterNames.Layer(layer) + "attn.c_attn.bias"][Channels] = value;

    public void ValueBias(int layer, float value) => _values[ParameterNames.Layer(layer) + "attn.c_attn.bias"][2 * Channels] = value;

    /// <summary>Channel 0 of v writes a residual channel.</summary>
    public void Write(int layer, int to, float weight) =>
        _values[ParameterNames.Layer(layer) + "attn.c_proj.weight"][to * Channels] = weight;

    public void NeuronReads(int neuron, int from, float weight) =>
        _values[ParameterNames.Layer(0) + "mlp.c_fc.weight"][(neuron * Width) + from] = weight;

    public void NeuronWrites(int neuron, int to, float weight) =>
        _values[ParameterNames.Layer(0) + "mlp.c_proj.weight"][(to * Neurons) + neuron] = weight;

    /// <summary>The logit of a token reads a residual channel.</summary>
    public void Unembed(int token, int channel, float weight, float bias = 0)
    {
        _values[ParameterNames.Unembedding][(token * Width) + channel] = weight;
        _values[ParameterNames.LogitsBias][token] = bias;
    }

    public ModelParameters Build(IComputeEngine engine)
    {
        var parameters = new ModelParameters(engine, Config);
        foreach (Parameter parameter in parameters.All)
        {
            engine.Write(parameter.Value, _values[parameter.Spec.Name]);
        }

        return parameters;
    }

    private void Attend(int layer, int row, int from, float weight) =>
        _values[ParameterNames.Layer(layer) + "attn.c_attn.weight"][(row * Width) + from] = weight;
}
