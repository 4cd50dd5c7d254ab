using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Pruning;

/// <summary>A frozen model with what pruning needs besides: its tokenizer and pretraining text.</summary>
/// <param name="Name">For the record: the model's folder, as a full path.</param>
/// <param name="Model">In one engine's memory.</param>
/// <param name="Tokenizer">The model's.</param>
/// <param name="Pretraining">Tokens behind the mean activations; empty where the model comes with means.</param>
/// <param name="ContextTokens">T of the windows of pretraining text.</param>
public sealed record PruningSubject(
    string Name,
    Transformer Model,
    TextTokenizer Tokenizer,
    ReadOnlyMemory<ushort> Pretraining,
    int ContextTokens
)
{
    private readonly Dictionary<(ulong, int, bool), float[]> _means = [];

    /// <summary>Means that the model came with, used where there is no text; null to measure them on the text.</summary>
    internal Func<NodeLayout, float[]>? StoredMeans { get; init; }

    /// <summary>An opened model with the data it was trained on; without text where it comes with means instead.</summary>
    /// <exception cref="BadInputException">Its data are not known or not there, and it has no means.</exception>
    public static PruningSubject Of(OpenedRun run)
    {
        Func<NodeLayout, float[]>? stored = MeanActivations.StoredOf(run);
        ReadOnlyMemory<ushort> text = stored is null ? run.Data.Training : default;
        return new PruningSubject(Path.GetFullPath(run.Folder.Directory), run.Model, run.Tokenizer, text, run.Training.ContextTokens)
        {
            StoredMeans = stored,
        };
    }

    /// <summary>Another model of the same kind, with the same tokenizer and text.</summary>
    public PruningSubject With(string name, Transformer model) => new(name, model, Tokenizer, Pretraining, ContextTokens);

    /// <summary>The longest prompt that both the settings and the model allow.</summary>
    public PruningConfig Fitted(PruningConfig config) => config with { MaxTokens = Math.Min(config.MaxTokens, Model.Config.BlockSize) };

    /// <summary>Mean activations, measured once for each seed and number of batches.</summary>
    public float[] Means(PruningConfig config)
    {
        (ulong, int, bool) key = (config.Seed, config.MeanBatches, config.FinalResid);
        if (!_means.TryGetValue(key, out float[]? means))
        {
            var layout = new NodeLayout(Model.Config, config.FinalResid);
            means =
                StoredMeans?.Invoke(layout)
                ?? MeanActivations.Measure(Model, layout, Pretraining, ContextTokens, config.MeanBatches, config.Seed);
            _means[key] = means;
        }

        return means;
    }
}
