using Sparsity.Core.Training;

namespace Sparsity.Core.Storage;

/// <summary>run.json: where a run's numbers come from.</summary>
public sealed record RunRecord
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>This program's version.</summary>
    public required string Version { get; init; }

    /// <summary>The engine and its device.</summary>
    public required string Device { get; init; }

    /// <summary>The data folder, as an absolute path.</summary>
    public required string Data { get; init; }

    /// <summary>The folder of the model whose weights it began with, as an absolute path; null for random ones.</summary>
    public string? InitialModel { get; init; }

    /// <summary>Which tokenizer the data were made with.</summary>
    public required string TokenizerFingerprint { get; init; }

    /// <summary>Validation loss in nats of the best bigram predictor counted on the training tokens.</summary>
    public required double BigramLoss { get; init; }

    /// <summary>Resolved settings.</summary>
    public required TrainingConfig Training { get; init; }
}
