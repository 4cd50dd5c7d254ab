using System.Globalization;
using System.Text.Json.Serialization;
using Sparsity.Core.Files;

namespace Sparsity.Core.Reproduction;

/// <summary>A flag of <c>train</c> with the values that a sweep gives it.</summary>
/// <param name="Flag">Its name, without the dashes.</param>
/// <param name="Values">As they were given: one for all models, or several of which each model has one. A switch has true or
/// false.</param>
internal sealed record SweepFlag(string Flag, IReadOnlyList<string> Values);

/// <summary>plan.json of a sweep: every combination of values of flags of <c>train</c>, each a model.</summary>
internal sealed record SweepPlan : StagePlan
{
    /// <summary>Name of the folder of plan and result.</summary>
    public const string FolderName = "sweep";

    /// <summary>In the order in which they were given; models of the last one's values are neighbours.</summary>
    public required IReadOnlyList<SweepFlag> Flags { get; init; }

    /// <summary>File of settings for all models, which the flags override, as an absolute path; null for none.</summary>
    public string? Config { get; init; }

    [JsonIgnore]
    public override string Name => FolderName;

    [JsonIgnore]
    public override string Verb => "sweep";

    [JsonIgnore]
    public override string Options =>
        string.Join(
            ' ',
            (string[])
                [
                    $"--data {Data}",
                    .. Config is null ? [] : (string[])[$"--config {Config}"],
                    .. Flags.Select(flag => $"--{flag.Flag} {string.Join(',', flag.Values)}"),
                    .. Tasks.Count == 0
                        ? []
                        : (string[])
                            [
                                $"--prune {string.Join(',', Tasks)}",
                                $"--target-loss {TargetLosses[0].ToString(CultureInfo.InvariantCulture)}",
                            ],
                    .. Shard is null ? [] : (string[])[$"--shard {Shard}"],
                ]
        );

    [JsonIgnore]
    public override SyntheticText? Synthetic => null;

    public override string ToJson() => JsonText.Write(this);

    /// <summary>Every choice of one value for each flag; the last flag's values change first.</summary>
    public static IReadOnlyList<IReadOnlyDictionary<string, string>> Combinations(IEnumerable<SweepFlag> flags) =>
        flags.Aggregate(
            (IReadOnlyList<IReadOnlyDictionary<string, string>>)[new Dictionary<string, string>()],
            (chosen, flag) =>
                [.. from before in chosen from value in flag.Values select new Dictionary<string, string>(before) { [flag.Flag] = value }]
        );

    /// <summary>Reads plan.json.</summary>
    /// <exception cref="BadInputException">It is missing or damaged.</exception>
    public static SweepPlan Load(string path)
    {
        SweepPlan plan = JsonText.ReadFile<SweepPlan>(path);
        bool holds =
            plan.Holds()
            && plan.Data is not null
            && plan.Flags.All(flag => flag.Values.Count > 0)
            && plan.Models.All(model => model.Values is { Count: > 0 });
        return holds
            ? plan with
            {
                Pruning = plan.Pruning.Validated(path),
            }
            : throw new BadInputException(
                $"{path}: lacks data, models, flags or their values, or one of its numbers is out of range. Use another copy, or begin "
                    + $"again in another folder."
            );
    }
}
