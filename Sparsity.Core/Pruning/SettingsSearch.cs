using System.Text.Json.Nodes;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>One pruning of a settings search: a line of search.jsonl.</summary>
/// <param name="Trial">0-based; the first are the centre itself, one for each of its penalties.</param>
/// <param name="MeetsTarget">On the selection prompts.</param>
/// <param name="LossWithoutCircuit">On the selection prompts.</param>
/// <param name="Score">Lower is better: the edges of a circuit that meets the target and is necessary; others come after all of
/// these.</param>
internal sealed record SearchTrial(
    int Trial,
    double KCoef,
    double Lr,
    double Beta2,
    double Temperature,
    double InitialBias,
    double WeightDecay,
    double LrWarmupFrac,
    double GradientClipNorm,
    int Nodes,
    int Edges,
    double SelectionLoss,
    bool MeetsTarget,
    double LossWithoutCircuit,
    double Score
)
{
    /// <summary>Where trials are kept, beside the circuit or above the circuits of several targets.</summary>
    public const string FileName = "search.jsonl";

    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>The trials of a file, in its order.</summary>
    /// <exception cref="BadInputException">It is damaged, or of a newer version.</exception>
    public static SearchTrial[] ReadAll(string path) =>
        [
            .. JsonText
                .ReadAllText(path)
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line =>
                {
                    JsonObject json = JsonText.ParseObject(line, path);
                    FileFormat.RequireKnown(json, path);
                    return JsonText.Read<SearchTrial>(json, path);
                }),
        ];
}

/// <summary>
/// An evolutionary search for pruning settings around a centre (docs/method.md section 4: all of them are centres of a search). Rounds of 8
/// prunings that may run at the same time. The first trials are what pruning without a search would choose among, so that the best trial is
/// never worse than that on the selection prompts; the rest of the first round varies the centre, and each later trial one of the four best
/// of all rounds before. What a trial tries depends on the seed and the earlier rounds only.
/// </summary>
internal static class SettingsSearch
{
    private const int RoundTrials = 8;
    private const int Parents = 4;

    /// <summary>Standard deviation, in natural logarithms, of a setting's variation in the first round and later.</summary>
    private const double FirstSpread = 0.7;
    private const double LaterSpread = 0.35;
    private const double MostWarmup = 0.3;

    /// <summary>Scores of circuits that miss the target or are not necessary start here.</summary>
    private const double Failed = 1e6;

    /// <param name="subjects">One per pruning at a time, each in an engine of its own.</param>
    /// <param name="task">The task.</param>
    /// <param name="centre">Validated.</param>
    /// <param name="trials">How many prunings.</param>
    /// <param name="tablePath">search.jsonl; the trials it holds are not done again.</param>
    /// <param name="finished">Called with each trial, one call at a time.</param>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>; finished trials are kept.</param>
    /// <returns>All trials, in their order.</returns>
    public static IReadOnlyList<SearchTrial> Run(
        IReadOnlyList<PruningSubject> subjects,
        PromptTask task,
        PruningConfig centre,
        int trials,
        string tablePath,
        Action<SearchTrial>? finished = null,
        CancellationToken stop = default
    )
    {
        var done = new SortedDictionary<int, SearchTrial>();
        if (File.Exists(tablePath))
        {
            foreach (SearchTrial trial in SearchTrial.ReadAll(tablePath))
            {
                done[trial.Trial] = trial;
            }
        }

        for (int round = 0; round * RoundTrials < trials; round++)
        {
            SearchTrial[] best =
            [
                .. done
                    .Values.Where(trial => trial.Trial < round * RoundTrials)
                    .OrderBy(trial => trial.Score)
                    .ThenBy(trial => trial.Trial)
                    .Take(Parents),
            ];
            var open = new Queue<int>(
                Enumerable
                    .Range(round * RoundTrials, Math.Min(RoundTrials, trials - (round * RoundTrials)))
                    .Where(trial => !done.ContainsKey(trial))
            );
            using var failed = CancellationTokenSource.CreateLinkedTokenSource(stop);
            ParallelSearches.Run(
                subjects,
                failed,
                subject =>
                {
                    while (Next() is { } trial)
                    {
                        SearchTrial result = Try(subject, trial, Propose(trial, best), failed.Token);
                        lock (done)
                        {
                            done[trial] = result;
                            AtomicFile.WriteText(tablePath, string.Concat(done.Values.Select(JsonText.WriteLine)));
                            finished?.Invoke(result);
                        }
                    }
                }
            );

            int? Next()
            {
                lock (done)
                {
                    return open.TryDequeue(out int trial) ? trial : null;
                }
            }
        }

        return [.. done.Values.Where(trial => trial.Trial < trials)];

        SearchTrial Try(PruningSubject subject, int trial, PruningConfig config, CancellationToken cancel)
        {
            using TaskPruning pruning = TaskPruning.Create(subject, task, config);
            using var search = new CircuitSearch(pruning.Evaluator);
            ChosenNodes chosen = search.Choose(
                search.TrainMasks(pruning.Prompts.Training, stop: cancel),
                pruning.Prompts.Selection,
                config.TargetLoss
            );
            double without = pruning.Evaluator.Loss(chosen.Nodes.Complement(), pruning.Prompts.Selection);
            int edges = pruning.Evaluator.Graph.Edges(chosen.Nodes).Count();
            double score =
                !chosen.PassesSelection ? (2 * Failed) + chosen.SelectionLoss
                : without < config.NecessityLoss ? Failed + edges
                : edges;
            return new SearchTrial(
                trial,
                config.KCoef[0],
                config.Lr,
                config.Beta2,
                config.Temperature,
                config.InitialBias,
                config.WeightDecay,
                config.LrWarmupFrac,
                config.GradientClipNorm,
                chosen.Nodes.Count,
                edges,
                chosen.SelectionLoss,
                chosen.PassesSelection,
                without,
                score
            );
        }

        PruningConfig Propose(int trial, SearchTrial[] best)
        {
            if (trial < centre.KCoef.Count)
            {
                return centre with { KCoef = [centre.KCoef[trial]] };
            }

            var random = RandomSource.For(centre.Seed, $"search of {task.Name}", trial);
            PruningConfig parent = best.Length == 0 ? centre with { KCoef = [random.Pick(centre.KCoef)] } : With(centre, random.Pick(best));
            double spread = best.Length == 0 ? FirstSpread : LaterSpread;
            return parent with
            {
                KCoef = [Vary(parent.KCoef[0])],
                Lr = Vary(parent.Lr),
                Beta2 = 1 - Math.Min(1, Vary(1 - parent.Beta2)),
                Temperature = Vary(parent.Temperature),
                InitialBias = Math.Min(1, Vary(parent.InitialBias)),
                WeightDecay = Vary(parent.WeightDecay),
                LrWarmupFrac = Math.Clamp(parent.LrWarmupFrac + (0.1 * spread * random.NextNormal()), 0, MostWarmup),
                GradientClipNorm = Vary(parent.GradientClipNorm),
            };

            double Vary(double value) => value * Math.Exp(spread * random.NextNormal());
        }
    }

    /// <summary>The settings of a trial.</summary>
    public static PruningConfig With(PruningConfig centre, SearchTrial trial) =>
        centre with
        {
            KCoef = [trial.KCoef],
            Lr = trial.Lr,
            Beta2 = trial.Beta2,
            Temperature = trial.Temperature,
            InitialBias = trial.InitialBias,
            WeightDecay = trial.WeightDecay,
            LrWarmupFrac = trial.LrWarmupFrac,
            GradientClipNorm = trial.GradientClipNorm,
        };
}
