using System.Globalization;
using System.Text.Json.Serialization;
using System.Xml.Linq;

namespace Sparsity.Cli.Report;

/// <summary>A curve of a chart. Fields are named as charts.js, which draws it, names them.</summary>
/// <param name="Name">Shown in the legend.</param>
/// <param name="Points">x and y; at most as many as a chart can show.</param>
/// <param name="Colour">Of <see cref="Curve"/>'s; null for the next one in the chart.</param>
/// <param name="Dots">Whether each point is marked.</param>
/// <param name="Thin">Whether it stands behind the others.</param>
internal sealed record Curve(string Name, IReadOnlyList<double[]> Points, int? Colour, bool Dots, bool Thin)
{
    public const int Blue = 0;
    public const int Orange = 1;
    public const int Green = 3;
    public const int Grey = 5;

    private const int MostPoints = 400;
    private const string SixDigits = "G6";

    /// <summary>x, low, high: a field around the curve; null for none.</summary>
    public IReadOnlyList<double[]>? Band { get; init; }

    /// <summary>A curve through points whose values are finite. Of very many, each run of neighbours becomes its mean.</summary>
    public static Curve Through(
        string name,
        IEnumerable<(double X, double Y)> points,
        int? colour = null,
        bool dots = true,
        bool thin = false
    )
    {
        (double X, double Y)[] finite = [.. points.Where(point => double.IsFinite(point.X) && double.IsFinite(point.Y))];
        int run = Math.Max(1, (finite.Length + MostPoints - 1) / MostPoints);
        return new Curve(
            name,
            [.. finite.Chunk(run).Select(part => new[] { Short(part.Average(point => point.X)), Short(part.Average(point => point.Y)) })],
            colour,
            dots,
            thin
        );
    }

    /// <summary>More digits than a chart shows would fill the page.</summary>
    private static double Short(double value) =>
        double.Parse(value.ToString(SixDigits, CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}

/// <summary>What a chart of curves says around them.</summary>
/// <param name="X">Name of the horizontal axis.</param>
/// <param name="Y">Name of the vertical axis.</param>
internal sealed record ChartOptions(string Title, string X, string Y)
{
    [JsonPropertyName("logX")]
    public bool LogX { get; init; }

    [JsonPropertyName("logY")]
    public bool LogY { get; init; }

    /// <summary>Whether a linear vertical axis has 0 on it.</summary>
    public bool Zero { get; init; }

    /// <summary>Horizontal dashed lines: pairs of a name and a value.</summary>
    public IReadOnlyList<object[]> Marks { get; init; } = [];
}

/// <summary>Charts of a report: their data, which charts.js of the viewer's page draws.</summary>
internal static class Charts
{
    public static XElement Lines(ChartOptions options, params IReadOnlyList<Curve> series) =>
        Markup.Drawing("lines", new { series, options });

    /// <summary>Four losses of each circuit, and its target.</summary>
    public static XElement Losses(IReadOnlyList<ReportCircuit> circuits) =>
        Markup.Drawing(
            "bars",
            new
            {
                groups = circuits.Select(entry => new
                {
                    name = $"{entry.Circuit.Task}, {entry.Model}",
                    mark = entry.Circuit.SearchSettings.TargetLoss,
                    bars = new[]
                    {
                        Bar("full model", entry.Circuit.Measurements.LossFullModel),
                        Bar("circuit", entry.Circuit.Measurements.Loss, strong: true),
                        Bar("without circuit", entry.Circuit.Measurements.LossWithoutCircuit),
                        Bar("empty", entry.Circuit.Measurements.LossEmpty),
                    },
                }),
                options = new
                {
                    title = "Task losses of each circuit",
                    x = "task loss in nats",
                    mark = "target",
                },
            }
        );

    /// <summary>Some bars for each of several things.</summary>
    /// <param name="title">Of the chart.</param>
    /// <param name="x">What the bars measure.</param>
    /// <param name="groups">The things, with the names and lengths of their bars; the first is drawn strong.</param>
    public static XElement Bars(string title, string x, IEnumerable<(string Name, (string Name, double Value)[] Bars)> groups) =>
        Markup.Drawing(
            "bars",
            new
            {
                groups = groups.Select(group => new
                {
                    name = group.Name,
                    bars = group.Bars.Select((bar, i) => Bar(bar.Name, bar.Value, strong: i == 0)),
                }),
                options = new { title, x },
            }
        );

    private static object Bar(string name, double value, bool strong = false) =>
        new
        {
            name,
            value,
            strong,
        };
}
