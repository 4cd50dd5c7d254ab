using Sparsity.Core.Pruning;
using Sparsity.Core.Reproduction;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>Ratios of edges, counted by hand.</summary>
public class EdgeComparisonTests
{
    internal static CircuitSize Solved(
        string task,
        double target,
        double edges,
        double lossWithout = 1,
        double lossEmpty = 0.7,
        double loss = 0.01
    ) => new(task, target, PruningStatus.Solved, edges / 2, edges, loss, 0.005, lossWithout, lossEmpty);

    private static CircuitSize Failed(string task, double target, PruningStatus status) =>
        new(task, target, status, null, null, null, 1, null, null);

    [Fact]
    public void RatiosAreGeometricMeansOverWhatBothMeet()
    {
        CircuitSize[] sparse = [Solved("a", 0.5, 4), Solved("a", 0.1, 8), Solved("b", 0.5, 9), Failed("b", 0.1, PruningStatus.Missed)];
        CircuitSize[] dense = [Solved("a", 0.5, 16), Solved("a", 0.1, 128), Solved("b", 0.5, 144), Solved("b", 0.1, 100)];

        EdgeComparison comparison = EdgeComparison.Of([(1, sparse, dense)], [], 100, 1);

        Assert.Equal([0.5, 0.1], comparison.Targets.Select(target => target.TargetLoss!.Value));
        Assert.Equal(6, comparison.Targets[0].SubjectEdges, 1e-9); // sqrt(4 * 9)
        Assert.Equal(48, comparison.Targets[0].BaselineEdges, 1e-9); // sqrt(16 * 144)
        Assert.Equal(8, comparison.Targets[0].Ratio.Ratio, 1e-9);
        Assert.Equal(2, comparison.Targets[0].Tasks);
        Assert.Equal(16, comparison.Targets[1].Ratio.Ratio, 1e-9); // a alone
        Assert.Equal(1, comparison.Targets[1].Tasks);

        // a: sqrt(4 * 16) = 8 over its two targets, b: 16; sqrt(8 * 16).
        Assert.Equal(Math.Sqrt(128), comparison.Overall!.Ratio.Ratio, 1e-9);
        Assert.Equal(2, comparison.Overall.Ratio.Cells);
        Assert.Equal(ComparisonStatus.OnlyBaseline, comparison.Pairs[3].Status);
    }

    [Fact]
    public void TasksCountOnceInTheIntervalOverTasksAndThoseOfTheLastTokenAreLeftOutOfTheThirdRatio()
    {
        CircuitSize[] sparse = [Solved("a", 0.5, 1), Solved("b", 0.5, 1), Solved("c", 0.5, 10)];
        CircuitSize[] dense = [Solved("a", 0.5, 8), Solved("b", 0.5, 2), Solved("c", 0.5, 10)];

        EdgeComparison comparison = EdgeComparison.Of([(1, sparse, dense), (2, [sparse[0]], [dense[0]])], ["c", "not there"], 100, 1);

        Assert.Equal(Math.Pow(8 * 8 * 2, 1.0 / 4), comparison.Overall!.Ratio.Ratio, 1e-9); // four pairs, two of them of a
        Assert.Equal(Math.Pow(8 * 2, 1.0 / 3), comparison.Overall.OverTasks.Ratio, 1e-9);
        Assert.Equal(4, comparison.WithoutLastTokenTasks!.OverTasks.Ratio, 1e-9); // sqrt(8 * 2)
        Assert.Equal(2, comparison.WithoutLastTokenTasks.Tasks);
        Assert.Equal(
            Math.Log(4) + (12.706205 * Math.Log(8.0 / 2) / 2), // t(1) = 12.706205
            Math.Log(comparison.WithoutLastTokenTasks.OverTasks.High!.Value),
            1e-5
        );
        Assert.Equal(["c", "not there"], comparison.LastTokenTasks);
        Assert.Null(EdgeComparison.Of([(1, [sparse[2]], [dense[2]])], ["c"], 100, 1).WithoutLastTokenTasks);
    }

    [Fact]
    public void WhatCannotBeComparedIsNamedAndLeftOut()
    {
        CircuitSize[] sparse =
        [
            Solved("only sparse", 0.5, 4),
            Solved("empty will do", 0.5, 4, lossEmpty: 0.5),
            Failed("neither", 0.5, PruningStatus.Unsolved),
            Failed("skipped", 0.5, PruningStatus.Skipped),
        ];
        CircuitSize[] dense =
        [
            Failed("only sparse", 0.5, PruningStatus.Unsolved),
            Solved("empty will do", 0.5, 400),
            Failed("neither", 0.5, PruningStatus.Missed),
            Failed("skipped", 0.5, PruningStatus.Skipped),
        ];

        EdgeComparison comparison = EdgeComparison.Of([(7, sparse, dense)], [], 100, 1);

        Assert.Equal(
            [ComparisonStatus.OnlySubject, ComparisonStatus.NothingToFind, ComparisonStatus.Neither, ComparisonStatus.Neither],
            comparison.Pairs.Select(pair => pair.Status)
        );
        Assert.All(comparison.Pairs, pair => Assert.Equal(7UL, pair.Seed));
        Assert.Empty(comparison.Targets);
        Assert.Null(comparison.Overall);
    }

    [Fact]
    public void ACircuitWithoutEdgesCountsAsOneEdge()
    {
        EdgeComparison comparison = EdgeComparison.Of([(1, [Solved("a", 0.5, 0)], [Solved("a", 0.5, 10)])], [], 100, 1);

        Assert.Equal(10, comparison.Overall!.Ratio.Ratio, 1e-9);
    }

    [Fact]
    public void BetweenTwoModelsLogarithmsOfEdgesAreInterpolated()
    {
        CircuitSize[] narrow = [Solved("a", 0.5, 100, lossEmpty: 0.6), Solved("b", 0.5, 10)];
        CircuitSize[] wide = [Solved("a", 0.5, 1600, lossEmpty: 1), Failed("b", 0.5, PruningStatus.Missed)];

        IReadOnlyList<CircuitSize> between = CircuitSize.Between(narrow, wide, 0.25);

        Assert.Equal(200, between[0].Edges!.Value, 1e-9); // 100 * 16^(1/4)
        Assert.Equal(0.7, between[0].LossEmpty!.Value, 1e-9);
        Assert.Equal(PruningStatus.Solved, between[0].Status);
        Assert.Equal(PruningStatus.Missed, between[1].Status);
        Assert.Null(between[1].Edges);
    }
}
