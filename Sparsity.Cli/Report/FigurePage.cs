using System.Globalization;
using System.Xml.Linq;
using Sparsity.Core.Pruning;
using Sparsity.Core.Reproduction;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>result.html: a figure as one page, light or dark as the reader's system.</summary>
internal static class FigurePage
{
    public static string Render(FigureResult result)
    {
        string title = $"{result.Plan.Figure.Name()}: {result.Plan.Figure.Description()}";
        return Page(title, E("p", A("class", "headline"), result.Headline), Settings(result.Plan), Body(result), Models(result.Models));
    }

    private static XElement Settings(ReproductionPlan plan) =>
        E(
            "p",
            A("class", "soft"),
            Format($"Scale {plan.Scale}, seed {plan.Seed}, {plan.Models.Max(model => model.Tokens):#,0} tokens for each model")
                + (
                    plan.Tasks.Count == 0
                        ? "."
                        : string.Create(
                            CultureInfo.InvariantCulture,
                            $"; {plan.Tasks.Count} tasks, {plan.Pruning.Steps} steps of mask training for each of "
                                + $"{plan.Pruning.KCoef.Count} penalties."
                        )
                )
                + " All settings and numbers: result.json."
        );

    private static IEnumerable<XElement?> Body(FigureResult result) =>
        result.Plan.Figure switch
        {
            Figure.SizeVsLoss => [.. Comparison(result.Comparison!, "sparse", "dense"), Matches(result)],
            Figure.PruningBaseline => Comparison(result.Comparison!, "trained masks", "attribution"),
            Figure.Kurtosis => Kurtosis(result.Kurtosis!),
            Figure.Frontier => Frontier(result),
            Figure.Necessity => Necessity(result.Necessity!),
            _ => [.. TokenLossFigure.Body(result.TokenLosses!), Matches(result)],
        };

    private static IEnumerable<XElement?> Comparison(EdgeComparison comparison, string subject, string baseline)
    {
        IReadOnlyList<EdgeRatio> targets = comparison.Targets;
        if (targets.Count > 0)
        {
            yield return Charts.Lines(
                new ChartOptions(
                    $"Edges of circuits against target loss, {subject} and {baseline}",
                    "target loss in nats",
                    "edges, geometric mean over the tasks that both meet"
                )
                {
                    LogX = true,
                    LogY = true,
                },
                Curve.Through(subject, targets.Select(target => (target.TargetLoss!.Value, target.SubjectEdges))),
                Curve.Through(baseline, targets.Select(target => (target.TargetLoss!.Value, target.BaselineEdges)))
            );
        }

        yield return Markup.Table(
            "Edges of the second over edges of the first, geometric means; a circuit without edges counts as one edge. Over pairs: each "
                + "pair of task and seed counts once, and the interval is the middle 95 % of a bootstrap over tasks and seeds. Over tasks: "
                + "each task counts once, and the interval is Student's t over the tasks' means. With few tasks that differ more than "
                + "seeds go by the latter: the bootstrap's is too narrow.",
            [
                "target loss",
                "tasks",
                "pairs of task and seed",
                $"edges, {subject}",
                $"edges, {baseline}",
                "ratio over pairs",
                "bootstrap interval",
                "ratio over tasks",
                "t-interval",
            ],
            [
                .. targets.Select(target => Row(Number(target.TargetLoss!.Value), target)),
                .. comparison.Overall is { } overall ? [Row("all", overall)] : (object[][])[],
                .. comparison.WithoutLastTokenTasks is { } rest && rest.Tasks < comparison.Overall!.Tasks
                    ? [Row("all, without tasks of the last token", rest)]
                    : (object[][])[],
            ]
        );
        yield return E(
            "p",
            comparison.LastTokenTasks.Count == 0
                ? "The last token of the prompt decides none of the tasks."
                : $"The last token of the prompt decides {string.Join(", ", comparison.LastTokenTasks)}: reading it alone is enough."
        );
        yield return E("h2", "Task by task");
        yield return Markup.Table(
            $"Edges, {subject} / {baseline}, seed by seed. In words where they are not compared: no circuit of one or both meets the "
                + $"target (a missing one is a dash), or nothing to find, as the target is met with every node frozen.",
            ["task", .. comparison.Pairs.Select(pair => pair.TargetLoss).Distinct().Select(target => "target " + Number(target))],
            comparison
                .Pairs.GroupBy(pair => pair.Task)
                .Select(task =>
                    (object[])[task.Key, .. task.GroupBy(pair => pair.TargetLoss).Select(target => string.Join("; ", target.Select(Cell)))]
                )
        );
    }

    private static object[] Row(string name, EdgeRatio ratio) =>
        [
            name,
            Format($"{ratio.Tasks}"),
            Format($"{ratio.Ratio.Cells}"),
            Number(ratio.SubjectEdges),
            Number(ratio.BaselineEdges),
            Number(ratio.Ratio.Ratio),
            $"{Number(ratio.Ratio.Low)} to {Number(ratio.Ratio.High)}",
            Number(ratio.OverTasks.Ratio),
            ratio.OverTasks is { Low: { } low, High: { } high } ? $"{Number(low)} to {Number(high)}" : "-",
        ];

    private static string Cell(EdgePair pair)
    {
        return pair.Status switch
        {
            ComparisonStatus.NothingToFind => "nothing to find",
            ComparisonStatus.Neither => pair.Subject.Status == PruningStatus.Skipped ? "skipped" : "-",
            _ => $"{Edges(pair.Subject)} / {Edges(pair.Baseline)}",
        };

        static string Edges(CircuitSize size) => size.Status == PruningStatus.Solved ? Number(Math.Round(size.Edges!.Value)) : "-";
    }

    private static XElement Matches(FigureResult result) =>
        Markup.Table(
            "Dense models that stand for the sparse ones.",
            ["sparse model", "validation loss", "dense", "dense loss over sparse loss", "dense models tried (validation loss)"],
            result.Matches!.Select(match =>
                new object[]
                {
                    match.Sparse,
                    Loss(LossOf(result, match.Sparse)),
                    $"{match.Kind.ToString().ToLowerInvariant()}: {string.Join(" and ", match.Dense)}",
                    Number(match.RelativeLoss),
                    string.Join(
                        ", ",
                        match.Tried.Select(name =>
                            Format($"width {result.Models.First(model => model.Name == name).Model.Width} ({Loss(LossOf(result, name))})")
                        )
                    ),
                }
            )
        );

    private static double LossOf(FigureResult result, string name) => result.Models.First(model => model.Name == name).ValidationLoss;

    private static IEnumerable<XElement> Kurtosis(IReadOnlyList<KurtosisPoint> points)
    {
        KurtosisPoint[] sparse = [.. points.Where(point => point.Density is not null)];
        KurtosisPoint? ordinary = points.FirstOrDefault(point => point.Density is null);
        yield return Charts.Lines(
            new ChartOptions("Kurtosis of the final residual against density", "share of nonzero weights", "kurtosis")
            {
                LogX = true,
                Zero = true,
                Marks = ordinary is null
                    ? []
                    :
                    [
                        ["ordinary model without AbsTopK", ordinary.Mean],
                    ],
            },
            Curve.Through("mean over seeds, smallest to largest", sparse.Select(point => (point.Density!.Value, point.Mean))) with
            {
                Band = [.. sparse.Select(point => new[] { point.Density!.Value, point.Smallest, point.Largest })],
            }
        );
        yield return Markup.Table(
            "Mean over channels of E[(x - mu)^4] / sigma^4 of the residual after the last layer; 3 for a normal distribution.",
            ["density", "kurtosis, mean", "smallest", "largest", "validation loss", "seeds"],
            points.Select(point =>
                new object[]
                {
                    point.Density is { } density ? Number(density) : "ordinary",
                    Number(point.Mean),
                    Number(point.Smallest),
                    Number(point.Largest),
                    Loss(point.ValidationLoss),
                    Format($"{point.Seeds}"),
                }
            )
        );
    }

    private static IEnumerable<XElement> Frontier(FigureResult result)
    {
        yield return E(
            "div",
            A("class", "charts"),
            result
                .Frontier!.GroupBy(point => point.TargetLoss)
                .Where(target => target.First().Tasks > 0)
                .Select(target =>
                    Charts.Lines(
                        new ChartOptions(
                            Format($"Validation loss against circuit size at target {target.Key}"),
                            Format(
                                $"edges, geometric mean over the {target.First().Tasks} tasks that every model does at target {target.Key}"
                            ),
                            "validation loss in nats"
                        )
                        {
                            LogX = true,
                        },
                        [
                            .. target.GroupBy(point => point.Width).Select(group => Line(Format($"width {group.Key}"), group)),
                            .. target
                                .GroupBy(point => point.Nonzero)
                                .Where(group => group.Count() > 1)
                                .Select(group =>
                                    Line(Format($"{group.Key:#,0} nonzero weights"), group) with
                                    {
                                        Colour = Curve.Grey,
                                        Dots = false,
                                        Thin = true,
                                    }
                                ),
                        ]
                    )
                )
        );
        yield return Markup.Table(
            "Widths and nonzero budgets.",
            ["width", "nonzero weights", "density", "validation loss", "target loss", "tasks that every model does", "edges"],
            result.Frontier!.Select(point =>
                new object[]
                {
                    Format($"{point.Width}"),
                    Format($"{point.Nonzero:#,0}"),
                    Number(point.Density),
                    Loss(point.ValidationLoss),
                    Number(point.TargetLoss),
                    Format($"{point.Tasks}"),
                    point.Edges is { } edges ? Number(edges) : "-",
                }
            )
        );

        static Curve Line(string name, IEnumerable<FrontierPoint> points) =>
            Curve.Through(
                name,
                points
                    .OrderBy(point => point.Width)
                    .ThenBy(point => point.Nonzero)
                    .Select(point => (point.Edges!.Value, point.ValidationLoss))
            );
    }

    private static IEnumerable<XElement> Necessity(IReadOnlyList<NecessityPoint> points)
    {
        if (points.Count > 0)
        {
            yield return Charts.Lines(
                new ChartOptions(
                    "Task loss of the model without its circuit against target loss",
                    "target loss in nats",
                    "task loss in nats, mean over circuits"
                )
                {
                    LogX = true,
                    Zero = true,
                    Marks =
                    [
                        ["guessing", Math.Log(2)],
                    ],
                },
                Curve.Through("model without the circuit", points.Select(point => (point.TargetLoss, point.MeanLossWithout))),
                Curve.Through("circuit alone", points.Select(point => (point.TargetLoss, point.MeanLoss)))
            );
        }

        yield return Markup.Table(
            "The model with only the circuit's nodes frozen, over the circuits that meet their target.",
            [
                "target loss",
                "circuits",
                "mean loss of the circuits",
                "mean loss without them",
                "lowest loss without one",
                "no better than guessing without it",
            ],
            points.Select(point =>
                new object[]
                {
                    Number(point.TargetLoss),
                    Format($"{point.Circuits}"),
                    Loss(point.MeanLoss),
                    Loss(point.MeanLossWithout),
                    Loss(point.LowestLossWithout),
                    Percent(point.Necessary),
                }
            )
        );
    }

    /// <summary>The models of a figure or a sweep.</summary>
    public static XElement Models(IReadOnlyList<MeasuredModel> models) =>
        E(
            "section",
            E("h2", "Models"),
            Markup.Table(
                "All models that were trained to their last step.",
                ["model", "validation loss", "bigram loss", "nonzero weights", "density", "kurtosis", "SHA-256"],
                models.Select(model =>
                    new object[]
                    {
                        model.Name,
                        Loss(model.ValidationLoss),
                        Loss(model.BigramLoss),
                        Format($"{model.Nonzero:#,0}"),
                        Number(model.NonzeroFraction),
                        Number(model.FinalResidualKurtosis),
                        model.Fingerprint[..12],
                    }
                )
            )
        );
}
