using System.Text.Json.Serialization;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Reproduction;

/// <summary>
/// A model to train. Of a figure's, this is all that tells it from the small model of <see cref="ModelConfig.Small"/>, trained with default
/// settings.
/// </summary>
/// <param name="Layers">L.</param>
/// <param name="Width">D; the MLP has four times as many neurons.</param>
/// <param name="Density">Share of nonzero entries of attention and MLP matrices, 1 for all; null for an ordinary model, which has no
/// AbsTopK either.</param>
/// <param name="Tokens">To train on.</param>
/// <param name="Seed">Of weights and data order.</param>
internal sealed record PlannedModel(int Layers, int Width, double? Density, long Tokens, ulong Seed)
{
    /// <summary>Weights that each neuron and attention channel keeps: no density can be lower than this over the width.</summary>
    public static int MinimumAlive => TrainingConfig.Small.MinimumAlivePerNeuron;

    private const int HeadChannels = 16;

    /// <summary>
    /// For a model of a sweep, the flags of <c>train</c> that vary, with their values. They and the sweep's other flags say the rest.
    /// Null for a model of a figure.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, string>? Values { get; init; }

    /// <summary>Entries of the attention and MLP matrices, where the width is whole heads.</summary>
    [JsonIgnore]
    public long MatrixEntries => 12L * Layers * Width * Width;

    /// <summary>Name of its folder. Models that differ have names that differ.</summary>
    [JsonIgnore]
    public string Name =>
        Values is not null
            ? string.Join('-', Values.Select(value => $"{value.Key}-{value.Value}"))
            : FormattableString.Invariant(
                $"{Layers}x{Width}-{(Density is { } density ? $"density-{density:0.######}" : "dense")}-tokens-{Tokens}-seed-{Seed}"
            );

    /// <summary>The model's shape.</summary>
    public ModelConfig Shape(int vocabulary)
    {
        ModelConfig small = ModelConfig.Small(vocabulary);
        return (
            small with
            {
                NLayer = Layers,
                DModel = Width,
                DMlpField = 4 * Width,
                DHeadField = HeadChannels,
                NHead = Math.Max(1, (int)Math.Round((double)Width / HeadChannels, MidpointRounding.AwayFromZero)),
                Afrac = Density is null ? null : small.Afrac,
            }
        ).Validated();
    }

    /// <summary>How it is trained, resolved for its shape.</summary>
    public TrainingConfig Training(ModelConfig shape)
    {
        // The rate while all weights are there still is one for all densities: sharkfin makes it grow as they become fewer. An ordinary
        // model's rate falls as the root of its width grows.
        TrainingConfig config = Density is { } density
            ? TrainingConfig.Small with
            {
                Density = density,
                Lr = TrainingConfig.Small.Lr * Math.Sqrt(TrainingConfig.Small.Density!.Value / density),
            }
            : TrainingConfig.SmallDense with
            {
                Lr = TrainingConfig.SmallDense.Lr * Math.Sqrt((double)ModelConfig.Small(2).DModel / Width),
            };
        config = config with { Seed = Seed, TotalTokens = Tokens };
        return (config with { EvaluateEvery = Math.Max(config.EvaluateEvery, config.LastStep() / 4) }).Resolved(shape);
    }
}
