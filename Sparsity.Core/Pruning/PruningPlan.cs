using System.Text.Json.Serialization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Distributed;
using Sparsity.Core.Files;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>prune.json: everything that a folder of circuits was asked for, so that an interrupted run can go on.</summary>
internal sealed record PruningPlan
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>This program's version.</summary>
    public required string Version { get; init; }

    /// <summary>The model's folder, as a full path; relative in files of earlier versions.</summary>
    public required string Model { get; init; }

    /// <summary>SHA-256 of the model's weights.</summary>
    public required string ModelFingerprint { get; init; }

    /// <summary>Data folder of the mean activations, as a full path; null for the run's own.</summary>
    public string? Data { get; init; }

    /// <summary>Folder of the tokenizer, as an absolute path; null for the model's own, or that of the data.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Tokenizer { get; init; }

    /// <summary><see cref="Sparsity.Core.Data.DataFolder.Fingerprint"/> of the data; null in files of earlier versions.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? DataFingerprint { get; init; }

    /// <summary>Names of tasks; in files of earlier versions also paths of JSON files.</summary>
    public required IReadOnlyList<string> Tasks { get; init; }

    /// <summary>By name, the files of those that are not the program's own; null where all are.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, TaskFile>? TaskFiles { get; init; }

    /// <summary>Whether tasks that the model itself does not do are pruned too.</summary>
    public required bool PruneUnsolved { get; init; }

    /// <summary>In nats; the masks are the same for all of them.</summary>
    public required IReadOnlyList<double> TargetLosses { get; init; }

    public required IReadOnlyList<ulong> Seeds { get; init; }

    /// <summary>Prunings of a search for better settings, for each task and seed; 0 for none.</summary>
    public int Search { get; init; }

    /// <summary>Whether every circuit gets a faithfulness report.</summary>
    public bool Faithfulness { get; init; }

    /// <summary>Which share of the searches is done; null for all of them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Shard? Shard { get; init; }

    /// <summary>Everything else; its seed and target loss stand for those above in turn.</summary>
    public required PruningConfig Settings { get; init; }

    /// <summary>Reads prune.json.</summary>
    /// <exception cref="BadInputException">It is missing or damaged, or a setting is out of range.</exception>
    public static PruningPlan Load(string path)
    {
        PruningPlan plan = JsonText.ReadFile<PruningPlan>(path);
        return plan.Tasks.Count > 0 && plan.Seeds.Count > 0 && plan.TargetLosses.Count > 0 && plan.TargetLosses.All(target => target > 0)
            ? plan with
            {
                Settings = plan.Settings.Validated(path),
                TaskFiles = plan.TaskFiles?.ToDictionary(
                    task => task.Key,
                    task => task.Value.Near(Path.GetDirectoryName(Path.GetFullPath(path))!)
                ),
            }
            : throw new BadInputException(
                $"{path}: must have at least one of tasks, seeds and target_losses, and the last above 0. Use another copy, or begin again."
            );
    }

    /// <summary>Seed by seed, task by task; of a shard, its own.</summary>
    public IEnumerable<PruningJob> Jobs =>
        Seeds.SelectMany(seed => Tasks.Select(task => new PruningJob(task, seed))).Where((_, i) => Shard?.Takes(i) != false);

    /// <summary>Where a circuit lies below the run's folder: only what there are several of makes a level.</summary>
    public string FolderOf(string task, ulong seed, double target) =>
        Path.Combine(
            Tasks.Count > 1 ? task : "",
            Seeds.Count > 1 ? $"seed-{seed}" : "",
            TargetLosses.Count > 1 ? FormattableString.Invariant($"target-{target}") : ""
        );

    /// <summary>One of <see cref="Tasks"/>.</summary>
    /// <exception cref="BadInputException">It is not found, or its file holds other prompts than when the plan was made.</exception>
    public PromptTask FindTask(string task) =>
        TaskFiles?.GetValueOrDefault(task) is { } file ? PromptTask.FindAgain(task, file) : PromptTask.Find(task);

    /// <summary>The same plan where files and folders are now.</summary>
    /// <param name="model">The model's folder now; null for where it was.</param>
    /// <param name="data">The data folder now; null for where it was.</param>
    /// <param name="tasks">Files of tasks now; those not named are where they were.</param>
    /// <exception cref="BadInputException">A file is none of the plan's tasks.</exception>
    public PruningPlan At(string? model, string? data, IEnumerable<string> tasks)
    {
        var files = new Dictionary<string, TaskFile>(TaskFiles ?? new Dictionary<string, TaskFile>());
        foreach (string given in tasks)
        {
            PromptTask task = PromptTask.Find(given);
            files[task.Name] = files.TryGetValue(task.Name, out TaskFile? recorded)
                ? PromptTask.FindAgain(task.Name, recorded, given).File!
                : throw new BadInputException(
                    $"{given}: no task file of this run is named {task.Name}. Give the files of its tasks where they are now."
                );
        }

        return this with
        {
            Model = model is null ? Model : Path.GetFullPath(model),
            Data = data is null ? Data : Path.GetFullPath(data),
            TaskFiles = files.Count == 0 ? null : files,
        };
    }
}
