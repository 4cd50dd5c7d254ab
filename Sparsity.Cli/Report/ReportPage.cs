using System.Xml.Linq;
using Sparsity.Cli.Viewer;
using Sparsity.Core.Circuits;
using Sparsity.Core.Training;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>The metrics of one training run.</summary>
/// <param name="Model"><see cref="DemoCircuit.Sparse"/> or <see cref="DemoCircuit.Dense"/>.</param>
internal sealed record TrainingCurve(string Model, IReadOnlyList<TrainingMetrics> Metrics);

/// <summary>A circuit to show.</summary>
/// <param name="Model"><see cref="DemoCircuit.Sparse"/> or <see cref="DemoCircuit.Dense"/>.</param>
/// <param name="Document">The circuit with what its model adds to the drawing.</param>
internal sealed record ReportCircuit(string Model, CircuitDocument Document)
{
    public Circuit Circuit => Document.Circuit;
}

/// <summary>
/// The page that <c>sparsity demo</c> leaves behind: one file that asks the network for nothing, light or dark as the reader's system.
/// Text and tables are written here; curves and circuits are drawn by the modules of the viewer's page.
/// </summary>
internal static class ReportPage
{
    /// <summary>A dense circuit with more edges is told in a sentence: a drawing of it would be a black square.</summary>
    public const int MostEdgesOfDenseDrawing = 400;

    private const string Step = "training step";

    public static string Render(
        DemoSummary summary,
        IReadOnlyList<TrainingCurve> curves,
        IReadOnlyList<ReportCircuit> circuits,
        string title = "Circuit Sparsity demo"
    ) => Page(title, Headline.Write(summary, circuits), Training(summary, curves), Table(circuits), Losses(circuits), Drawings(circuits));

    private static XElement? Training(DemoSummary summary, IReadOnlyList<TrainingCurve> curves) =>
        curves.All(curve => curve.Metrics.Count == 0)
            ? null
            : E(
                "section",
                E("h2", "Training"),
                E(
                    "div",
                    A("class", "charts"),
                    Charts.Lines(
                        new ChartOptions("Training and validation loss", Step, "loss in nats")
                        {
                            Marks =
                            [
                                ["bigram baseline", summary.BigramLoss],
                            ],
                        },
                        [
                            .. curves.SelectMany(curve =>
                                new[]
                                {
                                    Over(curve, "training", line => line.Loss) with
                                    {
                                        Thin = true,
                                    },
                                    Over(curve, "validation", line => line.ValidationLoss) with
                                    {
                                        Dots = true,
                                    },
                                }
                            ),
                        ]
                    ),
                    Charts.Lines(
                        new ChartOptions("Nonzero budget and share of nonzero matrix entries", Step, "fraction") { LogY = true },
                        [
                            .. curves.SelectMany(curve =>
                                new[]
                                {
                                    Over(curve, "budget relative to 256 channels (pfrac)", line => line.Pfrac),
                                    Over(curve, "nonzero share", line => line.Statistics?.NonzeroFraction) with
                                    {
                                        Colour = curve.Model == DemoCircuit.Dense ? Curve.Orange : Curve.Green,
                                        Dots = true,
                                    },
                                }
                            ),
                        ]
                    ),
                    Charts.Lines(
                        new ChartOptions("Learning rate", Step, "learning rate") { Zero = true },
                        [.. curves.Select(curve => Over(curve, "learning rate", line => line.LearningRate))]
                    )
                )
            );

    private static Curve Over(TrainingCurve curve, string what, Func<TrainingMetrics, double?> value) =>
        Curve.Through(
            $"{curve.Model}, {what}",
            curve.Metrics.Select(line => ((double)line.Step, value(line) ?? double.NaN)),
            curve.Model == DemoCircuit.Dense ? Curve.Orange : Curve.Blue,
            dots: false
        );

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
                        "result",
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
            E("span", A("class", circuit.Solved == true ? "good" : "bad wraps"), Headline.Verdict(circuit)),
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
                Charts.Losses(circuits)
            );

    private static XElement? Drawings(IReadOnlyList<ReportCircuit> circuits) =>
        circuits.Count == 0
            ? null
            : E(
                "section",
                E("h2", "Drawings"),
                E(
                    "p",
                    "Computation runs upwards: embeddings at the bottom, logits on top. A column is a residual channel. Point at a node or "
                        + "a line for its name and numbers; click a node, or move with the arrow keys, to see what it is connected to. "
                        + "'view --run' shows the same circuits with all that is known of their nodes."
                ),
                Drawing("legend", new { }),
                circuits.Select(entry => Drawn(entry))
            );

    private static IEnumerable<XElement> Drawn(ReportCircuit entry)
    {
        Circuit circuit = entry.Circuit;
        string counts =
            $"{Number(circuit.Nodes.Count)} of {Number(circuit.TotalNodes)} nodes and {Number(circuit.Edges.Count)} of "
            + $"{Number(circuit.TotalEdges)} edges";
        string name = $"{circuit.Task}, {entry.Model} model";
        yield return E("h3", name);
        if (entry.Model == DemoCircuit.Dense && circuit.Edges.Count > MostEdgesOfDenseDrawing)
        {
            yield return E("p", $"{counts}: too many to draw.");
            yield break;
        }

        yield return E("p", A("class", "soft"), counts + ".");
        if (circuit.Nodes.Count > 0)
        {
            yield return Drawing("circuit", new { title = $"Circuit of {name}: {counts}", document = entry.Document });
        }
    }
}
