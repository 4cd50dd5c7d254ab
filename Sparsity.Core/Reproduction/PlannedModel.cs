using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Reproduction;

/// <summary>A model to train: all that tells it from the small model of <see cref="ModelConfig.Small"/>, trained with default settings.</summary>
/// <param name="Layers">L.</param>
/// <param name="Width">D; the MLP has four times as many neurons.</param>
/// <param name="Density">Share of nonzero entries of attention and MLP matrices, 1 for all; null for an ordinary model, which has no AbsTopK either.</param>
/// <param name="Tokens">To train on.</param>
/// <param name="Seed">Of weights and data order.</param>
public sealed record PlannedModel(int Layers, int Width, double? Density, long Tokens, ulong Seed)
{
    /// <summary>Weights that each neuron and attention channel keeps: no density can be lower than this over the width.</summary>
    public const int MinimumAlive = 4;

    private const int HeadChannels = 16;

    /// <summary>Rate while all weights are there still; sharkfin makes it grow as they become fewer.</summary>
    private const double SparseRateWhileDense = 0.0075;

    /// <summary>Rate of an ordinary model of one channel: the wider the model, the smaller the rate, by the root of the width.</summary>
    private const double DenseRate = 0.12;

    /// <summary>Entries of the attention and MLP matrices, where the width is whole heads.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public long MatrixEntries => 12L * Layers * Width * Width;

    /// <summary>Of its folder: models that differ have names that differ.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public string Name => FormattableString.Invariant($"{Layers}x{Width}-{(Density is { } density ? $"density-{density:0.######}" : "dense")}-tokens-{Tokens}-seed-{Seed}");

    /// <summary>The model's shape.</summary>
    public ModelConfig Shape(int vocabulary)
    {
        ModelConfig small = ModelConfig.Small(vocabulary);
        return (small with
        {
            NLayer = Layers,
            DModel = Width,
            DMlpField = 4 * Width,
            DHeadField = HeadChannels,
            NHead = Math.Max(1, (int)Math.Round((double)Width / HeadChannels, MidpointRounding.AwayFromZero)),
            Afrac = Density is null ? null : small.Afrac,
        }).Validated();
    }

    /// <summary>How it is trained, resolved for its shape.</summary>
    public TrainingConfig Training(ModelConfig shape)
    {
        var config = new TrainingConfig
        {
            Seed = Seed,
            TotalTokens = Tokens,
            Density = Density,
            Lr = Density is { } density ? SparseRateWhileDense / Math.Sqrt(density) : DenseRate / Math.Sqrt(Width),
            MinimumAlivePerNeuron = MinimumAlive,
            PositionEmbeddings = PositionEmbeddings.Learned,
        };
        return (config with { EvaluateEvery = Math.Max(config.EvaluateEvery, config.LastStep() / 4) }).Resolved(shape);
    }
}
