using System.Text.Json.Serialization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;

namespace Sparsity.Core.Pruning;

/// <summary>A line of results.json. Losses in nats on test prompts; null where nothing was pruned.</summary>
/// <param name="Loss">Of the circuit: the one that is held against the target.</param>
/// <param name="Reason">Why a task was skipped, or its circuit is not solved; null for one that is.</param>
/// <param name="Verdict">Of faithfulness.json, where one was asked for.</param>
/// <param name="Folder">Of circuit.json and activations.json, below the run's folder.</param>
internal sealed record PruningResult(
    string Task,
    ulong Seed,
    double TargetLoss,
    PruningStatus Status,
    string? Reason = null,
    double? LossFullModel = null,
    int? Nodes = null,
    int? Edges = null,
    double? Loss = null,
    double? LossWithoutCircuit = null,
    double? LossEmpty = null,
    double? LossRandomBest = null,
    string? Folder = null,
    string? Verdict = null
)
{
    /// <summary>
    /// Where circuits were asked to survive interchange: edges of the smallest that meets the target without. Null where not asked.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? SmallestEdges { get; init; }
}

/// <summary>Size of the circuits of one seed at one target.</summary>
/// <param name="Solved">Solved tasks.</param>
/// <param name="GeometricMeanEdges">Over the solved ones (docs/method.md section 4); null where there are none.</param>
internal sealed record PruningTotal(ulong Seed, double TargetLoss, int Solved, double? GeometricMeanEdges);

/// <summary>results.json.</summary>
internal sealed record PruningResults(IReadOnlyList<PruningResult> Results)
{
    /// <summary>Reads results.json.</summary>
    /// <exception cref="BadInputException">It is missing or damaged.</exception>
    public static PruningResults Load(string path)
    {
        PruningResults read = JsonText.ReadFile<PruningResults>(path);
        return read.Results.All(result =>
            result.Status is not (PruningStatus.Solved or PruningStatus.Missed) || (result.Edges >= 0 && result.Folder is not null)
        )
            ? read
            : throw new BadInputException($"{path}: a circuit lacks its edges or folder. Use another copy, or begin again.");
    }

    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>Follow from the results: whatever a file says of them is ignored.</summary>
    public IReadOnlyList<PruningTotal> Totals
    {
        get =>
            [
                .. Results
                    .GroupBy(result => (result.Seed, result.TargetLoss))
                    .Select(group =>
                    {
                        double[] edges =
                        [
                            .. group.Where(result => result.Status == PruningStatus.Solved).Select(result => (double)result.Edges!),
                        ];

                        return new PruningTotal(
                            group.Key.Seed,
                            group.Key.TargetLoss,
                            edges.Length,
                            edges.Length == 0 ? null : EdgeCount.GeometricMean(edges)
                        );
                    }),
            ];
        init { }
    }
}
