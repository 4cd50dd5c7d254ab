namespace Sparsity.Core.Circuits;

/// <summary>What circuits have in common, such as those of one task found from several seeds.</summary>
/// <param name="Nodes">In all of them, in the order of computation.</param>
/// <param name="Edges">In all of them, in the order of computation.</param>
/// <param name="NodeCounts">For each node of any of them, how many have it; the most common first, then in the order of
/// computation.</param>
public sealed record CircuitOverlap(
    IReadOnlyList<Node> Nodes,
    IReadOnlyList<(Node From, Node To)> Edges,
    IReadOnlyList<(Node Node, int Count)> NodeCounts
)
{
    /// <param name="circuits">From 1, of models of one shape.</param>
    public static CircuitOverlap Of(params IReadOnlyList<Circuit> circuits)
    {
        (Node Node, int Count)[] counts =
        [
            .. circuits
                .SelectMany(circuit => circuit.Nodes)
                .GroupBy(node => node.Node)
                .Select(group => (group.Key, group.Count()))
                .OrderByDescending(entry => entry.Item2),
        ];
        return new CircuitOverlap(
            [
                .. circuits
                    .Skip(1)
                    .Aggregate(
                        circuits[0].Nodes.Select(node => node.Node),
                        (shared, circuit) => shared.Intersect(circuit.Nodes.Select(node => node.Node))
                    ),
            ],
            [
                .. circuits
                    .Skip(1)
                    .Aggregate(
                        circuits[0].Edges.Select(edge => (edge.From, edge.To)),
                        (shared, circuit) => shared.Intersect(circuit.Edges.Select(edge => (edge.From, edge.To)))
                    ),
            ],
            counts
        );
    }

    /// <summary>The share of things in either of two sets that is in both, from 0 to 1.</summary>
    public static double ShareOfEither(int a, int b, int shared) => a + b == 0 ? 0 : (double)shared / (a + b - shared);
}
