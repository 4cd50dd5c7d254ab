using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Reproduction;
using Sparsity.Core.Training;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>Plans follow from the budget alone, and everything in them can be done.</summary>
public class ReproductionPlannerTests
{
    public static TheoryData<string> Every => [.. Enum.GetNames<Figure>()];

    [Theory]
    [MemberData(nameof(Every))]
    public void EveryPlannedModelCanBeTrainedAndEveryNameIsItsOwn(string name)
    {
        Figure figure = Enum.Parse<Figure>(name);
        foreach (ReproductionScale scale in ReproductionScale.All)
        {
            ReproductionPlan plan = ReproductionPlanner.At(scale, figure, 1, 1, null, "1.0.0");
            PlannedModel[] all =
            [
                .. plan.Models,
                .. plan.Models.SelectMany(model => plan.DenseWidths.Select(width => plan.Dense(model, width))),
            ];

            Assert.Equal(all.Length, all.Select(model => model.Name).Distinct().Count());
            foreach (PlannedModel model in all)
            {
                TrainingConfig training = model.Training(model.Shape(512)); // validates both
                Assert.Equal(model.Density is null, !training.IsSparse());
                Assert.True(
                    model.Density is null || model.Density * model.Width >= training.MinimumAlivePerNeuron,
                    $"{model.Name} cannot keep what minimum alive asks for."
                );
                Assert.Equal(model.Density is null, model.Shape(512).Afrac is null);
            }
        }
    }

    [Fact]
    public void APlannedModelOfTheSmallSizeIsTrainedAsTheSmallModelIs()
    {
        var sparse = new PlannedModel(2, 128, 1.0 / 16, 5000, 7);
        var dense = new PlannedModel(2, 128, null, 5000, 7);
        var wide = new PlannedModel(2, 512, 1.0 / 64, 5000, 7);

        Assert.Equal(Recipe(TrainingConfig.Small, sparse), sparse.Training(sparse.Shape(300)));
        Assert.Equal(Recipe(TrainingConfig.SmallDense, dense), dense.Training(dense.Shape(300)));
        Assert.Equal(Recipe(TrainingConfig.Small with { Density = 1.0 / 64, Lr = 0.06 }, wide), wide.Training(wide.Shape(300)));

        static TrainingConfig Recipe(TrainingConfig small, PlannedModel planned) =>
            (small with { Seed = 7, TotalTokens = 5000 }).Resolved(planned.Shape(300));
    }

    [Theory]
    [MemberData(nameof(Every))]
    public void TheBudgetHoldsTheLargestScaleThatFits(string name)
    {
        Figure figure = Enum.Parse<Figure>(name);
        ReproductionPlan[] scales = [.. ReproductionScale.All.Select(scale => ReproductionPlanner.At(scale, figure, 1, 1, null, "1.0.0"))];

        Assert.All(
            scales.Zip(scales.Skip(1)),
            pair =>
                Assert.True(
                    pair.First.EstimatedMinutes < pair.Second.EstimatedMinutes,
                    $"scale {pair.First.Scale} costs more than the next."
                )
        );
        Assert.Equal(1, ReproductionPlanner.Plan(figure, scales[1].EstimatedMinutes, 1, null, "1.0.0").Scale);
        Assert.Equal(0, ReproductionPlanner.Plan(figure, scales[1].EstimatedMinutes - 0.01, 1, null, "1.0.0").Scale);
        Assert.Equal(ReproductionScale.All.Count - 1, ReproductionPlanner.Plan(figure, 1e9, 1, null, "1.0.0").Scale);
        string refused = Assert
            .Throws<BadInputException>(() => ReproductionPlanner.Plan(figure, scales[0].EstimatedMinutes / 2, 1, null, "1.0.0"))
            .Message;
        Assert.Contains("smallest plan", refused, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-3)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void ABudgetIsMinutesAboveZero(double budget) =>
        Assert.Contains(
            "budget",
            Assert.Throws<BadInputException>(() => ReproductionPlanner.Plan(Figure.Kurtosis, budget, 1, null, "1.0.0")).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void AFigureIsFoundByItsName()
    {
        Assert.All(Figures.All, figure => Assert.Equal(figure, Figures.Parse(figure.Name())));
        Assert.Contains(
            "size-vs-loss",
            Assert.Throws<BadInputException>(() => Figures.Parse("figure 2")).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void SeedsCountUpAndFiguresOfOneScaleShareTheirSparseModels()
    {
        ReproductionPlan sizes = ReproductionPlanner.At(ReproductionScale.All[2], Figure.SizeVsLoss, 1, 5, null, "1.0.0");
        ReproductionPlan necessity = ReproductionPlanner.At(ReproductionScale.All[2], Figure.Necessity, 1, 5, null, "1.0.0");

        Assert.Equal([5UL, 6UL, 7UL], sizes.Models.Select(model => model.Seed));
        Assert.Equal(sizes.Models, necessity.Models);
        Assert.Equal(
            JsonText.Write(sizes.PruningOf("m", "f", 5, PruningMethod.Mask)),
            JsonText.Write(necessity.PruningOf("m", "f", 5, PruningMethod.Mask))
        );
    }

    [Fact]
    public void TheFrontierHasItsBudgetsAtSeveralWidths()
    {
        ReproductionPlan plan = ReproductionPlanner.At(ReproductionScale.All[2], Figure.Frontier, 1, 1, null, "1.0.0");

        // 12 * 2 * 128^2 entries: an eighth, a sixteenth and a 32nd; width 256 cannot have the fewest, with 4 weights in each row.
        Assert.Equal(
            [(64, 49152), (64, 24576), (64, 12288), (128, 49152), (128, 24576), (128, 12288), (256, 49152), (256, 24576)],
            plan.Models.Select(model => (model.Width, (int)(model.Density!.Value * model.MatrixEntries)))
        );
    }

    [Theory]
    [MemberData(nameof(Every))]
    public void APlanIsReadAsItWasWritten(string name)
    {
        Figure figure = Enum.Parse<Figure>(name);
        using var folder = new TemporaryFolder();
        ReproductionPlan plan = ReproductionPlanner.At(ReproductionScale.All[2], figure, 7, 1, "somewhere", "1.0.0");
        AtomicFile.WriteText(folder["plan.json"], JsonText.Write(plan));

        Assert.Equal(JsonText.Write(plan), JsonText.Write(ReproductionPlan.Load(folder["plan.json"])));
    }

    [Theory]
    [InlineData("\"models\": [", "\"models\": [{\"layers\": 0, \"width\": 32, \"density\": 0.5, \"tokens\": 100, \"seed\": 1},")]
    [InlineData("\"target_losses\": [", "\"target_losses\": [-1,")]
    [InlineData("\"resamples\": 10000", "\"resamples\": 0")]
    [InlineData("\"dense_widths\": [", "\"dense_widths\": [1000,")]
    [InlineData("\"steps\": ", "\"steps\": -")]
    public void ADamagedPlanIsRefused(string part, string replacement)
    {
        using var folder = new TemporaryFolder();
        string text = JsonText.Write(ReproductionPlanner.At(ReproductionScale.All[0], Figure.SizeVsLoss, 7, 1, null, "1.0.0"));
        Assert.Contains(part, text, StringComparison.Ordinal);
        AtomicFile.WriteText(folder["plan.json"], text.Replace(part, replacement, StringComparison.Ordinal));

        Assert.StartsWith(
            folder["plan.json"],
            Assert.Throws<BadInputException>(() => ReproductionPlan.Load(folder["plan.json"])).Message,
            StringComparison.Ordinal
        );
    }
}
