using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// Carries out a <see cref="PruningPlan"/> in a folder: several searches at a time, each in an engine of its own. What is finished stands
/// in results.json and is not done again; the masks of a search that was interrupted go on from where they were. Results do not depend on
/// how many run at a time.
/// </summary>
internal sealed class PruningRun : IDisposable
{
    private readonly PruningPlan _plan;
    private readonly FolderLock _folderLock;
    private readonly Lock _lock = new();
    private readonly Dictionary<PruningJob, IReadOnlyList<PruningResult>> _finished = [];

    /// <param name="directory">Of the run.</param>
    /// <param name="plan">Validated.</param>
    public PruningRun(string directory, PruningPlan plan)
    {
        Directory = directory;
        _plan = plan;
        _folderLock = FolderLock.Take(directory);
        try
        {
            ReadFinished();
        }
        catch
        {
            _folderLock.Dispose();
            throw;
        }
    }

    public string Directory { get; }

    /// <summary>results.json.</summary>
    public string ResultsPath => Path.Combine(Directory, "results.json");

    /// <summary>Searches yet to be done.</summary>
    public IReadOnlyList<PruningJob> Remaining => [.. _plan.Jobs.Where(job => !_finished.ContainsKey(job))];

    /// <summary>In the plan's order.</summary>
    public PruningResults Results => new([.. _plan.Jobs.Where(_finished.ContainsKey).SelectMany(job => _finished[job])]);

    /// <summary>Does everything that remains.</summary>
    /// <param name="subjects">One per search at a time, each in an engine of its own.</param>
    /// <param name="progress">Called now and then with the task's name, one call at a time.</param>
    /// <param name="finished">Called with the results of each search, one call at a time.</param>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>, after keeping what was done.</param>
    public void Execute(
        IReadOnlyList<PruningSubject> subjects,
        Action<string, PruningProgress>? progress = null,
        Action<IReadOnlyList<PruningResult>>? finished = null,
        CancellationToken stop = default
    )
    {
        var settings = new Dictionary<PruningJob, PruningConfig>();
        foreach (PruningJob job in Remaining)
        {
            settings[job] = _plan.Settings with { Seed = job.Seed, TargetLoss = _plan.TargetLosses[0] };
            if (_plan.Search > 0)
            {
                settings[job] = SearchedSettings(subjects, job, settings[job], progress, stop);
            }
        }

        var jobs = new Queue<PruningJob>(Remaining);
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(stop);
        ParallelSearches.Run(
            subjects,
            failed,
            subject =>
            {
                while (Next() is { } job)
                {
                    failed.Token.ThrowIfCancellationRequested();
                    IReadOnlyList<PruningResult> results = Do(subject, job, settings[job], failed.Token);
                    lock (_lock)
                    {
                        _finished[job] = results;
                        AtomicFile.WriteText(ResultsPath, JsonText.Write(Results));
                        finished?.Invoke(results);
                    }
                }
            }
        );

        PruningJob? Next()
        {
            lock (_lock)
            {
                return jobs.TryDequeue(out PruningJob job) ? job : null;
            }
        }

        IReadOnlyList<PruningResult> Do(PruningSubject subject, PruningJob job, PruningConfig config, CancellationToken cancel)
        {
            PromptTask task = _plan.FindTask(job.Task);
            using TaskPruning? pruning = TaskPruning.TryCreate(subject, task, config, out string reason);
            if (pruning is null)
            {
                return
                [
                    .. _plan.TargetLosses.Select(target => new PruningResult(job.Task, job.Seed, target, PruningStatus.Skipped, reason)),
                ];
            }

            double full = pruning.LossFullModel;
            double[] targets = [.. _plan.TargetLosses.Where(target => _plan.PruneUnsolved || full <= target)];
            string checkpointPath = Path.Combine(
                Folder(_plan.FolderOf(task.Name, job.Seed, 0), _plan.TargetLosses.Count > 1),
                "mask_state.json"
            );
            IReadOnlyList<PrunedTask> found =
                targets.Length == 0
                    ? []
                    : pruning.Find(
                        targets,
                        new MaskCheckpoint(checkpointPath, $"{task.Name}, seed {job.Seed}, model {_plan.ModelFingerprint}"),
                        step => Report(task.Name, step),
                        cancel
                    );
            List<PruningResult> results =
            [
                .. _plan
                    .TargetLosses.Except(targets)
                    .Select(target => new PruningResult(
                        job.Task,
                        job.Seed,
                        target,
                        PruningStatus.Unsolved,
                        Circuit.ModelMissesTarget,
                        full
                    )),
            ];
            foreach ((double target, PrunedTask pruned) in targets.Zip(found))
            {
                PruningResult result = Write(job, task, target, pruned);
                if (_plan.Faithfulness)
                {
                    var faithfulness = Faithfulness.Measure(
                        subject,
                        task,
                        pruned.Circuit,
                        (control, step) => Report($"{task.Name}, {control}", step),
                        cancel
                    );
                    faithfulness.WriteTo(Path.Combine(Directory, result.Folder!));
                    result = result with { Verdict = faithfulness.Verdict };
                }

                results.Add(result);
            }

            AtomicFile.Delete(checkpointPath);
            return [.. results.OrderBy(result => Array.IndexOf([.. _plan.TargetLosses], result.TargetLoss))];
        }

        void Report(string name, PruningProgress step)
        {
            lock (_lock)
            {
                progress?.Invoke(name, step);
            }
        }
    }

    public void Dispose() => _folderLock.Dispose();

    private void ReadFinished()
    {
        if (File.Exists(ResultsPath))
        {
            foreach (
                IGrouping<PruningJob, PruningResult> group in PruningResults
                    .Load(ResultsPath)
                    .Results.GroupBy(result => new PruningJob(result.Task, result.Seed))
            )
            {
                _finished[group.Key] = [.. group];
            }
        }
    }

    /// <summary>The settings of the best trial, kept in search.jsonl; those given where the task cannot be posed.</summary>
    private PruningConfig SearchedSettings(
        IReadOnlyList<PruningSubject> subjects,
        PruningJob job,
        PruningConfig centre,
        Action<string, PruningProgress>? progress,
        CancellationToken stop
    )
    {
        PromptTask task = _plan.FindTask(job.Task);
        using (TaskPruning? posed = TaskPruning.TryCreate(subjects[0], task, centre, out _))
        {
            if (posed is null || (!_plan.PruneUnsolved && posed.LossFullModel > _plan.TargetLosses.Max()))
            {
                return centre;
            }
        }

        string folder = Folder(_plan.FolderOf(task.Name, job.Seed, 0), _plan.TargetLosses.Count > 1);
        IReadOnlyList<SearchTrial> trials = SettingsSearch.Run(
            subjects,
            task,
            centre,
            _plan.Search,
            Path.Combine(folder, SearchTrial.FileName),
            trial =>
                progress?.Invoke(
                    $"{task.Name}, trial {trial.Trial}",
                    new PruningProgress(trial.KCoef, centre.Steps, trial.SelectionLoss, trial.Nodes)
                ),
            stop
        );
        return SettingsSearch.With(centre, trials.OrderBy(trial => trial.Score).ThenBy(trial => trial.Trial).First());
    }

    private PruningResult Write(PruningJob job, PromptTask task, double target, PrunedTask pruned)
    {
        string below = _plan.FolderOf(task.Name, job.Seed, target);
        string folder = Folder(below, parent: false);
        pruned.WriteTo(folder);
        CircuitMeasurements m = pruned.Circuit.Measurements;
        return new PruningResult(
            job.Task,
            job.Seed,
            target,
            pruned.Circuit.Solved == true ? PruningStatus.Solved
                : !(m.LossFullModel <= target) ? PruningStatus.Unsolved
                : PruningStatus.Missed,
            pruned.Circuit.Shortcoming is { Length: > 0 } why ? why : null,
            m.LossFullModel,
            pruned.Circuit.Nodes.Count,
            pruned.Circuit.Edges.Count,
            pruned.Circuit.JudgedLoss,
            m.LossWithoutCircuit,
            m.LossEmpty,
            m.LossRandomBest,
            below
        )
        {
            SmallestEdges = pruned.Circuit.Smallest?.Edges,
        };
    }

    /// <summary>Makes a folder below the run's; <paramref name="parent"/>: the one above it.</summary>
    private string Folder(string below, bool parent)
    {
        string folder = Path.Combine(Directory, parent ? Path.GetDirectoryName(below) ?? "" : below);
        AtomicFile.CreateDirectory(folder);
        return folder;
    }
}
