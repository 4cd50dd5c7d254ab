using System.Xml.Linq;
using Sparsity.Core;
using Sparsity.Core.Reproduction;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>result.html of a sweep: losses, and sizes of circuits, against the first flag whose values are numbers.</summary>
internal static class SweepPage
{
    public static string Render(SweepResult result) =>
        Page(
            "sweep",
            E(
                "p",
                A("class", "soft"),
                Format($"{result.Plan.Models.Count} models: sparsity sweep {result.Plan.Options}. All numbers: result.json.")
            ),
            E("div", A("class", "charts"), Losses(result), Edges(result)),
            Markup.Table(
                "Means over seeds. Circuits: tasks done with a circuit at the target, mean over models; their edges are the geometric mean "
                    + $"over the {result.CommonTasks.Count} tasks that every model does.",
                SweepTable.Headings(result),
                SweepTable.Rows(result)
            ),
            Diverged(result.Diverged),
            FigurePage.Models(result.Models)
        );

    private static XElement? Losses(SweepResult result) =>
        result.Models.Count == 0 ? null
        : Axis(result) is not { } axis
            ? Charts.Bars(
                "Validation loss, mean over seeds",
                "nats",
                result
                    .Points.Where(point => point.ValidationLoss is not null)
                    .Select(point => (SweepTable.NameOf(point.Values), new[] { ("loss", point.ValidationLoss!.Value) }))
            )
        : Charts.Lines(
            new ChartOptions("Validation loss, mean over seeds, smallest to largest", axis, "validation loss in nats")
            {
                LogX = IsLogarithmic(result, axis),
            },
            [
                .. Lines(result, axis, point => point.ValidationLoss)
                    .Select(line =>
                        line.Curve with
                        {
                            Band = line.Points.Any(point => point.Trained > 1)
                                ? [.. line.Points.Select(point => new[] { X(point, axis), point.Smallest!.Value, point.Largest!.Value })]
                                : null,
                        }
                    ),
            ]
        );

    private static XElement? Edges(SweepResult result) =>
        result.CommonTasks.Count == 0 || Axis(result) is not { } axis
            ? null
            : Charts.Lines(
                new ChartOptions(
                    Format($"Edges of circuits at target loss {result.Plan.TargetLosses[0]}"),
                    axis,
                    Format($"edges, geometric mean over {result.CommonTasks.Count} tasks that every model does")
                )
                {
                    LogX = IsLogarithmic(result, axis),
                    LogY = true,
                },
                [.. Lines(result, axis, point => point.Edges).Select(line => line.Curve)]
            );

    /// <summary>A curve for each combination of the other flags.</summary>
    private static IEnumerable<(Curve Curve, SweepPoint[] Points)> Lines(
        SweepResult result,
        string axis,
        Func<SweepPoint, double?> value
    ) =>
        result
            .Points.Where(point => value(point) is not null)
            .GroupBy(point => SweepTable.NameOf(point.Values.Where(entry => entry.Key != axis)))
            .Select(group => (Name: group.Key, Points: group.OrderBy(point => X(point, axis)).ToArray()))
            .Select(line =>
                (
                    Curve.Through(
                        line.Name.Length == 0 ? "models" : line.Name,
                        line.Points.Select(point => (X(point, axis), value(point)!.Value))
                    ),
                    line.Points
                )
            );

    /// <summary>The flag that the horizontal axis shows; null where none has numbers.</summary>
    private static string? Axis(SweepResult result) =>
        result
            .Points[0]
            .Values.Keys.FirstOrDefault(flag => result.Points.All(point => NumberText.TryParse(point.Values[flag], out double _)));

    /// <summary>Values above 0 that lie a factor of 8 or more apart.</summary>
    private static bool IsLogarithmic(SweepResult result, string axis)
    {
        double[] values = [.. result.Points.Select(point => X(point, axis))];
        return values.Min() > 0 && values.Max() >= 8 * values.Min();
    }

    private static double X(SweepPoint point, string axis) => NumberText.Parse<double>(point.Values[axis], axis);

    private static XElement? Diverged(IReadOnlyList<DivergedModel> diverged) =>
        diverged.Count == 0
            ? null
            : E(
                "section",
                E("h2", "Diverged"),
                Markup.Table(
                    "Models whose loss or weights stopped being finite: no number of theirs is in the means.",
                    ["model", "what happened"],
                    diverged.Select(model => new object[] { model.Name, model.Reason })
                )
            );
}
