namespace Sparsity.Core.Circuits;

/// <summary>What two circuits have in common.</summary>
public sealed record CircuitOverlap(IReadOnlyList<Node> Nodes, IReadOnlyList<(Node From, Node To)> Edges)
{
    public static CircuitOverlap Of(Circuit a, Circuit b) =>
        new(
            [.. a.Nodes.Select(node => node.Node).Intersect(b.Nodes.Select(node => node.Node))],
            [.. a.Edges.Select(edge => (edge.From, edge.To)).Intersect(b.Edges.Select(edge => (edge.From, edge.To)))]
        );
}
