using System.Text.Json.Nodes;

namespace Sparsity.Core.Circuits;

/// <summary>
/// Where an imported circuit comes from, what its file says, and what was assumed to measure it again. Losses in nats per prompt.
/// </summary>
public sealed record ImportedCircuit
{
    /// <summary>The file, as it was given.</summary>
    public required string Source { get; init; }

    /// <summary>The task as the file's folder calls it, such as single_double_quote_beeg.</summary>
    public required string Task { get; init; }

    /// <summary>The pruning sweep, such as prune_v4; null where the file does not lie in a folder of one.</summary>
    public required string? Sweep { get; init; }

    /// <summary>
    /// The folder in the sweep: a size that was aimed at, or k_optim for the smallest circuit at the target loss; null as before.
    /// </summary>
    public required string? K { get; init; }

    /// <summary>Whether the channels of final_resid are nodes.</summary>
    public required bool FinalResid { get; init; }

    /// <summary>Task loss of the whole model as the file says. The release stores twice this.</summary>
    public required double StoredLossFullModel { get; init; }

    /// <summary>Task loss of the circuit as the file says; null after nodes were removed by hand.</summary>
    public required double? StoredLoss { get; init; }

    /// <summary>Nodes of the whole model as the file says.</summary>
    public required int? StoredTotalNodes { get; init; }

    /// <summary>Which prompts were taken.</summary>
    public required string Prompts { get; init; }

    /// <summary>Which answers were taken, and how they were found.</summary>
    public required string Answers { get; init; }

    /// <summary>What the other nodes are frozen at.</summary>
    public required string Means { get; init; }

    /// <summary>
    /// Task loss with all of the circuit's nodes of one attention or MLP frozen too, by its name such as 0.attn. As stored: the release
    /// seems not to double these.
    /// </summary>
    public required IReadOnlyDictionary<string, double> LayerLosses { get; init; }

    /// <summary>The same for each node location.</summary>
    public required IReadOnlyDictionary<string, double> LocationLosses { get; init; }

    /// <summary>The course of the search: its rounds and the loss after each.</summary>
    public required IReadOnlyList<ImportedRound> Rounds { get; init; }

    /// <summary>The search's settings, as the file has them.</summary>
    public required JsonObject? Settings { get; init; }
}

/// <summary>A round of the search that found an imported circuit.</summary>
/// <param name="Loss">In nats per prompt.</param>
public sealed record ImportedRound(int Round, double Loss);
