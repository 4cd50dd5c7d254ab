using System.Globalization;
using System.Text.Json.Serialization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Distributed;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;

namespace Sparsity.Core.Reproduction;

/// <summary>
/// plan.json: everything a figure is made from. Two machines with one plan do the same work; a run that was stopped goes on by it.
/// </summary>
internal sealed record ReproductionPlan
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>This program's version.</summary>
    public required string Version { get; init; }

    public required Figure Figure { get; init; }

    /// <summary>What was asked for.</summary>
    public required double BudgetMinutes { get; init; }

    /// <summary>Of <see cref="ReproductionScale.All"/>: the largest that the budget holds.</summary>
    public required int Scale { get; init; }

    /// <summary>What <see cref="ReproductionCost"/> expects on two cores.</summary>
    public required double EstimatedMinutes { get; init; }

    /// <summary>Seeds of models, masks and prompts count up from it; the text and the bootstrap have it itself.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Data folder that was given, as an absolute path; null for synthetic text.</summary>
    public string? Data { get; init; }

    /// <summary>
    /// <see cref="Sparsity.Core.Data.DataFolder.Fingerprint"/> of the data that were given; null for synthetic text, and in files of
    /// earlier versions.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? DataFingerprint { get; init; }

    /// <summary>Of synthetic text.</summary>
    public required double Megabytes { get; init; }

    /// <summary>Tokens of the tokenizer trained on synthetic text.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>Models whose settings are known beforehand: all but the dense ones that are matched to them.</summary>
    public required IReadOnlyList<PlannedModel> Models { get; init; }

    /// <summary>Which share of the models is made; null for all of them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Shard? Shard { get; init; }

    /// <summary>Those of <see cref="Models"/> that are made by this plan: of a shard, its own. They do not need each other.</summary>
    [JsonIgnore]
    public IReadOnlyList<PlannedModel> OwnModels => [.. Models.Where((_, i) => Shard?.Takes(i) != false)];

    /// <summary>Widths among which dense models are looked for, ascending; empty where the figure has none.</summary>
    public required IReadOnlyList<int> DenseWidths { get; init; }

    /// <summary>Where among them the search begins.</summary>
    public int FirstDenseWidth { get; init; }

    /// <summary>Share by which the validation loss of a dense model may differ from the sparse one's.</summary>
    public double MatchTolerance { get; init; } = 0.02;

    /// <summary>Tasks to prune to; empty where nothing is pruned.</summary>
    public required IReadOnlyList<string> Tasks { get; init; }

    /// <summary>In nats, falling; the masks are the same for all of them.</summary>
    public required IReadOnlyList<double> TargetLosses { get; init; }

    /// <summary>Seed, method and target stand for those above in turn.</summary>
    public required PruningConfig Pruning { get; init; }

    /// <summary>Of the bootstrap.</summary>
    public int Resamples { get; init; } = 10_000;

    /// <summary>Of the folder of synthetic text, which is made beside the models; null where data were given.</summary>
    [JsonIgnore]
    public string? DataName => Data is null ? FormattableString.Invariant($"data-{Megabytes}mb-seed-{Seed}") : null;

    /// <summary>The options of <c>reproduce</c> that ask for it, but for <c>--out</c>.</summary>
    [JsonIgnore]
    public string Options =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"--figure {Figure.Name()} --budget {BudgetMinutes} --seed "
                + $"{Seed}{(Data is null ? "" : $" --data {Data}")}{(Shard is null ? "" : $" --shard {Shard}")}"
        );

    /// <summary>The dense model of a width that is compared with a sparse one: the same but for width and sparsity.</summary>
    public PlannedModel Dense(PlannedModel sparse, int width) => sparse with { Width = width, Density = null };

    /// <summary>What to prune a model to, and how.</summary>
    /// <param name="model">Its run folder.</param>
    /// <param name="fingerprint">Of its weights.</param>
    /// <param name="seed">Of masks and prompts.</param>
    /// <param name="method">How nodes are ranked.</param>
    public PruningPlan PruningOf(string model, string fingerprint, ulong seed, PruningMethod method) =>
        new()
        {
            Version = Version,
            Model = model,
            ModelFingerprint = fingerprint,
            Tasks = Tasks,
            PruneUnsolved = false,
            TargetLosses = TargetLosses,
            Seeds = [seed],
            Settings = Pruning with { Seed = seed, Method = method, TargetLoss = TargetLosses[0] },
        };

    /// <summary>Reads plan.json.</summary>
    /// <exception cref="BadInputException">It is missing or damaged.</exception>
    public static ReproductionPlan Load(string path)
    {
        ReproductionPlan plan = JsonText.ReadFile<ReproductionPlan>(path);
        bool prunes = plan.Figure != Figure.Kurtosis;
        bool holds =
            plan.Models.Count > 0
            && plan.Models.All(model => model is { Layers: >= 1, Width: >= 1, Tokens: >= 1 } && (model.Density is null or (> 0 and <= 1)))
            && (plan.Figure != Figure.SizeVsLoss || plan.DenseWidths.Contains(plan.FirstDenseWidth))
            && plan.DenseWidths.Zip(plan.DenseWidths.Skip(1)).All(pair => pair.First < pair.Second)
            && (!prunes || (plan.Tasks.Count > 0 && plan.TargetLosses.Count > 0))
            && plan.TargetLosses.All(target => target > 0)
            && plan is { MatchTolerance: >= 0, Resamples: >= 1, Megabytes: > 0, Vocabulary: > 256 }
            && (
                plan.Shard is null
                || (plan.Shard is { Index: >= 1 } shard && shard.Index <= shard.Count && shard.Count <= plan.Models.Count)
            );
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
