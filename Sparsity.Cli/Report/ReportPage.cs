using System.Xml.Linq;
using Sparsity.Core.Circuits;
using Sparsity.Core.Training;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>The metrics of one training run.</summary>
/// <param name="Model"><see cref="DemoCircuit.Sparse"/> or <see cref="DemoCircuit.Dense"/>.</param>
public sealed record TrainingCurve(string Model, IReadOnlyList<TrainingMetrics> Metrics);

/// <summary>A circuit to show.</summary>
/// <param name="Model"><see cref="DemoCircuit.Sparse"/> or <see cref="DemoCircuit.Dense"/>.</param>
public sealed record ReportCircuit(string Model, Circuit Circuit);

/// <summary>
/// The page that <c>sparsity demo</c> leaves behind: one file without scripts that asks the network for nothing, light or dark as the
/// reader's system.
/// </summary>
public static class ReportPage
{
    /// <summary>A dense circuit with more edges is told in a sentence: a drawing of it would be a black square.</summary>
    public const int MostEdgesOfDenseDrawing = 400;

    /// <exception cref="Sparsity.Core.BadInputException">A circuit's nodes or edges are not well named.</exception>
    public static string Render(
        DemoSummary summary,
        IReadOnlyList<TrainingCurve> curves,
        IReadOnlyList<ReportCircuit> circuits,
        string title = "Circuit Sparsity demo"
    ) => Page(title, Headline.Write(summary, circuits), Training(summary, curves), Table(circuits), Losses(circuits), Drawings(circuits));

    private static XElement? Training(DemoSummary summary, IReadOnlyList<TrainingCurve> curves)
    {
        PlotSeries[] losses =
        [
            .. curves
                .SelectMany(curve =>
                    new[]
                    {
                        new PlotSeries(
                            $"{curve.Model}, training",
                            $"thin {Style(curve.Model)}",
                            Points(curve, line => line.Loss),
                            Markers: false
                        ),
                        new PlotSeries(
                            $"{curve.Model}, validation",
                            Style(curve.Model),
                            Points(curve, line => line.ValidationLoss),
                            Markers: true
                        ),
                    }
                )
                .Where(series => series.Points.Count > 0),
        ];
        if (losses.Length == 0)
        {
            return null;
        }

        PlotSeries[] rates =
        [
            .. curves.Select(curve => new PlotSeries(
                curve.Model,
                Style(curve.Model),
                Points(curve, line => line.LearningRate),
                Markers: false
            )),
        ];
        PlotSeries[] shares =
        [
            .. curves
                .SelectMany(curve =>
                    new[]
                    {
                        new PlotSeries(
                            $"{curve.Model}, budget (pfrac)",
                            Style(curve.Model),
                            Points(curve, line => line.Pfrac),
                            Markers: false
                        ),
                        new PlotSeries(
                            $"{curve.Model}, nonzero share",
                            curve.Model == DemoCircuit.Dense ? "dense" : "measured",
                            Points(curve, line => line.Statistics?.NonzeroFraction),
                            Markers: true
                        ),
                    }
                )
                .Where(series => series.Points.Count > 0),
        ];
        return E(
            "section",
            E("h2", "Training"),
            Scroll(
                new LineChart
                {
                    Title = "Training and validation loss over training steps",
                    YLabel = "loss in nats",
                    Series = losses,
                    Reference = ("bigram baseline", summary.BigramLoss),
                }.Draw()
            ),
            E(
                "div",
                A("class", "pair"),
                shares.Length == 0
                    ? null
                    : Scroll(
                        Small(
                            "Nonzero budget and share of nonzero matrix entries over training steps",
                            "fraction",
                            shares,
                            logarithmic: true
                        )
                    ),
                Scroll(Small("Learning rate over training steps", "learning rate", rates, logarithmic: false))
            )
        );
    }

    private static XElement Small(string title, string label, PlotSeries[] series, bool logarithmic) =>
        new LineChart
        {
            Title = title,
            YLabel = label,
            Series = series,
            Width = 540,
            Height = 190,
            Logarithmic = logarithmic,
            WithZero = true,
        }.Draw();

    private static XElement? Table(IReadOnlyList<ReportCircuit> circuits) =>
        circuits.Count == 0
            ? null
            : E(
                "section",
                E("h2", "Circuits"),
                Markup.Table(
                    "Losses in nats on test prompts. Accuracy: share of prompts at which the circuit prefers the right answer.",
                    [
                        "task",
                        "model",
                        "nodes",
                        "edges",
                        "loss, full model",
                        "loss, circuit",
                        "loss without circuit",
                        "loss, empty",
                        "target loss",
                        "target",
                        "accuracy",
                    ],
                    circuits.Select(entry => Row(entry.Model, entry.Circuit))
                )
            );

    private static object[] Row(string model, Circuit circuit) =>
        [
            circuit.Task,
            model,
            $"{Number(circuit.Nodes.Count)} of {Number(circuit.TotalNodes)}",
            $"{Number(circuit.Edges.Count)} of {Number(circuit.TotalEdges)}",
            Loss(circuit.Measurements.LossFullModel),
            Loss(circuit.Measurements.Loss),
            Loss(circuit.Measurements.LossWithoutCircuit),
            Loss(circuit.Measurements.LossEmpty),
            Loss(circuit.SearchSettings.TargetLoss),
            E("span", A("class", circuit.Solved == true ? "ok" : "bad"), Headline.Verdict(circuit)),
            Percent(circuit.Measurements.Accuracy),
        ];

    private static XElement? Losses(IReadOnlyList<ReportCircuit> circuits) =>
        circuits.Count == 0
            ? null
            : E(
                "section",
                E("h2", "Task losses"),
                E(
                    "p",
                    "A circuit is enough if its loss stays left of the dashed target while everything else is frozen; it is needed if "
                        + "the loss without it is high. "
                        + "Empty is the loss with every node frozen; guessing between two answers costs 0.693."
                ),
                Scroll(LossBars.Draw(circuits))
            );

    private static XElement? Drawings(IReadOnlyList<ReportCircuit> circuits) =>
        circuits.Count == 0
            ? null
            : E(
                "section",
                E("h2", "Drawings"),
                E(
                    "p",
                    "Computation runs upwards. Circles are nodes with their channel; squares are the embedding of a residual channel. "
                        + "Lines are nonzero weights: "
                        + "blue positive, red negative, wider the larger. Grey dashed arcs join what writes a residual channel with "
                        + "what reads it later; they are no edges. "
                        + "Queries (q) and keys (k) steer where values (v) are taken from. Point at a node or line for its name and "
                        + "numbers."
                ),
                circuits.Select(entry => Drawing(entry.Model, entry.Circuit))
            );

    private static IEnumerable<XElement> Drawing(string model, Circuit circuit)
    {
        string counts =
            $"{Number(circuit.Nodes.Count)} of {Number(circuit.TotalNodes)} nodes and {Number(circuit.Edges.Count)} of "
            + $"{Number(circuit.TotalEdges)} edges";
        string name = $"{circuit.Task}, {model} model";
        yield return E("h3", name);
        if (model == DemoCircuit.Dense && circuit.Edges.Count > MostEdgesOfDenseDrawing)
        {
            yield return E("p", $"{counts}: too many to draw.");
            yield break;
        }

        yield return E("p", A("class", "soft"), counts + ".");
        if (circuit.Nodes.Count > 0)
        {
            yield return Scroll(CircuitDrawing.Draw(circuit, $"Circuit of {name}: {counts}"));
        }
    }

    private static XElement Scroll(XElement drawing) => E("div", A("class", "scroll"), drawing);

    private static string Style(string model) => model == DemoCircuit.Dense ? "dense" : "sparse";

    private static List<(double X, double Y)> Points(TrainingCurve curve, Func<TrainingMetrics, double?> value) =>
        [.. curve.Metrics.Where(line => value(line) is not null).Select(line => ((double)line.Step, value(line)!.Value))];
}
