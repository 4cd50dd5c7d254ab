using System.Globalization;
using System.Text.Json.Serialization;
using Sparsity.Core.Files;

namespace Sparsity.Core.Reproduction;

/// <summary>plan.json of a figure.</summary>
internal sealed record ReproductionPlan : StagePlan
{
    public required Figure Figure { get; init; }

    /// <summary>What was asked for.</summary>
    public required double BudgetMinutes { get; init; }

    /// <summary>The largest level of <see cref="ReproductionScale.All"/> that the budget holds.</summary>
    public required int Scale { get; init; }

    /// <summary>What <see cref="ReproductionCost"/> expects on two cores.</summary>
    public required double EstimatedMinutes { get; init; }

    /// <inheritdoc/>
    public override double Minutes => EstimatedMinutes * OwnModels.Count / Models.Count;

    /// <summary>Seeds of models, masks and prompts count up from it; the text and the bootstrap have it itself.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Megabytes of synthetic text.</summary>
    public required double Megabytes { get; init; }

    /// <summary>Tokens of the tokenizer trained on synthetic text.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>
    /// Widths among which dense models are looked for, ascending, to stand beside those of <see cref="StagePlan.Models"/>; empty where the
    /// figure has none.
    /// </summary>
    public required IReadOnlyList<int> DenseWidths { get; init; }

    /// <summary>Where among them the search begins.</summary>
    public int FirstDenseWidth { get; init; }

    /// <summary>Share by which the validation loss of a dense model may differ from the sparse one's.</summary>
    public double MatchTolerance { get; init; } = 0.02;

    /// <summary>Resamples of the bootstrap.</summary>
    public int Resamples { get; init; } = 10_000;

    [JsonIgnore]
    public override string Name => Figure.Name();

    [JsonIgnore]
    public override string Verb => "reproduce";

    [JsonIgnore]
    public override string Options =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"--figure {Figure.Name()} --budget {BudgetMinutes} --seed "
                + $"{Seed}{(Data is null ? "" : $" --data {Data}")}{(Shard is null ? "" : $" --shard {Shard}")}"
        );

    [JsonIgnore]
    public override SyntheticText? Synthetic =>
        Data is null
            ? new SyntheticText(FormattableString.Invariant($"data-{Megabytes}mb-seed-{Seed}"), Megabytes, Vocabulary, Seed)
            : null;

    public override string ToJson() => JsonText.Write(this);

    /// <summary>The dense model of a width that is compared with a sparse one: the same but for width and sparsity.</summary>
    public PlannedModel Dense(PlannedModel sparse, int width) => sparse with { Width = width, Density = null };

    /// <summary>Reads plan.json.</summary>
    /// <exception cref="BadInputException">It is missing or damaged.</exception>
    public static ReproductionPlan Load(string path)
    {
        ReproductionPlan plan = JsonText.ReadFile<ReproductionPlan>(path);
        bool holds =
            plan.Holds()
            && plan.Figure.Prunes() == (plan.Tasks.Count > 0)
            && (!plan.Figure.MatchesDense() || plan.DenseWidths.Contains(plan.FirstDenseWidth))
            && plan.DenseWidths.Zip(plan.DenseWidths.Skip(1)).All(pair => pair.First < pair.Second)
            && plan is { MatchTolerance: >= 0, Resamples: >= 1, Megabytes: > 0, Vocabulary: > 256 };
        return holds
            ? plan with
            {
                Pruning = plan.Pruning.Validated(path),
            }
            : throw new BadInputException(
                $"{path}: lacks models, widths, tasks or targets, or one of its numbers is out of range. Use another copy, or begin "
                    + $"again in another folder."
            );
    }
}
