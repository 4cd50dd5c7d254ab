using Sparsity.Core.Circuits;
using Sparsity.Core.Reproduction;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>Figures from models and circuits made up by hand.</summary>
public class FigureSummaryTests
{
    private static MeasuredModel Model(int width, double? density, ulong seed, double loss, double kurtosis = 3)
    {
        var planned = new PlannedModel(2, width, density, 1000, seed);
        return new MeasuredModel(planned.Name, planned, "hash", loss, 3, 100, density ?? 1, kurtosis);
    }

    private static ReproductionPlan Plan(Figure figure) =>
        ReproductionPlanner.At(ReproductionScale.All[1], figure, 10, 1, null, "1.0.0") with
        {
            Tasks = ["a", "b"],
            TargetLosses = [0.5, 0.1],
        };

    private static CircuitSize Solved(string task, double target, double edges, double lossWithout = 1) =>
        EdgeComparisonTests.Solved(task, target, edges, lossWithout);

    [Fact]
    public void ADenseModelBetweenTwoWidthsIsComparedAtTheLossLookedFor()
    {
        MeasuredModel sparse = Model(64, 0.125, 1, 2.0);
        MeasuredModel narrow = Model(8, null, 1, 2.3);
        MeasuredModel wide = Model(16, null, 1, 1.9);
        var match = DenseMatch.Of(sparse, new WidthMatch(MatchKind.Interpolated, [8, 16], 0.75), [narrow, wide], [narrow.Name, wide.Name]);
        ModelCircuits Circuits(MeasuredModel model, double edges) => new(model.Name, 1, PruningMethod.Mask, [Solved("a", 0.5, edges)]);

        FigureResult result = FigureSummary.SizeVsLoss(
            Plan(Figure.SizeVsLoss),
            [sparse, narrow, wide],
            [Circuits(sparse, 10), Circuits(narrow, 100), Circuits(wide, 1600)],
            [match],
            ["a"]
        );

        Assert.Equal(1, match.RelativeLoss, 1e-12);
        Assert.Equal(80, result.Comparison!.Overall!.Ratio.Ratio, 1e-9); // 100 * 16^(3/4) over 10
        Assert.Contains("80.0 times as many edges", result.Headline, StringComparison.Ordinal);
        Assert.Contains("1 interpolated between two widths", result.Headline, StringComparison.Ordinal);
        Assert.Contains(
            "Each task counted once: 80.0 times (one task, which gives no interval)",
            result.Headline,
            StringComparison.Ordinal
        );
        Assert.Contains("The last token decides all of these tasks.", result.Headline, StringComparison.Ordinal);
    }

    [Fact]
    public void AttributionIsComparedWithMasksOfTheSameModel()
    {
        MeasuredModel first = Model(64, 0.125, 1, 2);
        MeasuredModel second = Model(64, 0.125, 2, 2);
        ModelCircuits Circuits(MeasuredModel model, PruningMethod method, double edges) =>
            new(model.Name, model.Model.Seed, method, [Solved("a", 0.5, edges)]);

        FigureResult result = FigureSummary.PruningBaseline(
            Plan(Figure.PruningBaseline),
            [first, second],
            [
                Circuits(first, PruningMethod.Mask, 10),
                Circuits(first, PruningMethod.Attribution, 20),
                Circuits(second, PruningMethod.Mask, 5),
                Circuits(second, PruningMethod.Attribution, 40),
            ],
            ["b"]
        );

        Assert.Equal(4, result.Comparison!.Overall!.Ratio.Ratio, 1e-9); // sqrt(2 * 8)
        Assert.Equal(2, result.Comparison.Overall.Ratio.Cells);
        Assert.Contains("The last token decides none of these tasks.", result.Headline, StringComparison.Ordinal);
    }

    [Fact]
    public void ThreeRatiosStandInTheHeadline()
    {
        MeasuredModel model = Model(64, 0.125, 1, 2);
        ModelCircuits Circuits(PruningMethod method, double[] edges) =>
            new(model.Name, 1, method, [.. edges.Select((count, i) => Solved($"{"abc"[i]}", 0.5, count))]);

        FigureResult result = FigureSummary.PruningBaseline(
            Plan(Figure.PruningBaseline),
            [model],
            [Circuits(PruningMethod.Mask, [1, 1, 10]), Circuits(PruningMethod.Attribution, [8, 16, 10])],
            ["c"]
        );

        // Of ln 8, ln 16 and 0: mean 1.6174, deviation 1.4429, t(2) = 4.3027. Without c: mean of ln 8 and ln 16, t(1) = 12.7062.
        Assert.Contains(
            "5.0 times as many edges as those found by trained masks (bootstrap interval ",
            result.Headline,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "Each task counted once: 5.0 times (3 tasks, 95 % t-interval 0.1 to 181.6).",
            result.Headline,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "Without c, which the last token decides: 11.3 times (2 tasks, 95 % t-interval 0.1 to 924.9).",
            result.Headline,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void TokensAreCountedAsWorseOnlyWhereTheyAreCommonAndEveryPairAgrees()
    {
        var match = new DenseMatch(1, "s", MatchKind.Matched, ["d"], 0, 1, ["d"]);
        FigureResult result = FigureSummary.TokenLosses(
            Plan(Figure.TokenLosses),
            [],
            [match],
            [
                new TokenLoss(1, "'a'", 60, 2, 1, 0.5, 1.5),
                new TokenLoss(2, "'b'", 40, 1, 2, -2, -0.1),
                new TokenLoss(3, "'c'", 30, 2, 1, -0.1, 2),
                new TokenLoss(4, "'d'", 19, 9, 1, 8, 8),
            ]
        );

        Assert.StartsWith(
            "Of 3 tokens that occur at least 20 times, every sparse model predicts 1 worse than its dense partner and 1 better; mean loss "
                + "over all places 2.624 and 1.268 nats. Most is lost at 'd': 9.00 against 1.00 nats, 19 times.",
            result.Headline,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void KurtosisGoesFromOrdinaryModelsToTheSparsest()
    {
        FigureResult result = FigureSummary.Kurtosis(
            Plan(Figure.Kurtosis),
            [
                Model(64, 1, 1, 2, 4),
                Model(64, 0.25, 1, 2.2, 6),
                Model(64, null, 1, 1.8, 3),
                Model(64, 1, 2, 2.1, 5),
                Model(64, 0.25, 2, 2.4, 9),
            ]
        );

        Assert.Equal([null, 1, 0.25], result.Kurtosis!.Select(point => point.Density));
        Assert.Equal([3, 4.5, 7.5], result.Kurtosis!.Select(point => point.Mean));
        Assert.Equal((6, 9, 2), (result.Kurtosis![2].Smallest, result.Kurtosis[2].Largest, result.Kurtosis[2].Seeds));
        Assert.Equal(2.3, result.Kurtosis[2].ValidationLoss, 1e-12);
        Assert.Contains(
            "4.5 with all weights and 7.5 with 1/4 of them, and rises at every step",
            result.Headline,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void TheFrontierComparesOnlyTasksThatEveryModelDoes()
    {
        MeasuredModel narrow = Model(32, 0.5, 1, 2.5);
        MeasuredModel wide = Model(64, 0.125, 1, 2);
        FigureResult result = FigureSummary.Frontier(
            Plan(Figure.Frontier),
            [narrow, wide],
            [
                new ModelCircuits(narrow.Name, 1, PruningMethod.Mask, [Solved("a", 0.5, 20), Solved("b", 0.5, 80), Solved("a", 0.1, 50)]),
                new ModelCircuits(wide.Name, 1, PruningMethod.Mask, [Solved("a", 0.5, 8), Solved("b", 0.5, 2), Solved("b", 0.1, 9)]),
            ]
        );

        Assert.Equal(
            [(32, 0.5, 2), (64, 0.5, 2), (32, 0.1, 0), (64, 0.1, 0)],
            result.Frontier!.Select(point => (point.Width, point.TargetLoss, point.Tasks))
        );
        Assert.Equal(40, result.Frontier![0].Edges!.Value, 1e-9);
        Assert.Equal(4, result.Frontier[1].Edges!.Value, 1e-9);
        Assert.Null(result.Frontier[2].Edges);
        Assert.Equal(12288, result.Frontier[0].Nonzero); // half of 12 * 2 * 32 * 32
    }

    [Fact]
    public void NecessityCountsCircuitsWithoutWhichTheModelGuesses()
    {
        MeasuredModel model = Model(64, 0.125, 1, 2);
        FigureResult result = FigureSummary.Necessity(
            Plan(Figure.Necessity),
            [model],
            [
                new ModelCircuits(
                    model.Name,
                    1,
                    PruningMethod.Mask,
                    [Solved("a", 0.5, 20, 0.69), Solved("b", 0.5, 80, 1.31), Solved("a", 0.1, 50, 3)]
                ),
            ]
        );

        NecessityPoint first = result.Necessity![0];
        Assert.Equal((0.5, 2), (first.TargetLoss, first.Circuits));
        Assert.Equal(1, first.MeanLossWithout, 1e-12);
        Assert.Equal(0.69, first.LowestLossWithout);
        Assert.Equal(0.5, first.Necessary); // 0.69 is below ln 2
        Assert.Equal(1, result.Necessity[1].Necessary);
        Assert.Contains("67 % of 3 circuits; mean loss without it 1.67", result.Headline, StringComparison.Ordinal);
    }
}
