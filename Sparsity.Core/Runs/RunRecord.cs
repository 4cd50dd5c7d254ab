using System.Text.Json.Serialization;
using Sparsity.Core.Data;
using Sparsity.Core.Files;
using Sparsity.Core.Training;

namespace Sparsity.Core.Runs;

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

    /// <summary><see cref="DataFolder.Fingerprint"/>; null in files of earlier versions.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? DataFingerprint { get; init; }

    /// <summary>The folder of the model whose weights it began with, as an absolute path; null for random ones.</summary>
    public string? InitialModel { get; init; }

    /// <summary><see cref="StoredModel.Fingerprint"/> of that model; null where there is none, and in files of earlier versions.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? InitialFingerprint { get; init; }

    /// <summary>Which tokenizer the data were made with.</summary>
    public required string TokenizerFingerprint { get; init; }

    /// <summary>Validation loss in nats of the best bigram predictor counted on the training tokens.</summary>
    public required double BigramLoss { get; init; }

    /// <summary>Resolved settings.</summary>
    public required TrainingConfig Training { get; init; }

    /// <summary>Checks that a data folder is the one of this run, wherever it is now.</summary>
    /// <param name="data">The folder.</param>
    /// <param name="run">The run's, for the message.</param>
    /// <exception cref="BadInputException">It holds other tokens.</exception>
    public void RequireData(DataFolder data, string run)
    {
        if (data.Tokenizer.Fingerprint != TokenizerFingerprint)
        {
            throw new BadInputException(
                $"{data.Directory}: now holds tokens of another tokenizer than the run in {run} began with. Restore the data folder, "
                    + $"or say where the right one is."
            );
        }

        if (DataFingerprint is not null && data.Fingerprint() != DataFingerprint)
        {
            throw new BadInputException(
                $"{data.Directory}: holds other text than the run in {run} began with. Restore the data folder, or say where the "
                    + $"right one is."
            );
        }
    }
}
