using Sparsity.Core.Circuits;
using Sparsity.Core.Pruning;

namespace Sparsity.Core.Reproduction;

/// <summary>
/// The circuit of a task at a target loss in one model, or what it would be in a model between two. Losses in nats on test prompts.
/// </summary>
/// <param name="Edges">Null unless a circuit was looked for; real where interpolated.</param>
/// <param name="LossFullModel">Null where the task cannot be posed.</param>
/// <param name="LossEmpty">With every node frozen; null unless a circuit was looked for.</param>
internal sealed record CircuitSize(
    string Task,
    double TargetLoss,
    PruningStatus Status,
    double? Nodes,
    double? Edges,
    double? Loss,
    double? LossFullModel,
    double? LossWithoutCircuit,
    double? LossEmpty
)
{
    public static CircuitSize Of(PruningResult result) =>
        new(
            result.Task,
            result.TargetLoss,
            result.Status,
            result.Nodes,
            result.Edges,
            result.Loss,
            result.LossFullModel,
            result.LossWithoutCircuit,
            result.LossEmpty
        );

    /// <summary>Whether the target is met with every node frozen: then there is no circuit to find, whatever a search gives.</summary>
    public bool NothingToFind() => LossEmpty <= TargetLoss;

    /// <summary>Edges as they count in a geometric mean.</summary>
    public double CountedEdges() => EdgeCount.Counted(Edges!.Value);

    /// <summary>
    /// Circuits of a model between two: logarithms of nodes and edges, and losses, linear from the first's to the second's; solved where
    /// both are.
    /// </summary>
    /// <param name="first">Of the one model.</param>
    /// <param name="second">Of the other, with the same tasks and targets in the same order.</param>
    /// <param name="share">Where between them, in [0, 1].</param>
    public static IReadOnlyList<CircuitSize> Between(IReadOnlyList<CircuitSize> first, IReadOnlyList<CircuitSize> second, double share)
    {
        return
        [
            .. first.Zip(
                second,
                (a, b) =>
                    new CircuitSize(
                        a.Task,
                        a.TargetLoss,
                        (PruningStatus)Math.Max((int)a.Status, (int)b.Status),
                        Size(a.Nodes, b.Nodes),
                        Size(a.Edges, b.Edges),
                        Mix(a.Loss, b.Loss),
                        Mix(a.LossFullModel, b.LossFullModel),
                        Mix(a.LossWithoutCircuit, b.LossWithoutCircuit),
                        Mix(a.LossEmpty, b.LossEmpty)
                    )
            ),
        ];

        double? Mix(double? a, double? b) => a + (share * (b - a));

        double? Size(double? a, double? b) =>
            a is { } x && b is { } y ? Math.Exp(Mix(Math.Log(EdgeCount.Counted(x)), Math.Log(EdgeCount.Counted(y)))!.Value) : null;
    }
}
