using Sparsity.Core.Distributed;
using Sparsity.Core.Files;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// Joins the folders of a sweep's shards into the folder that one run of all of it would have made, byte for byte; doing it again changes
/// nothing.
/// </summary>
internal static class PruningMerge
{
    private const string PlanName = "prune.json";

    /// <summary>The shards in a folder: itself, or those below it.</summary>
    public static IEnumerable<string> Find(string folder) => Shard.Find(folder, found => File.Exists(Path.Combine(found, PlanName)));

    /// <summary>Writes the joined folder.</summary>
    /// <param name="shards">Folders, in any order.</param>
    /// <param name="directory">To be made, or made by an earlier merge.</param>
    /// <exception cref="BadInputException">Shards are missing, double, unfinished, or of different sweeps; nothing is written.</exception>
    public static PruningResults Run(IReadOnlyList<string> shards, string directory)
    {
        if (shards.Count == 0)
        {
            throw new BadInputException("merge: no shard was found. Give the folders of shards, or the one that holds them.");
        }

        var plans = shards.ToDictionary(folder => folder, folder => PruningPlan.Load(Path.Combine(folder, PlanName)));
        foreach ((string folder, PruningPlan own) in plans)
        {
            if (own.Shard is null)
            {
                throw new BadInputException($"{folder}: is a whole run, and no shard. There is nothing to join it with.");
            }
        }

        IReadOnlyList<string> inOrder = Shard.InOrder([.. shards.Select(folder => (plans[folder].Shard!, folder))]);
        PruningPlan plan = plans[inOrder[0]] with { Shard = null };
        string text = JsonText.Write(plan);
        PruningResult[] results = [.. inOrder.SelectMany(folder => Results(folder, plans[folder], inOrder[0], text))];
        bool isBegun = File.Exists(Path.Combine(directory, PlanName)) && JsonText.ReadAllText(Path.Combine(directory, PlanName)) == text;
        using var held = FolderLock.Take(isBegun ? directory : OutputFolder.Create(directory));
        AtomicFile.WriteText(Path.Combine(directory, PlanName), text);
        foreach (string folder in inOrder)
        {
            Copy(folder, directory);
        }

        // In the plan's order, not that of shards; last, as it says that all is there.
        ILookup<PruningJob, PruningResult> byJob = results.ToLookup(result => new PruningJob(result.Task, result.Seed));
        var all = new PruningResults([.. plan.Jobs.SelectMany(job => byJob[job])]);
        AtomicFile.WriteText(Path.Combine(directory, "results.json"), JsonText.Write(all));
        return all;
    }

    private static IReadOnlyList<PruningResult> Results(string folder, PruningPlan plan, string first, string text)
    {
        // Where a shard's machine had the same files is no matter: their fingerprints are compared.
        var whole = JsonText.Read<PruningPlan>(JsonText.ParseObject(text, first), first);
        PruningPlan moved = plan with
        {
            Shard = null,
            Model = whole.Model,
            Data = whole.Data is null || plan.Data is null ? plan.Data : whole.Data,
            TaskFiles = At(plan.TaskFiles, whole.TaskFiles),
        };
        if (JsonText.Write(moved) != text)
        {
            throw new BadInputException(
                $"{folder}: is a shard of another sweep than {first}: their prune.json differ in more than the shard. Give shards of "
                    + $"one sweep."
            );
        }

        using var run = new PruningRun(folder, plan);
        return run.Remaining.Count == 0
            ? run.Results.Results
            : throw new BadInputException($"{folder}: {run.Remaining.Count} of its searches are not done. Resume it first.");
    }

    private static IReadOnlyDictionary<string, TaskFile>? At(
        IReadOnlyDictionary<string, TaskFile>? files,
        IReadOnlyDictionary<string, TaskFile>? places
    ) =>
        files?.ToDictionary(
            entry => entry.Key,
            entry => entry.Value with { Path = places?.GetValueOrDefault(entry.Key)?.Path ?? entry.Value.Path }
        );

    /// <summary>Everything that belongs to single circuits.</summary>
    private static void Copy(string from, string to)
    {
        foreach (string path in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(from, path);
            if (relative is not (PlanName or "results.json") && !relative.StartsWith(FolderLock.FileName, StringComparison.Ordinal))
            {
                string copy = Path.Combine(to, relative);
                AtomicFile.CreateDirectory(Path.GetDirectoryName(copy)!);
                AtomicFile.WriteText(copy, JsonText.ReadAllText(path)); // circuits, activations, reports, tables: all of them text
            }
        }
    }
}
