using System.Globalization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Pruning;

namespace Sparsity.Core.Reproduction;

/// <summary>Turns trained models and their circuits into the numbers of a figure.</summary>
internal static class FigureSummary
{
    /// <summary>Loss of guessing between two answers.</summary>
    private const double GuessingLoss = 0.6931471805599453;

    /// <summary>Places of a token behind a mean loss that is worth counting.</summary>
    private const int CommonToken = 20;

    /// <param name="plan">Of <see cref="Figure.SizeVsLoss"/>.</param>
    /// <param name="models">All that were trained.</param>
    /// <param name="circuits">Of the sparse models and of those dense ones that are in <paramref name="matches"/>.</param>
    /// <param name="matches">One for each sparse model.</param>
    /// <param name="lastTokenTasks">Tasks that the last token decides.</param>
    public static FigureResult SizeVsLoss(
        ReproductionPlan plan,
        IReadOnlyList<MeasuredModel> models,
        IReadOnlyList<ModelCircuits> circuits,
        IReadOnlyList<DenseMatch> matches,
        IReadOnlyList<string> lastTokenTasks
    )
    {
        var comparison = EdgeComparison.Of(
            matches.Select(match =>
                (
                    match.Seed,
                    Of(match.Sparse),
                    match.Dense.Count == 1 ? Of(match.Dense[0]) : CircuitSize.Between(Of(match.Dense[0]), Of(match.Dense[1]), match.Share)
                )
            ),
            lastTokenTasks,
            plan.Resamples,
            plan.Seed
        );
        return new FigureResult
        {
            Headline =
                RatioSentence(comparison, "Circuits of dense models have", "those of sparse models of equal validation loss")
                + " "
                + MatchSentence(matches),
            Plan = plan,
            Models = models,
            Circuits = circuits,
            Matches = matches,
            Comparison = comparison,
        };

        IReadOnlyList<CircuitSize> Of(string model) => circuits.First(entry => entry.Model == model).Circuits;
    }

    /// <param name="plan">Of <see cref="Figure.PruningBaseline"/>.</param>
    /// <param name="models">All that were trained.</param>
    /// <param name="circuits">Of each model by trained masks and by attribution.</param>
    /// <param name="lastTokenTasks">Tasks that the last token decides.</param>
    public static FigureResult PruningBaseline(
        ReproductionPlan plan,
        IReadOnlyList<MeasuredModel> models,
        IReadOnlyList<ModelCircuits> circuits,
        IReadOnlyList<string> lastTokenTasks
    )
    {
        var comparison = EdgeComparison.Of(
            circuits
                .Where(entry => entry.Method == PruningMethod.Mask)
                .Select(entry =>
                    (
                        entry.Seed,
                        entry.Circuits,
                        circuits.First(other => other.Model == entry.Model && other.Method == PruningMethod.Attribution).Circuits
                    )
                ),
            lastTokenTasks,
            plan.Resamples,
            plan.Seed
        );
        return new FigureResult
        {
            Headline = RatioSentence(comparison, "Circuits chosen by attribution have", "those found by trained masks"),
            Plan = plan,
            Models = models,
            Circuits = circuits,
            Comparison = comparison,
        };
    }

    /// <param name="plan">Of <see cref="Figure.Kurtosis"/>.</param>
    /// <param name="models">All that were trained.</param>
    public static FigureResult Kurtosis(ReproductionPlan plan, IReadOnlyList<MeasuredModel> models)
    {
        // Ordinary models first, then from all weights to few.
        KurtosisPoint[] points =
        [
            .. models
                .GroupBy(model => model.Model.Density)
                .OrderByDescending(group => group.Key ?? double.MaxValue)
                .Select(group => new KurtosisPoint(
                    group.Key,
                    group.Average(model => model.FinalResidualKurtosis),
                    group.Min(model => model.FinalResidualKurtosis),
                    group.Max(model => model.FinalResidualKurtosis),
                    group.Average(model => model.ValidationLoss),
                    group.Count()
                )),
        ];
        KurtosisPoint[] sparse = [.. points.Where(point => point.Density is not null)];
        bool rises = sparse.Zip(sparse.Skip(1)).All(pair => pair.Second.Mean > pair.First.Mean);
        return new FigureResult
        {
            Headline =
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Kurtosis of the final residual is {sparse[0].Mean:0.0} with all weights and {sparse[^1].Mean:0.0} with "
                        + $"1/{1 / sparse[^1].Density:0} of them"
                ) + (rises ? ", and rises at every step between." : "; it does not rise at every step between."),
            Plan = plan,
            Models = models,
            Kurtosis = points,
        };
    }

    /// <param name="plan">Of <see cref="Figure.Frontier"/>.</param>
    /// <param name="models">All that were trained.</param>
    /// <param name="circuits">Of each by trained masks.</param>
    public static FigureResult Frontier(ReproductionPlan plan, IReadOnlyList<MeasuredModel> models, IReadOnlyList<ModelCircuits> circuits)
    {
        var points = new List<FrontierPoint>();
        foreach (double target in plan.TargetLosses)
        {
            string[] common =
            [
                .. plan.Tasks.Where(task =>
                    circuits.All(entry =>
                        entry.Circuits.Any(circuit =>
                            circuit.Task == task
                            && circuit.TargetLoss == target
                            && circuit.Status == PruningStatus.Solved
                            && !circuit.NothingToFind()
                        )
                    )
                ),
            ];
            foreach (var group in models.GroupBy(model => (model.Model.Width, model.Model.Density)))
            {
                HashSet<string> names = [.. group.Select(model => model.Name)];
                double[] edges =
                [
                    .. circuits
                        .Where(entry => names.Contains(entry.Model))
                        .SelectMany(entry => entry.Circuits)
                        .Where(circuit => circuit.TargetLoss == target && common.Contains(circuit.Task))
                        .Select(circuit => circuit.Edges!.Value),
                ];
                MeasuredModel first = group.First();
                points.Add(
                    new FrontierPoint(
                        first.Model.Width,
                        first.Model.Density!.Value,
                        (long)Math.Round(first.NonzeroFraction * first.Model.MatrixEntries),
                        group.Average(model => model.ValidationLoss),
                        target,
                        common.Length,
                        edges.Length == 0 ? null : EdgeCount.GeometricMean(edges)
                    )
                );
            }
        }

        FrontierPoint[] shown =
        [
            .. points.GroupBy(point => point.TargetLoss).MaxBy(group => group.First().Tasks)!.Where(point => point.Edges is not null),
        ];
        FrontierPoint? smallest = shown.MinBy(point => point.Edges);
        return new FigureResult
        {
            Headline = smallest is null
                ? "No task is done by a circuit of every model, so their circuits cannot be compared."
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"At target {smallest.TargetLoss}, over the {smallest.Tasks} tasks that every model does, circuits have "
                        + $"{smallest.Edges:0.0} (width {smallest.Width}, {smallest.Nonzero} nonzero weights) to "
                        + $"{shown.Max(point => point.Edges):0.0} edges."
                ),
            Plan = plan,
            Models = models,
            Circuits = circuits,
            Frontier = points,
        };
    }

    /// <param name="plan">Of <see cref="Figure.Necessity"/>.</param>
    /// <param name="models">All that were trained.</param>
    /// <param name="circuits">Of each by trained masks.</param>
    public static FigureResult Necessity(ReproductionPlan plan, IReadOnlyList<MeasuredModel> models, IReadOnlyList<ModelCircuits> circuits)
    {
        NecessityPoint[] points =
        [
            .. circuits
                .SelectMany(entry => entry.Circuits)
                .Where(circuit => circuit.Status == PruningStatus.Solved && !circuit.NothingToFind())
                .GroupBy(circuit => circuit.TargetLoss)
                .OrderByDescending(group => group.Key)
                .Select(group => new NecessityPoint(
                    group.Key,
                    group.Count(),
                    group.Average(circuit => circuit.Loss!.Value),
                    group.Average(circuit => circuit.LossWithoutCircuit!.Value),
                    group.Min(circuit => circuit.LossWithoutCircuit!.Value),
                    group.Average(circuit => circuit.LossWithoutCircuit >= GuessingLoss ? 1.0 : 0.0)
                )),
        ];
        int all = points.Sum(point => point.Circuits);
        return new FigureResult
        {
            Headline =
                all == 0
                    ? "No circuit met its target."
                    : string.Create(
                        CultureInfo.InvariantCulture,
                        $"Without its circuit the model is no better than guessing for "
                            + $"{100 * points.Sum(point => point.Necessary * point.Circuits) / all:0} % of {all} circuits; mean loss "
                            + $"without it {points.Sum(point => point.MeanLossWithout * point.Circuits) / all:0.00} nats."
                    ),
            Plan = plan,
            Models = models,
            Circuits = circuits,
            Necessity = points,
        };
    }

    /// <param name="plan">Of <see cref="Figure.TokenLosses"/>.</param>
    /// <param name="models">All that were trained.</param>
    /// <param name="matches">One for each sparse model.</param>
    /// <param name="losses">Of sparse models and their dense partners.</param>
    public static FigureResult TokenLosses(
        ReproductionPlan plan,
        IReadOnlyList<MeasuredModel> models,
        IReadOnlyList<DenseMatch> matches,
        IReadOnlyList<TokenLoss> losses
    )
    {
        TokenLoss[] common = [.. losses.Where(token => token.Count >= CommonToken)];
        double places = losses.Sum(token => token.Count);
        TokenLoss most = losses.MaxBy(token => token.Excess())!;
        return new FigureResult
        {
            Headline =
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Of {common.Length} tokens that occur at least {CommonToken} times, every sparse model predicts "
                        + $"{common.Count(token => token.IsWorse())} worse than its dense partner and "
                        + $"{common.Count(token => token.IsBetter())} better; mean loss over all places "
                        + $"{losses.Sum(token => token.Count * token.Sparse) / places:0.000} and "
                        + $"{losses.Sum(token => token.Count * token.Dense) / places:0.000} nats. Most is lost at {most.Text}: "
                        + $"{most.Sparse:0.00} against {most.Dense:0.00} nats, {most.Count} times. "
                ) + MatchSentence(matches),
            Plan = plan,
            Models = models,
            Matches = matches,
            TokenLosses = losses,
        };
    }

    /// <summary>Three numbers that stand together: the mean over pairs, that over tasks, and that over tasks that need more than the last
    /// token.</summary>
    private static string RatioSentence(EdgeComparison comparison, string subject, string other)
    {
        if (comparison.Overall is not { } overall)
        {
            return "No task has a circuit on both sides that meets a target, so nothing can be compared.";
        }

        string[] decided = [.. comparison.LastTokenTasks.Where(task => comparison.Pairs.Any(pair => IsCompared(pair, task)))];
        string without =
            decided.Length == 0 ? "The last token decides none of these tasks."
            : comparison.WithoutLastTokenTasks is { } rest
                ? $"Without {string.Join(", ", decided)}, which the last token decides: {Times(rest)}."
            : "The last token decides all of these tasks.";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{subject} {overall.Ratio.Ratio:0.0} times as many edges as {other} (bootstrap interval {overall.Ratio.Low:0.0} to "
                + $"{overall.Ratio.High:0.0}; {overall.Tasks} tasks, {overall.Ratio.Cells} pairs of task and seed, all targets). "
                + $"Each task counted once: {Times(overall)}. {without}"
        );

        static bool IsCompared(EdgePair pair, string task) => pair.Task == task && pair.Status == ComparisonStatus.Compared;

        static string Times(EdgeRatio ratio) =>
            Line($"{ratio.OverTasks.Ratio:0.0} times ")
            + (
                ratio.OverTasks is { Low: { } low, High: { } high }
                    ? Line($"({ratio.Tasks} tasks, 95 % t-interval {low:0.0} to {high:0.0})")
                    : "(one task, which gives no interval)"
            );
    }

    private static string MatchSentence(IReadOnlyList<DenseMatch> matches)
    {
        string how = string.Join(
            ", ",
            matches.GroupBy(match => match.Kind).OrderBy(group => group.Key).Select(group => Line($"{group.Count()} {Describe(group.Key)}"))
        );
        return Line($"Dense models, for {matches.Count} sparse ones: {how}.");
    }

    private static string Describe(MatchKind kind) =>
        kind switch
        {
            MatchKind.Matched => "matched",
            MatchKind.Interpolated => "interpolated between two widths",
            _ => "out of the range of widths, so not equal in loss",
        };

    private static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
