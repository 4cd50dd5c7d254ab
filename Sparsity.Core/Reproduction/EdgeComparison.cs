using Sparsity.Core.Pruning;

namespace Sparsity.Core.Reproduction;

/// <summary>Circuits of a subject and a baseline side by side over tasks, targets and seeds.</summary>
/// <param name="Pairs">All of them, those that cannot be compared too.</param>
/// <param name="Targets">Of each target at which some are compared, in the plan's order.</param>
/// <param name="Overall">Each task and seed counts once: its ratios are averaged over the targets first. Null where nothing is
/// compared.</param>
/// <param name="LastTokenTasks">Tasks that <see cref="Reproduction.LastTokenTasks"/> names.</param>
/// <param name="WithoutLastTokenTasks">The same as <paramref name="Overall"/> without them; null where nothing else is compared.</param>
internal sealed record EdgeComparison(
    IReadOnlyList<EdgePair> Pairs,
    IReadOnlyList<EdgeRatio> Targets,
    EdgeRatio? Overall,
    IReadOnlyList<string> LastTokenTasks,
    EdgeRatio? WithoutLastTokenTasks
)
{
    /// <param name="seeds">For each seed, both sides with the same tasks and targets in the same order.</param>
    /// <param name="lastTokenTasks">Tasks that the last token decides.</param>
    /// <param name="resamples">Of the bootstrap.</param>
    /// <param name="bootstrapSeed">Of the bootstrap.</param>
    public static EdgeComparison Of(
        IEnumerable<(ulong Seed, IReadOnlyList<CircuitSize> Subject, IReadOnlyList<CircuitSize> Baseline)> seeds,
        IReadOnlyList<string> lastTokenTasks,
        int resamples,
        ulong bootstrapSeed
    )
    {
        EdgePair[] pairs =
        [
            .. seeds.SelectMany(entry =>
                entry.Subject.Zip(
                    entry.Baseline,
                    (subject, baseline) =>
                        new EdgePair(entry.Seed, subject.Task, subject.TargetLoss, StatusOf(subject, baseline), subject, baseline)
                )
            ),
        ];
        EdgePair[] compared = [.. pairs.Where(pair => pair.Status == ComparisonStatus.Compared)];
        return new EdgeComparison(
            pairs,
            [
                .. compared
                    .Select(pair => pair.TargetLoss)
                    .Distinct()
                    .OrderDescending()
                    .Select(target => Ratio(target, [.. compared.Where(pair => pair.TargetLoss == target)])),
            ],
            Overall(compared),
            lastTokenTasks,
            Overall([.. compared.Where(pair => !lastTokenTasks.Contains(pair.Task))])
        );

        EdgeRatio? Overall(EdgePair[] of) => of.Length == 0 ? null : Ratio(null, of);

        EdgeRatio Ratio(double? target, EdgePair[] of)
        {
            var cells = of.GroupBy(pair => (pair.Task, pair.Seed))
                .Select(group =>
                    (
                        group.Key,
                        Subject: group.Average(pair => Math.Log(pair.Subject.CountedEdges())),
                        Baseline: group.Average(pair => Math.Log(pair.Baseline.CountedEdges()))
                    )
                )
                .ToArray();
            RatioCell[] ratios = [.. cells.Select(cell => new RatioCell(cell.Key.Task, cell.Key.Seed, cell.Baseline - cell.Subject))];
            return new EdgeRatio(
                target,
                of.Select(pair => pair.Task).Distinct().Count(),
                Math.Exp(cells.Average(cell => cell.Subject)),
                Math.Exp(cells.Average(cell => cell.Baseline)),
                RatioBootstrap.Estimate(ratios, resamples, bootstrapSeed)!,
                TaskRatio.Of(ratios)
            );
        }
    }

    private static ComparisonStatus StatusOf(CircuitSize subject, CircuitSize baseline)
    {
        bool subjectMeets = subject.Status == PruningStatus.Solved;
        bool baselineMeets = baseline.Status == PruningStatus.Solved;
        return subject.NothingToFind() || baseline.NothingToFind() ? ComparisonStatus.NothingToFind
            : subjectMeets && baselineMeets ? ComparisonStatus.Compared
            : subjectMeets ? ComparisonStatus.OnlySubject
            : baselineMeets ? ComparisonStatus.OnlyBaseline
            : ComparisonStatus.Neither;
    }
}
