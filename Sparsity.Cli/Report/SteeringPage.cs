using System.Globalization;
using System.Xml.Linq;
using Sparsity.Core.Bridges;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>The curves of one steering: one file without scripts that asks the network for nothing.</summary>
internal static class SteeringPage
{
    public static string Render(SteeringResult result, string what)
    {
        string title = $"Steering {what}";
        string nodes = string.Join(", ", result.Nodes.Select(node => node.Node));
        return Page(
            title,
            E(
                "p",
                A("class", "headline"),
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Moving {nodes} makes the counterfactual answer {Number(result.DenseFactor)} times as probable in the dense "
                        + $"model at strength {Number(result.Points[^1].Strength)}; random directions of equal norm make it "
                        + $"{Number(result.RandomFactor)} times as probable."
                )
            ),
            E(
                "p",
                A("class", "soft"),
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Mean over {result.Prompts} presented prompts; {result.RandomDirections} random directions. Strength 1 moves a "
                        + $"node by its whole difference between the counterfactual and the presented prompt, token by token."
                )
            ),
            E("h2", "Counterfactual answer"),
            Chart(
                "Probability of the counterfactual answer over strength",
                Series(result, "dense, steered over the bridge", "dense", point => point.Dense.Counterfactual, markers: true),
                Series(result, "sparse, node moved", "sparse", point => point.Sparse.Counterfactual, markers: true),
                Series(result, "random directions, mean", "measured", point => point.Random.Counterfactual, markers: true),
                Series(result, "random directions, lowest", "thin measured", point => point.RandomLow, markers: false),
                Series(result, "random directions, highest", "thin measured", point => point.RandomHigh, markers: false)
            ),
            E("h2", "Presented answer"),
            Chart(
                "Probability of the presented answer over strength",
                Series(result, "dense, steered over the bridge", "dense", point => point.Dense.Presented, markers: true),
                Series(result, "sparse, node moved", "sparse", point => point.Sparse.Presented, markers: true),
                Series(result, "random directions, mean", "measured", point => point.Random.Presented, markers: true)
            ),
            E("h2", "Numbers"),
            Table(
                "Probabilities of the counterfactual answer, and of the presented one in the dense model.",
                [
                    "strength",
                    "dense, steered",
                    "sparse, node moved",
                    "random, mean",
                    "random, lowest",
                    "random, highest",
                    "dense, presented answer",
                ],
                result.Points.Select(point =>
                    (object[])
                        [
                            Number(point.Strength),
                            Number(point.Dense.Counterfactual),
                            Number(point.Sparse.Counterfactual),
                            Number(point.Random.Counterfactual),
                            Number(point.RandomLow),
                            Number(point.RandomHigh),
                            Number(point.Dense.Presented),
                        ]
                )
            ),
            Table(
                "Steered nodes.",
                ["node", "mean difference, last token", "RMS sparse / dense", "norm of direction"],
                result.Nodes.Select(node =>
                    (object[])[node.Node.Name, Number(node.MeanDifference), Number(node.RmsRatio), Number(node.DirectionNorm)]
                )
            )
        );
    }

    private static XElement Chart(string title, params PlotSeries[] series) =>
        E(
            "div",
            A("class", "scroll"),
            new LineChart
            {
                Title = title,
                YLabel = "probability",
                XLabel = "strength",
                XName = "strength",
                Series = series,
                WithZero = true,
            }.Draw()
        );

    private static PlotSeries Series(SteeringResult result, string name, string style, Func<SteeringPoint, double> value, bool markers) =>
        new(name, style, [.. result.Points.Select(point => (point.Strength, value(point)))], markers);
}
