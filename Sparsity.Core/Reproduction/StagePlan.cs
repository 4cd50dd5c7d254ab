using System.Text.Json.Serialization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Distributed;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;

namespace Sparsity.Core.Reproduction;

/// <summary>Text that a plan makes for itself.</summary>
/// <param name="Name">Of its folder, beside the models.</param>
/// <param name="Megabytes">Of synthetic Python.</param>
/// <param name="Vocabulary">Tokens of the tokenizer trained on it.</param>
/// <param name="Seed">Of the text.</param>
internal sealed record SyntheticText(string Name, double Megabytes, int Vocabulary, ulong Seed);

/// <summary>
/// plan.json: models to train and tasks to prune them to, with all settings. Two machines with one plan do the same work; a run that was
/// stopped goes on by it.
/// </summary>
internal abstract record StagePlan
{
    [JsonPropertyOrder(-2)]
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>This program's version.</summary>
    [JsonPropertyOrder(-1)]
    public required string Version { get; init; }

    /// <summary>Data folder that was given, as an absolute path; null for synthetic text.</summary>
    public string? Data { get; init; }

    /// <summary>
    /// <see cref="Sparsity.Core.Data.DataFolder.Fingerprint"/> of the data that were given; null for synthetic text, and in files of
    /// earlier versions.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? DataFingerprint { get; init; }

    /// <summary>Models whose settings are known beforehand.</summary>
    public required IReadOnlyList<PlannedModel> Models { get; init; }

    /// <summary>Which share of the models is made; null for all of them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Shard? Shard { get; init; }

    /// <summary>Those of <see cref="Models"/> that are made by this plan: of a shard, its own. They do not need each other.</summary>
    [JsonIgnore]
    public IReadOnlyList<PlannedModel> OwnModels => [.. Models.Where((_, i) => Shard?.Takes(i) != false)];

    /// <summary>Tasks to prune to; empty where nothing is pruned.</summary>
    public required IReadOnlyList<string> Tasks { get; init; }

    /// <summary>In nats, falling; the masks are the same for all of them.</summary>
    public required IReadOnlyList<double> TargetLosses { get; init; }

    /// <summary>Seed, method and target stand for those above in turn.</summary>
    public required PruningConfig Pruning { get; init; }

    /// <summary>What is made, and the name of its folder, which holds plan.json and the result.</summary>
    public abstract string Name { get; }

    /// <summary>The verb that carries the plan out.</summary>
    public abstract string Verb { get; }

    /// <summary>The verb's options that ask for this plan, but for <c>--out</c>.</summary>
    public abstract string Options { get; }

    /// <summary>What is trained on where no data were given; null where they were.</summary>
    public abstract SyntheticText? Synthetic { get; }

    /// <summary>What all of it takes, or its shard, in minutes of the machine of <see cref="ReproductionCost"/>.</summary>
    [JsonIgnore]
    public virtual double Minutes =>
        OwnModels.Sum(model =>
            ReproductionCost.TrainingMinutes(model) + (Tasks.Count > 0 ? ReproductionCost.PruningMinutes(model, this) : 0)
        );

    /// <summary>As the file holds it.</summary>
    public abstract string ToJson();

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

    /// <summary>The plan to go on with: the one that a folder was begun with, where its data are now.</summary>
    /// <param name="path">Of the begun plan.</param>
    /// <param name="begun">What is read from there.</param>
    /// <exception cref="BadInputException">Something else is asked for now.</exception>
    public static TPlan GoOn<TPlan>(string path, TPlan begun, TPlan asked)
        where TPlan : StagePlan
    {
        StagePlan moved =
            begun.DataFingerprint is not null && begun.DataFingerprint == asked.DataFingerprint ? begun with { Data = asked.Data } : begun;
        return moved.Options == asked.Options
            ? (TPlan)moved
            : throw new BadInputException($"{path}: was begun with {begun.Options}. Give the same again, or another --out.");
    }

    /// <summary>Whether what every plan must hold is in range.</summary>
    protected bool Holds() =>
        Models.Count > 0
        && Models.All(model => model is { Layers: >= 1, Width: >= 1, Tokens: >= 1 } && (model.Density is null or (> 0 and <= 1)))
        && Tasks.Count == 0 == (TargetLosses.Count == 0)
        && TargetLosses.All(target => target > 0)
        && (Shard is null || (Shard is { Index: >= 1 } shard && shard.Index <= shard.Count && shard.Count <= Models.Count));
}
