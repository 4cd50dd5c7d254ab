using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Parity;

/// <summary>Models and data small enough for tests of whole runs.</summary>
internal static class TinyModels
{
    /// <summary>The paper's kind of model: two layers of 16 channels, AbsTopK at the eight usual places, sinks, a bigram table.</summary>
    public static ModelConfig Config { get; } =
        new ModelConfig
        {
            BlockSize = 20,
            VocabSize = 29,
            NLayer = 2,
            NHead = 2,
            DHeadField = 8,
            DModel = 16,
            DMlpField = 40,
            RmsNorm = true,
            Afrac = 0.5,
            AfracLoctypes = "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_q,attn_k,attn_v",
            TiedUnembed = false,
            EnableBigramTable = true,
            LearnableBigramTable = true,
            Sink = true,
        }.Validated();

    /// <summary>41 steps to a quarter of the weights.</summary>
    public static TrainingConfig Training { get; } =
        new TrainingConfig
        {
            TotalTokens = 40 * 3 * 12,
            BatchSequences = 3,
            ContextTokens = 12,
            Lr = 0.1,
            Density = 0.25,
            MinimumAlivePerNeuron = 2,
            PositionEmbeddings = PositionEmbeddings.Learned,
            LogEvery = 1,
            EvaluateEvery = 10,
            CheckpointEvery = 7,
            ValidationTokens = 200,
        }.Resolved(Config);

    /// <summary>Tokens that depend on those before them, so that there is something to learn.</summary>
    public static ushort[] Tokens(int count, ulong seed)
    {
        var random = new RandomSource(seed);
        var tokens = new ushort[count];
        for (int i = 2; i < count; i++)
        {
            tokens[i] = (ushort)(random.NextInt(4) == 0 ? random.NextInt(29) : ((2 * tokens[i - 1]) + tokens[i - 2] + 1) % 29);
        }

        return tokens;
    }

    /// <summary>A model with random weights large enough that every part matters.</summary>
    public static ModelParameters Random(IComputeEngine engine, ModelConfig config, ulong seed, bool isTrained = false)
    {
        var parameters = new ModelParameters(engine, config, _ => isTrained);
        foreach (Parameter parameter in parameters.All)
        {
            var random = RandomSource.For(seed, parameter.Spec.Name);
            float centre = parameter.Spec.InitialMean;
            engine.Write(
                parameter.Value,
                [.. Enumerable.Range(0, parameter.Spec.Length).Select(_ => centre + (0.3f * (float)random.NextNormal()))]
            );
        }

        return parameters;
    }
}
