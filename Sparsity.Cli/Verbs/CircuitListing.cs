using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;

namespace Sparsity.Cli.Verbs;

/// <summary>A circuit as a researcher reads it in a terminal.</summary>
internal static class CircuitListing
{
    private const int MostShown = 4;

    /// <summary>Prints it.</summary>
    /// <param name="circuit">The circuit.</param>
    /// <param name="mostNodes">Nodes that are listed: those of the largest effect, in the circuit's order.</param>
    public static void Print(Circuit circuit, int mostNodes = int.MaxValue)
    {
        CircuitMeasurements m = circuit.Measurements;
        Terminal.Line(
            $"{circuit.Task} in {Terminal.ShortPath(circuit.Model)}: {circuit.Nodes.Count} of {circuit.TotalNodes} nodes, "
                + $"{circuit.Edges.Count} of {circuit.TotalEdges} edges"
        );
        if (circuit.Imported is { } imported)
        {
            Terminal.Line(
                $"{string.Join(", ", new[] { imported.Task, imported.Sweep, imported.K }.OfType<string>())} of {imported.Source}"
            );
            Terminal.Line(
                $"full model: loss {m.LossFullModel:0.000000}, the file says {Stored(m.LossFullModel, imported.StoredLossFullModel)}"
            );
            Terminal.Line($"circuit: loss {m.Loss:0.000000}, the file says {Stored(m.Loss, imported.StoredLoss)}");
            foreach (string assumption in Assumptions(imported))
            {
                Terminal.Line($"{assumption}");
            }
        }

        Terminal.Line(
            $"test loss: circuit {m.Loss:0.000}{(m.LossCalibrated is { } calibrated ? $" (calibrated {Number(calibrated)})" : "")}, "
                + $"full model {m.LossFullModel:0.000}, without the circuit {m.LossWithoutCircuit:0.000}, empty {m.LossEmpty:0.000}"
        );
        string target = "";
        if (circuit.Settings is { } settings)
        {
            string judged = settings.Criterion == LossCriterion.Calibrated ? " for the calibrated loss" : "";
            string verdict = circuit.Solved == true ? "solved" : $"NOT SOLVED ({circuit.Shortcoming})";
            target = FormattableString.Invariant($"target {settings.TargetLoss}{judged}: {verdict}; ");
        }

        Terminal.Line($"{target}accuracy {100 * m.Accuracy:0.0} % (full model {100 * m.AccuracyFullModel:0.0} %)");
        if (circuit.Smallest is { } smallest)
        {
            Terminal.Line(
                $"survives interchange: {(circuit.SurvivesInterchange == true ? "yes" : "NO")}; the smallest without that: "
                    + $"{smallest.Nodes} nodes, {smallest.Edges} edges, loss {smallest.Loss:0.000}"
            );
        }

        Terminal.Line($"random circuits of equal size: mean loss {Number(m.LossRandomMean)}, best {Number(m.LossRandomBest)}");
        if (circuit.RemovedByHand.Count > 0)
        {
            Terminal.Line($"removed by hand: {string.Join(", ", circuit.RemovedByHand)}");
        }

        HashSet<CircuitNode> listed =
        [
            .. circuit.Nodes.OrderByDescending(node => node.AblationEffect ?? 0).ThenByDescending(node => node.Tau ?? 0).Take(mostNodes),
        ];
        ILookup<Node, CircuitEdge> incoming = circuit.Edges.ToLookup(edge => edge.To);
        Terminal.Table(
            ["node", "tau", "mean", "bias", "effect", "edges in, or what writes the channel"],
            circuit
                .Nodes.Where(listed.Contains)
                .Select(node =>
                    new[]
                    {
                        node.Name,
                        Number(node.Tau),
                        Terminal.Number(node.Mean),
                        node.Bias is { } bias ? Terminal.Number(bias) : "",
                        Number(node.AblationEffect),
                        node.Node.Site.Kind.ReadsResidual() ? Writers(circuit, node) : EdgesInto(incoming[node.Node]),
                    }
                )
        );
        if (listed.Count < circuit.Nodes.Count)
        {
            Terminal.Line($"and {circuit.Nodes.Count - listed.Count} more nodes, of less effect; 'sparsity circuit show' lists all");
        }
    }

    /// <summary>What had to be decided to measure an imported circuit.</summary>
    public static IEnumerable<string> Assumptions(ImportedCircuit imported) =>
        [$"prompts: {imported.Prompts}", $"answers: {imported.Answers}", $"other nodes at: {imported.Means}"];

    private static string Stored(double measured, double? stored) =>
        stored is { } value
            ? FormattableString.Invariant($"{value:0.000000} (difference {measured - value:+0.0e+0;-0.0e+0;0})")
            : "nothing of it any more";

    /// <summary>The report's checks as a table, and its verdict.</summary>
    public static void Print(Faithfulness report)
    {
        Terminal.Table(
            ["question", "answer", "numbers"],
            report.Checks.Select(check => new[] { check.Question, check.Passed ? "yes" : "NO", check.Numbers })
        );
        Terminal.Table(
            ["the same search", "nodes", "edges", "times as many", "loss", "full model", "target"],
            report
                .Controls.Concat(report.Baselines)
                .Select(control =>
                    new[]
                    {
                        control.Name,
                        $"{control.Nodes}",
                        $"{control.Edges}",
                        control.EdgesRatio is { } ratio ? Terminal.Number(ratio, "0.0") : "",
                        Terminal.Number(control.Loss),
                        Terminal.Number(control.LossFullModel),
                        control.MeetsTarget ? "met" : "missed",
                    }
                )
        );
        PartialAblation partial = report.PartialAblation;
        Terminal.Line(
            $"the rest at random gates: divergence {partial.DivergenceRandom:0.000}; at adversarial gates: loss "
                + $"{partial.LossAdversarial:0.000}, divergence {partial.DivergenceAdversarial:0.000}, at half of the locations "
                + $"{partial.DivergenceAdversarialSites:0.000} (reported only)"
        );
        Terminal.Line($"other ablation: loss {report.LossOtherAblation:0.000}");
        Terminal.Line(
            $"full model into circuit: {Curve(report.Interchange.FullIntoCircuit)}; circuit into full model: "
                + $"{Curve(report.Interchange.CircuitIntoFull)}"
        );
        Terminal.Line($"{report.Verdict}");

        static string Curve(IReadOnlyList<InterchangePoint> points) =>
            string.Join(", ", points.Select(point => $"{Terminal.Number(100 * point.Fraction, "0")} % {Terminal.Number(point.Loss)}"));
    }

    /// <summary>
    /// Nodes of the circuit that write the channel of the residual stream before this one reads it, and tokens whose embeddings do.
    /// </summary>
    private static string Writers(Circuit circuit, CircuitNode node)
    {
        IEnumerable<string> writers = circuit
            .Nodes.TakeWhile(other => other.Node != node.Node)
            .Where(other => other.Node.Site.Kind.WritesResidual() && other.Node.Channel == node.Node.Channel)
            .Select(other => other.Name);
        return string.Join(
            "  ",
            writers.Concat(
                (node.Tokens ?? []).Take(MostShown).Select(token => $"{token.Token} {Terminal.Number(token.Weight, "+0.00;-0.00")}")
            )
        );
    }

    private static string EdgesInto(IEnumerable<CircuitEdge> edges)
    {
        if (!edges.Any())
        {
            return "none: its bias alone";
        }

        CircuitEdge[] all = [.. edges.OrderByDescending(edge => Math.Abs(edge.Weight))];
        string shown = string.Join(
            "  ",
            all.Take(MostShown)
                .Select(edge =>
                    $"{edge.From} {Terminal.Number(edge.Weight, "+0.00;-0.00")}"
                    + (edge.Effect is { } effect ? $" (effect {Terminal.Number(effect, "+0.000;-0.000;0")})" : "")
                )
        );
        return shown + (all.Length > MostShown ? $"  and {all.Length - MostShown} more" : "");
    }

    private static string Number(double? value) => value is { } number ? Terminal.Number(number) : "";
}
