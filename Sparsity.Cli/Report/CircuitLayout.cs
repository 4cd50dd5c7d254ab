using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;

namespace Sparsity.Cli.Report;

/// <summary>A node of a drawing, or the embedding of one residual channel.</summary>
/// <param name="node">Null for an embedding.</param>
internal sealed class PlacedNode(CircuitNode? node, int channel)
{
    public CircuitNode? Node { get; } = node;

    public int Channel { get; } = channel;

    public double X { get; set; }

    public double Y { get; set; }
}

/// <summary>A run of slots on one line: the nodes of one location, behind its short name where several share the line.</summary>
internal sealed record PlacedGroup(string Name, string? ShortName, List<PlacedNode> Nodes)
{
    public int Slots => Nodes.Count + (ShortName is null ? 0 : 1);

    public double NameX { get; set; }
}

/// <summary>A line of nodes.</summary>
/// <param name="Layer">-1 for the embeddings.</param>
internal sealed record PlacedLine(int Layer, string Name, IReadOnlyList<PlacedGroup> Groups)
{
    public double Y { get; set; }

    /// <summary>Pixels between neighbours.</summary>
    public double Slot { get; set; }

    public int Slots => Groups.Sum(group => group.Slots);
}

/// <summary>
/// Where the nodes of a circuit stand: embeddings at the bottom, then layer over layer, a row per stage of the computation. Rows that are
/// too wide wrap. Within a row, nodes are sorted to lie near what they are connected to, in a few sweeps up and down; ties go to the lower
/// channel.
/// </summary>
internal sealed class CircuitLayout
{
    public const double Gutter = 150;
    public const double LineHeight = 76;

    /// <summary>Room above each layer for its name.</summary>
    public const double LayerGap = 20;
    private const double Margin = 14;
    private const double NarrowestSlot = 20;
    private const double WidestSlot = 52;
    private const double WidestField = 960;
    private const double NarrowestField = 480;
    private const int Capacity = (int)(WidestField / NarrowestSlot);
    private const int Sweeps = 6;

    /// <summary>The locations of each row, from the bottom of a layer to its top.</summary>
    private static readonly SiteKind[][] Rows =
    [
        .. SiteKinds.NodeLocations.GroupBy(location => location.Row()).Select(row => row.ToArray()),
    ];

    private readonly Dictionary<Node, PlacedNode> _placed = [];
    private readonly Dictionary<PlacedNode, int> _lineOf = [];
    private readonly Dictionary<PlacedNode, List<PlacedNode>> _neighbours = [];

    /// <exception cref="BadInputException">A node occurs twice, or an edge ends at none of the nodes.</exception>
    public CircuitLayout(Circuit circuit)
    {
        int[] read =
        [
            .. circuit
                .Nodes.Select(node => node.Node)
                .Where(node => node.Site.Kind.ReadsResidual())
                .Select(node => node.Channel)
                .Distinct()
                .Order(),
        ];
        var lines = new List<PlacedLine>(
            Wrapped(-1, [new PlacedGroup("embedding", null, [.. read.Select(channel => new PlacedNode(null, channel))])])
        );
        foreach (var layer in circuit.Nodes.GroupBy(node => node.Node.Site.Layer).OrderBy(layer => layer.Key))
        {
            foreach (SiteKind[] row in Rows)
            {
                var groups = row.Select(kind => new PlacedGroup(
                    kind.Suffix(),
                    row.Length > 1 ? kind.HeadPart() : null,
                    [
                        .. layer
                            .Where(node => node.Node.Site.Kind == kind)
                            .OrderBy(node => node.Node.Channel)
                            .Select(node => new PlacedNode(node, node.Node.Channel)),
                    ]
                ));
                lines.AddRange(Wrapped(layer.Key, [.. groups.Where(group => group.Nodes.Count > 0)]));
            }
        }

        Lines = lines;
        for (int i = 0; i < lines.Count; i++)
        {
            foreach (PlacedNode node in lines[i].Groups.SelectMany(group => group.Nodes))
            {
                _lineOf.Add(node, i);
                _neighbours.Add(node, []);
                if (node.Node is not null && !_placed.TryAdd(node.Node.Node, node))
                {
                    throw new BadInputException($"circuit of {circuit.Task}: node {node.Node.Name} occurs twice.");
                }
            }
        }

        Edges = [.. circuit.Edges.Select(edge => (Find(edge.From, circuit), Find(edge.To, circuit), edge))];
        Links = [.. FindLinks()];
        foreach ((PlacedNode from, PlacedNode to) in Edges.Select(edge => (edge.From, edge.To)).Concat(Links))
        {
            _neighbours[from].Add(to);
            _neighbours[to].Add(from);
        }

        int slots = Math.Max(1, lines.Select(line => line.Slots).DefaultIfEmpty(1).Max());
        double field = Math.Clamp(slots * WidestSlot, NarrowestField, WidestField);
        double slot = Math.Min(WidestSlot, field / slots);
        Width = Gutter + field + Margin;
        Height = (lines.Count * LineHeight) + (lines.Select(line => line.Layer).Distinct().Count() * LayerGap) + (2 * Margin);
        Place(field, slot);
        for (int sweep = 0; sweep < Sweeps; sweep++)
        {
            Sort(upwards: sweep % 2 == 0);
            Place(field, slot);
        }
    }

    /// <summary>From the bottom to the top.</summary>
    public IReadOnlyList<PlacedLine> Lines { get; }

    public IReadOnlyList<(PlacedNode From, PlacedNode To, CircuitEdge Edge)> Edges { get; }

    /// <summary>What meets in the residual stream by channel: an embedding or a write, and every later read.</summary>
    public IReadOnlyList<(PlacedNode From, PlacedNode To)> Links { get; }

    public double Width { get; }

    public double Height { get; }

    /// <summary>Lines from a node's line up to another's.</summary>
    public int LinesBetween(PlacedNode from, PlacedNode to) => _lineOf[to] - _lineOf[from];

    /// <summary>One line, or several where the groups have more nodes than a line has room for.</summary>
    private static IEnumerable<PlacedLine> Wrapped(int layer, IReadOnlyList<PlacedGroup> groups)
    {
        string name = string.Join(" ", groups.Select((group, i) => i == 0 ? group.Name : group.ShortName));
        if (groups.Sum(group => group.Slots) <= Capacity)
        {
            return groups.Count == 0 || groups.All(group => group.Nodes.Count == 0) ? [] : [new PlacedLine(layer, name, groups)];
        }

        return groups.SelectMany(group =>
            group.Nodes.Chunk(Capacity - 1).Select(nodes => new PlacedLine(layer, group.Name, [group with { Nodes = [.. nodes] }]))
        );
    }

    private PlacedNode Find(Node node, Circuit circuit) =>
        _placed.TryGetValue(node, out PlacedNode? place)
            ? place
            : throw new BadInputException($"circuit of {circuit.Task}: an edge ends at {node}, which is no node of it.");

    private IEnumerable<(PlacedNode From, PlacedNode To)> FindLinks()
    {
        PlacedNode[] all = [.. Lines.SelectMany(line => line.Groups).SelectMany(group => group.Nodes)];
        PlacedNode[] reads = [.. all.Where(node => node.Node?.Node.Site.Kind.ReadsResidual() == true)];
        foreach (PlacedNode from in all.Where(node => node.Node?.Node.Site.Kind.WritesResidual() != false))
        {
            foreach (PlacedNode to in reads.Where(to => to.Channel == from.Channel && _lineOf[to] > _lineOf[from]))
            {
                yield return (from, to);
            }
        }
    }

    /// <summary>Every line centred in the field and spread out up to twice, the first one at the bottom.</summary>
    private void Place(double field, double slot)
    {
        int gaps = 0;
        for (int i = 0; i < Lines.Count; i++)
        {
            PlacedLine line = Lines[i];
            gaps += i > 0 && line.Layer != Lines[i - 1].Layer ? 1 : 0;
            line.Y = Height - Margin - (LineHeight * (i + 0.6)) - (LayerGap * gaps);
            line.Slot = Math.Clamp(field / line.Slots, slot, 2 * slot);
            double x = Gutter + ((field - (line.Slots * line.Slot)) / 2) + (line.Slot / 2);
            foreach (PlacedGroup group in line.Groups)
            {
                group.NameX = x;
                x += group.ShortName is null ? 0 : line.Slot;
                foreach (PlacedNode node in group.Nodes)
                {
                    (node.X, node.Y) = (x, line.Y);
                    x += line.Slot;
                }
            }
        }
    }

    /// <summary>
    /// Sorts each group by the mean place of the neighbours below (upwards) or above; a node without any stays about where it is.
    /// </summary>
    private void Sort(bool upwards)
    {
        foreach (PlacedLine line in upwards ? Lines : Lines.Reverse())
        {
            foreach (PlacedGroup group in line.Groups)
            {
                double[] places = [.. group.Nodes.Select(node => node.X).Order()];
                PlacedNode[] sorted =
                [
                    .. group
                        .Nodes.OrderBy(node =>
                            _neighbours[node]
                                .Where(other => LinesBetween(node, other) < 0 == upwards)
                                .Select(other => other.X)
                                .DefaultIfEmpty(node.X)
                                .Average()
                        )
                        .ThenBy(node => node.Channel),
                ];
                group.Nodes.Clear();
                group.Nodes.AddRange(sorted);
                for (int i = 0; i < sorted.Length; i++)
                {
                    sorted[i].X = places[i];
                }
            }
        }
    }
}
