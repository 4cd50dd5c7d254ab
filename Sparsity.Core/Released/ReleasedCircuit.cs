using System.Text.Json.Nodes;
using Sparsity.Core.Circuits;

namespace Sparsity.Core.Released;

/// <summary>
/// A circuit as the official release stores it: viz_data.pt. Numbers are the file's own; losses of tasks are twice the nats per prompt.
/// </summary>
internal sealed record ReleasedCircuit
{
    /// <summary>
    /// What the file's task losses are divided by to get nats per prompt: the official loss is a sum over a pair where the paper takes the
    /// mean.
    /// </summary>
    public const double LossUnit = 2;

    public required string Path { get; init; }

    /// <summary>In the order of computation.</summary>
    public required IReadOnlyList<Node> Nodes { get; init; }

    /// <summary>Whether final_resid is one of the file's locations.</summary>
    public required bool FinalResid { get; init; }

    /// <summary>Task loss of the whole model, doubled.</summary>
    public required double Loss { get; init; }

    /// <summary>Task loss of the circuit, doubled.</summary>
    public required double CircuitLoss { get; init; }

    /// <summary>Task loss with one node frozen too, doubled; not for all nodes in all files.</summary>
    public required IReadOnlyDictionary<Node, double> NodeLosses { get; init; }

    /// <summary>What each edge adds to the circuit's loss when it is taken out, doubled; not for all edges in all files.</summary>
    public required IReadOnlyDictionary<(Node From, Node To), double> EdgeEffects { get; init; }

    /// <summary>Task loss with the nodes of one attention or MLP frozen too, not doubled (inferred).</summary>
    public required IReadOnlyDictionary<string, double> LayerLosses { get; init; }

    /// <summary>The same for single locations.</summary>
    public required IReadOnlyDictionary<string, double> LocationLosses { get; init; }

    /// <summary>Without padding. The first half has one answer, the second half the other; prompt i belongs to prompt i + half.</summary>
    public required IReadOnlyList<int[]> Prompts { get; init; }

    /// <summary>Nodes of the whole model.</summary>
    public required int? TotalNodes { get; init; }

    /// <summary>Rounds of the search and the loss after each, doubled.</summary>
    public required IReadOnlyList<(int Round, double Loss)> Rounds { get; init; }

    /// <summary>The search's settings.</summary>
    public required JsonObject? Settings { get; init; }
}
