using System.Xml.Linq;
using Sparsity.Core.Circuits;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>
/// Four bars per circuit on one linear axis from 0, and its target. They lie, so that any number of circuits and any name has room.
/// </summary>
internal static class LossBars
{
    private const double Width = 980;
    private const double Left = 130;
    private const double Right = 70;
    private const double Bar = 15;
    private const double Group = 30 + (4 * Bar) + 14;
    private const double Top = 10;
    private const double ValueWidth = 38;

    public static XElement Draw(IReadOnlyList<ReportCircuit> circuits)
    {
        double floor = Top + (Group * circuits.Count);
        var axis = new PlotAxis(
            circuits.SelectMany(entry => Bars(entry.Circuit).Select(bar => bar.Loss).Append(entry.Circuit.SearchSettings.TargetLoss)),
            Left,
            Width - Right,
            withZero: true
        );
        return Svg(
            Width,
            floor + 40,
            "Task losses of each circuit: full model, circuit, without circuit, empty",
            axis.Ticks.Select(tick =>
                new[]
                {
                    Line("grid", axis.At(tick), Top, axis.At(tick), floor),
                    Label("tick middle", axis.At(tick), floor + 16, Number(tick)),
                }
            ),
            Label("note middle", (Left + Width - Right) / 2, floor + 34, "task loss in nats"),
            circuits.Select((entry, i) => DrawGroup(entry, axis, Top + (i * Group)))
        );
    }

    private static XElement DrawGroup(ReportCircuit entry, PlotAxis axis, double top)
    {
        double target = entry.Circuit.SearchSettings.TargetLoss;
        double first = top + 30;
        return E(
            "g",
            Label("group", 4, top + 20, $"{entry.Circuit.Task}, {entry.Model}"),
            Bars(entry.Circuit).Select((bar, i) => DrawBar(bar.Name, bar.Style, bar.Loss, axis, axis.At(target), first + (i * Bar))),
            Line("target", axis.At(target), first - 6, axis.At(target), first + (4 * Bar) + 4, E("title", $"target {Loss(target)}"))
        );
    }

    private static IEnumerable<XElement> DrawBar(string name, string style, double loss, PlotAxis axis, double target, double y)
    {
        double end = double.IsFinite(loss) ? axis.At(Math.Max(0, loss)) : axis.At(0);
        yield return Label("tick end", Left - 6, y + 10, name);
        yield return E(
            "rect",
            A("class", style),
            A("x", axis.At(0)),
            A("y", y),
            A("width", end - axis.At(0)),
            A("height", Bar - 3),
            E("title", $"{name}: {Loss(loss)}")
        );
        yield return Label("tick value", end < target && end + 5 + ValueWidth > target ? target + 5 : end + 5, y + 10, Loss(loss));
    }

    private static IEnumerable<(string Name, string Style, double Loss)> Bars(Circuit circuit) =>
        [
            ("full model", "bar-full", circuit.Measurements.LossFullModel),
            ("circuit", "bar-circuit", circuit.Measurements.Loss),
            ("without circuit", "bar-without", circuit.Measurements.LossWithoutCircuit),
            ("empty", "bar-empty", circuit.Measurements.LossEmpty),
        ];
}
