using System.Text;
using System.Xml.Linq;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>A line of a <see cref="LineChart"/>.</summary>
/// <param name="Name">Shown in the legend.</param>
/// <param name="Style">Class names of the style sheet.</param>
/// <param name="Markers">Whether each point is marked and carries its value.</param>
internal sealed record PlotSeries(string Name, string Style, IReadOnlyList<(double X, double Y)> Points, bool Markers);

/// <summary>Lines over training steps or something else, with a legend above the plot.</summary>
internal sealed class LineChart
{
    private const double Left = 62;
    private const double Right = 16;
    private const double LegendRow = 20;
    private const double Bottom = 42;
    private const int MostPoints = 400;

    public required string Title { get; init; }

    public required string YLabel { get; init; }

    /// <summary>Below the horizontal axis.</summary>
    public string XLabel { get; init; } = "training step";

    /// <summary>What a place on the horizontal axis is called beside its number.</summary>
    public string XName { get; init; } = "step";

    public required IReadOnlyList<PlotSeries> Series { get; init; }

    /// <summary>A horizontal dashed line; null for none.</summary>
    public (string Name, double Y)? Reference { get; init; }

    public double Width { get; init; } = 980;

    public double Height { get; init; } = 320;

    public bool Logarithmic { get; init; }

    /// <summary>Of the horizontal axis, which else begins at 0.</summary>
    public bool LogarithmicX { get; init; }

    public bool WithZero { get; init; }

    public XElement Draw()
    {
        List<(string Name, XElement Sample, double X, int Row)> legend = Legend();
        double top = 12 + (LegendRow * (legend.Count == 0 ? 1 : legend[^1].Row + 1)) + 18;
        double height = Height + top;
        double floor = height - Bottom;
        IEnumerable<(double X, double Y)> points = Series.SelectMany(series => series.Points);
        var x = new PlotAxis(points.Select(point => point.X), Left, Width - Right, withZero: true, LogarithmicX);
        IEnumerable<double> values = points.Select(point => point.Y);
        var y = new PlotAxis(Reference is { } line ? values.Append(line.Y) : values, floor, top, WithZero, Logarithmic);
        return Svg(
            Width,
            height,
            Title,
            Label("note", 4, top - 10, y.IsLogarithmic ? YLabel + ", log scale" : YLabel),
            y.Ticks.Select(tick =>
                new[]
                {
                    Line("grid", Left, y.At(tick), Width - Right, y.At(tick)),
                    Label("tick end", Left - 6, y.At(tick) + 4, Number(tick)),
                }
            ),
            x.Ticks.Select(tick =>
                new[] { Line("axis", x.At(tick), floor, x.At(tick), floor + 4), Label("tick middle", x.At(tick), floor + 17, Number(tick)) }
            ),
            Line("axis", Left, floor, Width - Right, floor),
            Label("note middle", (Left + Width - Right) / 2, height - 6, x.IsLogarithmic ? XLabel + ", log scale" : XLabel),
            Reference is { } mark && double.IsFinite(mark.Y)
                ? Line("reference", Left, y.At(mark.Y), Width - Right, y.At(mark.Y), E("title", $"{mark.Name} {Number(mark.Y)}"))
                : null,
            Series.Select(series => Draw(series, x, y)),
            legend.Select(entry => new[] { entry.Sample, Label("note", entry.X + 32, 12 + (entry.Row * LegendRow) + 4, entry.Name) })
        );
    }

    private IEnumerable<XElement> Draw(PlotSeries series, PlotAxis x, PlotAxis y)
    {
        (double X, double Y)[] points = [.. Thinned(series.Points).Where(point => double.IsFinite(point.Y))];
        if (points.Length > 1)
        {
            var path = new StringBuilder();
            foreach ((double px, double py) in points)
            {
                path.Append(Format($"{(path.Length == 0 ? 'M' : 'L')}{x.At(px):0.#} {y.At(py):0.#}"));
            }

            yield return E("path", A("class", "curve " + series.Style), A("d", path.ToString()));
        }

        if (series.Markers || points.Length == 1)
        {
            foreach ((double px, double py) in points)
            {
                yield return E(
                    "circle",
                    A("class", "marker " + series.Style),
                    A("cx", x.At(px)),
                    A("cy", y.At(py)),
                    A("r", 3),
                    E("title", Format($"{series.Name}: {Number(py)} at {XName} {px:0.####}"))
                );
            }
        }
    }

    /// <summary>At most <see cref="MostPoints"/> points, each the mean of a run of neighbours.</summary>
    private static IEnumerable<(double X, double Y)> Thinned(IReadOnlyList<(double X, double Y)> points) =>
        points.Count <= MostPoints
            ? points
            : points
                .Chunk((points.Count + MostPoints - 1) / MostPoints)
                .Select(run => (run.Average(point => point.X), run.Average(point => point.Y)));

    /// <summary>Samples and names from left to right, in as many rows as they need.</summary>
    private List<(string Name, XElement Sample, double X, int Row)> Legend()
    {
        var entries = new List<(string, XElement, double, int)>();
        double x = Left;
        int row = 0;
        IEnumerable<(string Name, string Style)> all = Series.Select(series => (series.Name, "curve " + series.Style));
        foreach ((string name, string style) in Reference is { } line ? all.Append((line.Name, "reference")) : all)
        {
            double width = 56 + (7.2 * name.Length);
            if (x > Left && x + width > Width)
            {
                (x, row) = (Left, row + 1);
            }

            double y = 12 + (row * LegendRow);
            entries.Add((name, Line(style, x, y, x + 26, y), x, row));
            x += width;
        }

        return entries;
    }
}
