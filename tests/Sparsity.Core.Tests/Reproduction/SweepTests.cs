using Sparsity.Core.Circuits;
using Sparsity.Core.Distributed;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.Core.Reproduction;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>What a sweep trains, and what it makes of it.</summary>
public class SweepTests
{
    private static readonly SweepFlag[] Varying = [new("lr", ["0.01", "0.03"]), new("sink", ["true", "false"]), new("seed", ["1", "2"])];

    [Fact]
    public void EveryCombinationIsThereOnceTheLastFlagChangingFirst()
    {
        Assert.Equal(
            [
                "lr-0.01-sink-true-seed-1",
                "lr-0.01-sink-true-seed-2",
                "lr-0.01-sink-false-seed-1",
                "lr-0.01-sink-false-seed-2",
                "lr-0.03-sink-true-seed-1",
                "lr-0.03-sink-true-seed-2",
                "lr-0.03-sink-false-seed-1",
                "lr-0.03-sink-false-seed-2",
            ],
            Plan().Models.Select(model => model.Name)
        );
    }

    [Fact]
    public void ThePlanSaysTheCommandThatAsksForItAndIsReadAsItWasWritten()
    {
        using var folder = new TemporaryFolder();
        SweepPlan plan = Plan() with { Config = "/c.json", Tasks = ["for_while"], TargetLosses = [0.15], Shard = new Shard(1, 2) };
        File.WriteAllText(folder["plan.json"], plan.ToJson());

        Assert.Equal(
            "--data /d --config /c.json --tokens 500 --lr 0.01,0.03 --sink true,false --seed 1,2 --prune for_while --target-loss 0.15 "
                + "--shard 1/2",
            plan.Options
        );
        Assert.Equal(plan.ToJson(), SweepPlan.Load(folder["plan.json"]).ToJson());
        Assert.Equal([0, 2, 4, 6], plan.OwnModels.Select(model => plan.Models.ToList().IndexOf(model)));
    }

    [Theory]
    [InlineData("\"data\": \"/d\"", "\"data\": null")]
    [InlineData("\"layers\": 2", "\"layers\": 0")]
    [InlineData("\"values\": [\n        \"500\"\n      ]", "\"values\": []")]
    [InlineData("\"tasks\": []", "\"tasks\": [\"for_while\"]")]
    [InlineData("\"steps\": ", "\"steps\": -")]
    [InlineData("\"flags\": [", "\"more\": 1, \"flags\": [")]
    public void ADamagedPlanIsRefused(string part, string replacement)
    {
        using var folder = new TemporaryFolder();
        string text = Plan().ToJson();
        Assert.Contains(part, text, StringComparison.Ordinal);
        File.WriteAllText(folder["plan.json"], text.Replace(part, replacement, StringComparison.Ordinal));

        Assert.StartsWith(
            folder["plan.json"],
            Assert.Throws<BadInputException>(() => SweepPlan.Load(folder["plan.json"])).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void AFolderGoesOnWithTheSameSweepWhereverItsDataAreNow()
    {
        SweepPlan begun = Plan() with { DataFingerprint = "same" },
            moved = begun with { Data = "/moved" };

        Assert.Equal("/moved", StagePlan.GoOn("plan.json", begun, moved).Data);
        string refused = Assert
            .Throws<BadInputException>(() => StagePlan.GoOn("plan.json", begun, moved with { DataFingerprint = "other" }))
            .Message;
        Assert.Contains("was begun with --data /d --tokens 500 --lr 0.01,0.03", refused, StringComparison.Ordinal);
    }

    [Fact]
    public void SeedsAreAveragedAndEdgesComparedOverTasksThatEveryModelDoes()
    {
        SweepPlan plan = Plan() with { Tasks = ["a", "b", "empty"], TargetLosses = [0.15] };
        PlannedModel[] trained = [.. plan.Models.Take(2), .. plan.Models.Skip(4).Take(1)];
        SweepResult result = SweepResult.Of(
            plan,
            [.. trained.Select((model, i) => new MeasuredModel(model.Name, model, "hash", 2 + i, 3, 100 * (i + 1), 0.25, 5 + i))],
            [.. plan.Models.Except(trained).Select(model => new DivergedModel(model.Name, model, "step 3"))],
            [
                .. trained.Select(
                    (model, i) =>
                        new ModelCircuits(
                            model.Name,
                            model.Seed,
                            PruningMethod.Mask,
                            [
                                EdgeComparisonTests.Solved("a", 0.15, i == 0 ? 4 : 9),
                                EdgeComparisonTests.Solved("b", 0.15, 1000) with
                                {
                                    Status = i == 2 ? PruningStatus.Missed : PruningStatus.Solved,
                                },
                                EdgeComparisonTests.Solved("empty", 0.15, 7, lossEmpty: 0.1),
                            ]
                        )
                ),
            ]
        );

        Assert.Equal(["a"], result.CommonTasks);
        Assert.Equal(
            ["0.01 true", "0.01 false", "0.03 true", "0.03 false"],
            result.Points.Select(point => string.Join(' ', point.Values.Values))
        );
        Assert.Equal([(2, 0), (0, 2), (1, 1), (0, 2)], result.Points.Select(point => (point.Trained, point.Diverged)));
        SweepPoint first = result.Points[0];
        Assert.Equal((2.5, 2, 3), (first.ValidationLoss, first.Smallest, first.Largest));
        Assert.Equal((150, 0.25, 5.5), (first.Nonzero, first.NonzeroFraction, first.FinalResidualKurtosis));
        Assert.Equal(2, first.Solved);
        Assert.Equal(6, first.Edges!.Value, 1e-9); // sqrt(4 * 9)
        Assert.Equal((4, 1, 9), (result.Points[2].ValidationLoss, result.Points[2].Solved, Math.Round(result.Points[2].Edges!.Value, 9)));
        Assert.Null(result.Points[1].ValidationLoss);
        Assert.Null(result.Points[1].Edges);
        JsonText.Write(result); // every number is finite
    }

    private static SweepPlan Plan() =>
        new()
        {
            Version = "1.0.0",
            Data = "/d",
            Flags = [new SweepFlag("tokens", ["500"]), .. Varying],
            Models =
            [
                .. SweepPlan
                    .Combinations(Varying)
                    .Select(values => new PlannedModel(2, 32, 0.25, 500, ulong.Parse(values["seed"])) { Values = values }),
            ],
            Tasks = [],
            TargetLosses = [],
            Pruning = new PruningConfig(),
        };
}
