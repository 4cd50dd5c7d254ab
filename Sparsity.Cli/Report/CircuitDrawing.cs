using System.Xml.Linq;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>
/// Draws a circuit: weights as lines by sign and size, residual channels as dashed arcs, and for each node a title with all that is known
/// of it.
/// </summary>
internal static class CircuitDrawing
{
    private const double Radius = 5.5;
    private const double DigitWidth = 6.2;

    public static XElement Draw(Circuit circuit, string title)
    {
        var layout = new CircuitLayout(circuit);
        PlacedNode[] nodes = [.. layout.Lines.SelectMany(line => line.Groups).SelectMany(group => group.Nodes)];
        double largest = circuit.Edges.Select(edge => Math.Abs(edge.Weight)).DefaultIfEmpty(1).Max();
        HashSet<PlacedNode> upwards = [.. layout.Edges.Select(edge => edge.From)];
        HashSet<PlacedNode> downwards = [.. layout.Edges.Select(edge => edge.To)];
        return Svg(
            layout.Width,
            layout.Height,
            title,
            Bands(layout),
            layout.Links.Select(link => DrawLink(link.From, link.To, layout.LinesBetween(link.From, link.To))),
            layout.Edges.Select(edge => DrawEdge(edge.From, edge.To, edge.Edge, largest)),
            nodes.Select(DrawNode),
            layout.Lines.SelectMany(line => DrawChannels(line, upwards, downwards)),
            layout.Lines.SelectMany(line =>
                line.Groups.Where(group => group.ShortName is not null)
                    .Select(group => Label("note middle", group.NameX, line.Y + 4, group.ShortName!))
            )
        );
    }

    /// <summary>A background per layer and the name of every row, in the gutter on the left.</summary>
    private static IEnumerable<XElement> Bands(CircuitLayout layout)
    {
        const double Up = CircuitLayout.LineHeight * 0.4;
        foreach (IGrouping<int, PlacedLine> layer in layout.Lines.GroupBy(line => line.Layer))
        {
            double top = layer.Min(line => line.Y) - Up - CircuitLayout.LayerGap;
            double bottom = layer.Max(line => line.Y) - Up + CircuitLayout.LineHeight;
            yield return E(
                "rect",
                A("class", "band"),
                A("x", 0),
                A("y", top + 2),
                A("width", layout.Width),
                A("height", bottom - top - 4),
                A("rx", 6)
            );
            if (layer.Key is >= 0 and < Site.FinalLayer)
            {
                yield return Label("group", 10, top + 18, Format($"layer {layer.Key}"));
            }
        }

        foreach (PlacedLine line in layout.Lines)
        {
            yield return Label("note end", CircuitLayout.Gutter - 14, line.Y + 4, line.Name);
        }
    }

    /// <summary>Bent more the further it goes, so that it passes beside the nodes between.</summary>
    private static XElement DrawLink(PlacedNode from, PlacedNode to, int lines)
    {
        double bend = lines < 2 ? 0 : Math.Min(6 + (6 * lines), 60) * (from.Channel % 2 == 0 ? 1 : -1);
        string path = Format(
            $"M{from.X:0.#} {from.Y:0.#}Q{((from.X + to.X) / 2) + bend:0.#} {(from.Y + to.Y) / 2:0.#} {to.X:0.#} {to.Y:0.#}"
        );
        return E(
            "path",
            A("class", "link"),
            A("d", path),
            E("title", $"residual channel {Number(from)}: {from.Node?.Name ?? "embedding"} is read by {to.Node!.Name}")
        );
    }

    private static XElement DrawEdge(PlacedNode from, PlacedNode to, CircuitEdge edge, double largest) =>
        Line(
            edge.Weight < 0 ? "edge negative" : "edge positive",
            from.X,
            from.Y,
            to.X,
            to.Y,
            A("stroke-width", largest > 0 && double.IsFinite(edge.Weight) ? 0.7 + (3.3 * Math.Abs(edge.Weight) / largest) : 0.7),
            E("title", $"{edge.From} to {edge.To}: weight {Markup.Number(edge.Weight)}")
        );

    private static XElement DrawNode(PlacedNode place) =>
        place.Node is { } node
            ? E("circle", A("class", "node"), A("cx", place.X), A("cy", place.Y), A("r", Radius), E("title", Describe(node)))
            : E(
                "rect",
                A("class", "embedding"),
                A("x", place.X - 4),
                A("y", place.Y - 4),
                A("width", 8),
                A("height", 8),
                E("title", $"embedding, residual channel {Number(place)}")
            );

    private static string Describe(CircuitNode node) =>
        $"{node.Name}: tau {(node.Tau is { } tau ? Markup.Number(tau) : "unknown")}, mean {Markup.Number(node.Mean)}, "
        + $"{(node.Bias is { } bias ? "bias " + Markup.Number(bias) : "no bias")}";

    /// <summary>
    /// A node's channel stands on the side that its edges leave free, beside it where they leave neither; slanted where neighbours would
    /// touch.
    /// </summary>
    private static IEnumerable<XElement> DrawChannels(PlacedLine line, HashSet<PlacedNode> upwards, HashSet<PlacedNode> downwards)
    {
        PlacedNode[] nodes = [.. line.Groups.SelectMany(group => group.Nodes)];
        double widest = DigitWidth * nodes.Max(node => Number(node).Length);
        foreach (PlacedNode node in nodes)
        {
            bool above = downwards.Contains(node) && !upwards.Contains(node);
            if (downwards.Contains(node) && upwards.Contains(node) && widest + (2 * Radius) + 8 <= line.Slot)
            {
                yield return Label("channel", node.X + Radius + 3, node.Y + 4, Number(node));
            }
            else if (widest + 4 <= line.Slot)
            {
                yield return Label("channel middle", node.X, above ? node.Y - Radius - 4 : node.Y + Radius + 12, Number(node));
            }
            else
            {
                double x = above ? node.X + 3 : node.X - 4;
                double y = above ? node.Y - Radius - 4 : node.Y + Radius + 9;
                XElement label = Label("channel", x, y, Number(node));
                label.Add(A("transform", Format($"rotate({(above ? -55 : 55)} {x:0.##} {y:0.##})")));
                yield return label;
            }
        }
    }

    private static string Number(PlacedNode node) => Format($"{node.Channel}");
}
