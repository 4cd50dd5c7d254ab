using System.Globalization;
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

    /// <summary>Stands for a layer behind all others.</summary>
    public const int FinalLayer = int.MaxValue;

    /// <summary>The locations of each row, from the bottom of a layer to its top.</summary>
    private static readonly SiteKind[][] Rows =
    [
        [SiteKind.AttnActIn],
        [SiteKind.AttnQ, SiteKind.AttnK, SiteKind.AttnV],
        [SiteKind.AttnResidDelta],
        [SiteKind.MlpActIn],
        [SiteKind.MlpPostAct],
        [SiteKind.MlpResidDelta],
        [SiteKind.FinalResid],
    ];

    private readonly Dictionary<string, PlacedNode> _byName = [];
    private readonly Dictionary<PlacedNode, int> _lineOf = [];
    private readonly Dictionary<PlacedNode, List<PlacedNode>> _neighbours = [];

    /// <exception cref="BadInputException">A node's name is not LAYER.LOCATION.CHANNEL, or an edge ends at none of the nodes.</exception>
    public CircuitLayout(Circuit circuit)
    {
        var sites = circuit.Nodes.Select(node => (Node: node, Site: Parse(node.Name))).ToList();
        int[] read = [.. sites.Where(entry => IsRead(entry.Site.Kind)).Select(entry => entry.Site.Channel).Distinct().Order()];
        var lines = new List<PlacedLine>(
            Wrapped(-1, [new PlacedGroup("embedding", null, [.. read.Select(channel => new PlacedNode(null, channel))])])
        );
        foreach (var layer in sites.GroupBy(entry => entry.Site.Layer).OrderBy(layer => layer.Key))
        {
            foreach (SiteKind[] row in Rows)
            {
                var groups = row.Select(kind => new PlacedGroup(
                    kind.Suffix(),
                    row.Length > 1 ? kind.Suffix()[^1..] : null,
                    [
                        .. layer
                            .Where(entry => entry.Site.Kind == kind)
                            .OrderBy(entry => entry.Site.Channel)
                            .Select(entry => new PlacedNode(entry.Node, entry.Site.Channel)),
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
                if (node.Node is not null && !_byName.TryAdd(node.Node.Name, node))
                {
                    throw new BadInputException($"circuit of {circuit.Task}: node {node.Node.Name} occurs twice.");
                }
            }
        }

        Edges = [.. circuit.Edges.Select(edge => (Find(edge.From, circuit), Find(edge.To, circuit), edge))];
        Links = [.. FindLinks(sites.ToDictionary(entry => entry.Node.Name, entry => entry.Site))];
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

    private static bool IsRead(SiteKind kind) => kind is SiteKind.AttnActIn or SiteKind.MlpActIn or SiteKind.FinalResid;

    private static bool IsWrite(SiteKind kind) => kind is SiteKind.AttnResidDelta or SiteKind.MlpResidDelta;

    private static (int Layer, SiteKind Kind, int Channel) Parse(string name)
    {
        string final = SiteKind.FinalResid.Suffix() + ".";
        if (
            name.StartsWith(final, StringComparison.Ordinal)
            && int.TryParse(name[final.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int finalChannel)
        )
        {
            return (FinalLayer, SiteKind.FinalResid, finalChannel);
        }

        int first = name.IndexOf('.');
        int last = name.LastIndexOf('.');
        if (
            first > 0
            && last > first
            && int.TryParse(name[..first], NumberStyles.None, CultureInfo.InvariantCulture, out int layer)
            && int.TryParse(name[(last + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int channel)
        )
        {
            foreach (SiteKind kind in SiteKinds.Nodes)
            {
                if (name[(first + 1)..last] == kind.Suffix())
                {
                    return (layer, kind, channel);
                }
            }
        }

        throw new BadInputException($"'{name}' is no node. Nodes are LAYER.LOCATION.CHANNEL, such as 0.mlp.post_act.12.");
    }

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

    private PlacedNode Find(string name, Circuit circuit) =>
        _byName.TryGetValue(name, out PlacedNode? node)
            ? node
            : throw new BadInputException($"circuit of {circuit.Task}: an edge ends at {name}, which is no node of it.");

    private IEnumerable<(PlacedNode From, PlacedNode To)> FindLinks(Dictionary<string, (int Layer, SiteKind Kind, int Channel)> sites)
    {
        PlacedNode[] all = [.. Lines.SelectMany(line => line.Groups).SelectMany(group => group.Nodes)];
        PlacedNode[] reads = [.. all.Where(node => node.Node is not null && IsRead(sites[node.Node.Name].Kind))];
        foreach (PlacedNode from in all.Where(node => node.Node is null || IsWrite(sites[node.Node.Name].Kind)))
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
