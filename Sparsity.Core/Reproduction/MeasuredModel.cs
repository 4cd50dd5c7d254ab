using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Core.Reproduction;

/// <summary>A trained model as result.json has it.</summary>
/// <param name="Name">Of its folder in models/.</param>
/// <param name="Fingerprint">SHA-256 of its weights.</param>
/// <param name="ValidationLoss">In nats, after the last step.</param>
/// <param name="BigramLoss">Of the best bigram predictor on the same text.</param>
/// <param name="Nonzero">Parameters that are not zero, embeddings left out.</param>
/// <param name="NonzeroFraction">Share of nonzero entries of the attention and MLP matrices.</param>
/// <param name="FinalResidualKurtosis">Mean over channels, on the last validation batch; 3 for a normal distribution.</param>
internal sealed record MeasuredModel(
    string Name,
    PlannedModel Model,
    string Fingerprint,
    double ValidationLoss,
    double BigramLoss,
    long Nonzero,
    double NonzeroFraction,
    double FinalResidualKurtosis
)
{
    /// <summary>Reads what a finished run says of itself.</summary>
    /// <param name="model">That was trained.</param>
    /// <param name="folder">Of the run.</param>
    /// <param name="fingerprint">Of its weights.</param>
    /// <exception cref="BadInputException">The last line of metrics is missing or damaged.</exception>
    public static MeasuredModel Of(PlannedModel model, RunFolder folder, string fingerprint)
    {
        string last = JsonText.ReadAllText(folder.MetricsPath).TrimEnd().Split('\n')[^1];
        TrainingMetrics metrics = JsonText.Read<TrainingMetrics>(JsonText.ParseObject(last, folder.MetricsPath), folder.MetricsPath);
        return metrics is { ValidationLoss: { } loss, Statistics: { } statistics, FinalResidualKurtosis: { } kurtosis }
            ? new MeasuredModel(
                model.Name,
                model,
                fingerprint,
                loss,
                folder.ReadRecord().BigramLoss,
                statistics.NonzeroWithoutEmbeddings,
                statistics.NonzeroFraction,
                kurtosis
            )
            : throw new BadInputException(
                $"{folder.MetricsPath}: the last line has no validation_loss, statistics or final_residual_kurtosis. Remove "
                    + $"{folder.Directory} to train the model again."
            );
    }
}

/// <summary>The circuits of one model, found with one method.</summary>
/// <param name="Model">Its name.</param>
/// <param name="Seed">Of masks and prompts.</param>
/// <param name="Circuits">Task by task, target by target.</param>
internal sealed record ModelCircuits(string Model, ulong Seed, PruningMethod Method, IReadOnlyList<CircuitSize> Circuits)
{
    /// <summary>The name of their folder in circuits/.</summary>
    public static string FolderName(string model, PruningMethod method) => $"{model}-{method.ToString().ToLowerInvariant()}";
}
