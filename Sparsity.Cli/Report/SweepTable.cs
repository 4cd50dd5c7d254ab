using Sparsity.Core.Reproduction;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>The table of a sweep, on the console and on its page.</summary>
internal static class SweepTable
{
    /// <summary>Such as "lr 0.01, sink true".</summary>
    public static string NameOf(IEnumerable<KeyValuePair<string, string>> values) =>
        string.Join(", ", values.Select(value => $"{value.Key} {value.Value}"));

    public static string[] Headings(SweepResult result) =>
        [
            .. result.Points[0].Values.Keys,
            "models",
            "diverged",
            "validation loss",
            "smallest",
            "largest",
            "nonzero weights",
            "density",
            "kurtosis",
            .. result.Plan.Tasks.Count == 0 ? [] : (string[])[$"circuits, of {result.Plan.Tasks.Count}", "edges"],
        ];

    public static IEnumerable<string[]> Rows(SweepResult result) =>
        result.Points.Select(point =>
            (string[])
                [
                    .. point.Values.Values,
                    Format($"{point.Trained}"),
                    Format($"{point.Diverged}"),
                    Shown(point.ValidationLoss, Loss),
                    Shown(point.Smallest, Loss),
                    Shown(point.Largest, Loss),
                    Shown(point.Nonzero, Number),
                    Shown(point.NonzeroFraction, Number),
                    Shown(point.FinalResidualKurtosis, Number),
                    .. result.Plan.Tasks.Count == 0 ? [] : (string[])[Shown(point.Solved, Number), Shown(point.Edges, Number)],
                ]
        );

    private static string Shown(double? value, Func<double, string> text) => value is { } number ? text(number) : "-";
}
