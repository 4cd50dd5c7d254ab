using System.Globalization;
using System.Text;
using System.Xml.Linq;

namespace Sparsity.Core.Circuits;

/// <summary>Circuits in the formats of other programs.</summary>
public static class CircuitExport
{
    /// <summary>Graphviz.</summary>
    public static string Dot(Circuit circuit)
    {
        var text = new StringBuilder($"digraph {Quoted(circuit.Task)} {{\n  rankdir=BT;\n");
        foreach (CircuitNode node in circuit.Nodes)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {Quoted(node.Name)}{(node.Tau is { } tau ? $" [tau={Number(tau)}]" : "")};\n");
        }

        foreach (CircuitEdge edge in circuit.Edges)
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"  {Quoted(edge.From.Name)} -> {Quoted(edge.To.Name)} [weight={Number(Math.Abs(edge.Weight))}, "
                    + $"label={Quoted(Number(edge.Weight))}, color={(edge.Weight < 0 ? "red" : "blue")}];\n"
            );
        }

        return text.Append("}\n").ToString();
    }

    /// <summary>GraphML, with tau, mean and bias of nodes, and weight and effect of edges, as far as there are.</summary>
    public static string GraphMl(Circuit circuit)
    {
        XNamespace ns = "http://graphml.graphdrawing.org/xmlns";
        XElement Key(string id, string target) =>
            new(
                ns + "key",
                new XAttribute("id", id),
                new XAttribute("for", target),
                new XAttribute("attr.name", id),
                new XAttribute("attr.type", "double")
            );
        XElement Data(string key, double value) => new(ns + "data", new XAttribute("key", key), Number(value));
        var graph = new XElement(
            ns + "graph",
            new XAttribute("id", circuit.Task),
            new XAttribute("edgedefault", "directed"),
            circuit.Nodes.Select(node => new XElement(
                ns + "node",
                new XAttribute("id", node.Name),
                node.Tau is { } tau ? Data("tau", tau) : null,
                Data("mean", node.Mean),
                node.Bias is { } bias ? Data("bias", bias) : null
            )),
            circuit.Edges.Select(edge => new XElement(
                ns + "edge",
                new XAttribute("source", edge.From.Name),
                new XAttribute("target", edge.To.Name),
                Data("weight", edge.Weight),
                edge.Effect is { } effect ? Data("effect", effect) : null
            ))
        );
        return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            + new XElement(
                ns + "graphml",
                Key("tau", "node"),
                Key("mean", "node"),
                Key("bias", "node"),
                Key("weight", "edge"),
                Key("effect", "edge"),
                graph
            )
                .ToString()
                .ReplaceLineEndings("\n")
            + "\n";
    }

    /// <summary>One line per edge: from,to,weight,effect; the last is empty where it was not measured.</summary>
    public static string Csv(Circuit circuit) =>
        "from,to,weight,effect\n"
        + string.Concat(
            circuit.Edges.Select(edge =>
                $"{edge.From},{edge.To},{Number(edge.Weight)},{(edge.Effect is { } effect ? Number(effect) : "")}\n"
            )
        );

    private static string Quoted(string text) => "\"" + text.Replace("\\", "\\\\").Replace("\"", "\\\"") + "\"";

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
