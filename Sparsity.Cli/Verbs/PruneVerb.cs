using System.ComponentModel;
using System.Reflection;
using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Distributed;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Verbs;

[Verb("prune")]
internal sealed class PruneVerb : ModelVerb
{
    [Option("model", MetaValue = "DIR", HelpText = "Folder of a run or of a released model. With --resume: where it is now.")]
    public string? Model { get; set; }

    [Category("Circuits")]
    [Option(
        "task",
        MetaValue = "TASK,...",
        Separator = ',',
        HelpText = "Names of tasks ('sparsity tasks list') or JSON files of prompt pairs, comma-separated. With --resume: where files "
            + "of tasks are now."
    )]
    public IEnumerable<string> Task { get; set; } = [];

    [Category("Circuits")]
    [Option("all-tasks", HelpText = "All tasks; those that the model itself does not do are reported and not pruned.")]
    public bool AllTasks { get; set; }

    [Category("Folders")]
    [Option("config", MetaValue = "FILE", HelpText = "JSON file of pruning settings (docs/pruning.md); flags below override it.")]
    public string? Config { get; set; }

    [Category("Circuits")]
    [Option(
        "target-loss",
        Separator = ',',
        HelpText = "Task losses in nats that circuits must not exceed, comma-separated: a circuit for each. (Default: "
            + "{pruning.target_loss})"
    )]
    public IEnumerable<double> TargetLoss { get; set; } = [];

    [Category("Search")]
    [Option("steps", HelpText = "Steps of mask training. (Default: {pruning.steps})")]
    public int? Steps { get; set; }

    [Category("Search")]
    [Option("k-coef", Separator = ',', HelpText = "Penalties per kept node to try, comma-separated. (Default: {pruning.k_coef})")]
    public IEnumerable<double> KCoef { get; set; } = [];

    [Category("Circuits")]
    [Option("ablation", HelpText = "What other nodes are frozen at: mean or zero. (Default: {pruning.ablation})")]
    public Ablation? Ablation { get; set; }

    [Category("Circuits")]
    [Option(
        "final-resid",
        HelpText = "Also the channels of final_resid, which the unembedding reads, as nodes: as in the official release's circuits, "
            + "not in the paper."
    )]
    public bool FinalResid { get; set; }

    [Category("Circuits")]
    [Option(
        "loss",
        HelpText = "What masks are trained on and circuits chosen and reported by: binary (between the two answers) or full (the "
            + "right answer among all tokens). (Default: {pruning.loss})"
    )]
    public TaskLoss? Loss { get; set; }

    [Category("Search")]
    [Option(
        "method",
        HelpText = "How nodes are ranked: mask (trained), or one of the baselines: attribution, integrated (gradients). (Default: "
            + "{pruning.method})"
    )]
    public PruningMethod? Method { get; set; }

    [Category("Search")]
    [Option(
        "interchange",
        HelpText = "Circuits must also survive interchange of activations with the full model: the loss may rise by (factor - 1) "
            + "times the target. 0 does not ask. (Default: {pruning.interchange_factor}; 2 is what --faithfulness asks)"
    )]
    public double? Interchange { get; set; }

    [Category("Search")]
    [Option(
        "removal-pass",
        HelpText = "Take nodes of little effect out of the circuit chosen, as long as it passes; of circuits of at most 512 nodes."
    )]
    public bool RemovalPass { get; set; }

    [Category("Circuits")]
    [Option(
        "criterion",
        HelpText = "Which loss has to meet the target: uncalibrated, or calibrated (after scale and shift of the logit difference). "
            + "(Default: {pruning.criterion})"
    )]
    public LossCriterion? Criterion { get; set; }

    [Category("Circuits")]
    [Option(
        "exclude",
        MetaValue = "NODE,...",
        Separator = ',',
        HelpText = "Names of nodes that no circuit may have, comma-separated: shows which circuit is found without them."
    )]
    public IEnumerable<string> Exclude { get; set; } = [];

    [Category("Search")]
    [Option("search", HelpText = "Prunings of a search for better settings before each circuit; the table is search.jsonl. (Default: 0)")]
    public int Search { get; set; }

    [Category("Checks")]
    [Option(
        "faithfulness",
        HelpText = "Also test each circuit against the model (answers, interchange, partial ablation) and against what the same search "
            + "finds for nonsense and in random models. Takes about five times as long."
    )]
    public bool Faithfulness { get; set; }

    [Category("Circuits")]
    [Option(
        "seed",
        Separator = ',',
        HelpText = "Seeds of mask and prompts, comma-separated: a circuit for each. (Default: {pruning.seed})"
    )]
    public IEnumerable<ulong> Seed { get; set; } = [];

    [Category("Folders")]
    [Option(
        "shard",
        MetaValue = "i/n",
        HelpText = "i/n: do only the i-th of n shares of the tasks and seeds, into a folder of its own below --out; 'merge' joins them."
    )]
    public string? Shard { get; set; }

    [Category("Folders")]
    [Option("out", MetaValue = "DIR", HelpText = "Folder to make.")]
    public string? Out { get; set; }

    [Category("Folders")]
    [Option(
        "resume",
        MetaValue = "DIR",
        HelpText = "Folder of an interrupted run to go on with, with the settings it has; takes only --model, --data, --task, "
            + "--tokenizer, --device, --threads and --precision beside it."
    )]
    public string? Resume { get; set; }

    public override int Execute(CancellationToken stop)
    {
        RequireUsed();
        PruningPlan? resumed = Resume is null ? null : PruningPlan.Load(Path.Combine(Resume, "prune.json")).At(Model, Data, Task);
        PromptTask[] tasks =
            resumed is not null ? [.. resumed.Tasks.Select(resumed.FindTask)]
            : AllTasks ? [.. TaskCatalogue.All]
            : [.. Task.Select(PromptTask.Find)];
        PruningConfig config = resumed?.Settings ?? Settings();
        string model = Path.GetFullPath(
            resumed is null
                ? Model ?? throw new BadInputException("prune needs --model DIR, the folder of a run or of a released model.")
                : Model ?? RecordedPath.Folder(resumed.Model, Resume!)
        );
        string? data = resumed?.Data is { } recorded ? Data ?? RecordedPath.Folder(recorded, Resume!) : Data;
        Shard? shard = Shard is null ? null : Core.Distributed.Shard.Parse(Shard);
        string directory =
            Resume
            ?? (Out is not null && shard is not null ? Path.Combine(Out, shard.FolderName) : Out)
            ?? throw new BadInputException("prune needs --out DIR, a folder to make.");
        if (tasks.Length == 0)
        {
            throw new BadInputException("prune needs --task NAME or --all-tasks; 'sparsity tasks list' shows the tasks.");
        }

        // Before any device starts: unknown tasks, and two of one name, which would share a folder.
        string[] names = [.. tasks.Select(task => task.Name)];
        if (names.Distinct().Count() < names.Length)
        {
            throw new BadInputException(
                $"--task: {names.GroupBy(name => name).First(group => group.Count() > 1).Key} is given twice. Name each task once."
            );
        }

        if (Search is < 0 or > 100_000)
        {
            throw new BadInputException($"--search is {Search}, but must be 0 (none) to 100000.");
        }

        shard?.RequireWork(tasks.Length * Math.Max(1, Seed.Distinct().Count()));
        string? tokenizer =
            Tokenizer is not null ? Path.GetFullPath(Tokenizer)
            : resumed?.Tokenizer is { } recordedTokenizer ? RecordedPath.Folder(recordedTokenizer, Resume!)
            : null;
        int searches = tasks.Length * Math.Max(1, resumed?.Seeds.Count ?? Seed.Count());
        using var workers = new PruningWorkers(
            this,
            model,
            data,
            tokenizer,
            Math.Max(searches, resumed?.Search ?? Search),
            config,
            resumed?.Faithfulness ?? Faithfulness
        );
        var layout = new NodeLayout(workers.Subjects[0].Model.Config, config.FinalResid);
        foreach (Node excluded in config.Exclude)
        {
            layout.IndexOf(excluded); // refused before the folder is made
        }

        PruningPlan plan =
            resumed
            ?? new PruningPlan
            {
                Version = Assembly.GetExecutingAssembly().GetName().Version!.ToString(3),
                Model = model,
                ModelFingerprint = workers.Fingerprint,
                Data = data is null ? null : Path.GetFullPath(data),
                DataFingerprint = workers.DataFingerprint,
                Tokenizer = tokenizer,
                Tasks = names,
                TaskFiles = tasks.Any(task => task.File is not null)
                    ? tasks.Where(task => task.File is not null).ToDictionary(task => task.Name, task => task.File!)
                    : null,
                PruneUnsolved = !AllTasks,
                TargetLosses = TargetLoss.Any() ? [.. TargetLoss.Distinct()] : [config.TargetLoss],
                Seeds = Seed.Any() ? [.. Seed.Distinct()] : [config.Seed],
                Search = Search,
                Faithfulness = Faithfulness,
                Shard = shard,
                Settings = config,
            };
        if (plan.ModelFingerprint != workers.Fingerprint)
        {
            throw new BadInputException(
                $"{directory}: was begun with other weights than {model} has now. Give the right folder with --model DIR, or begin "
                    + $"anew with another --out."
            );
        }

        if (plan.DataFingerprint is not null && plan.DataFingerprint != workers.DataFingerprint)
        {
            throw new BadInputException(
                $"{directory}: was begun with other data than {data ?? "the model's folder"} holds now. Give the right folder with "
                    + "--data DIR, or begin anew with another --out."
            );
        }

        if (resumed is null)
        {
            AtomicFile.WriteText(Path.Combine(OutputFolder.Create(directory), "prune.json"), JsonText.Write(plan));
        }

        using var run = new PruningRun(directory, plan);
        try
        {
            var line = new PruningProgressLine(plan, run.Remaining.Count);
            run.Execute(
                workers.Subjects,
                line.Show,
                results =>
                {
                    line.Finish(results[0].Task);
                    PruningListing.Print(results, plan);
                },
                stop
            );
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Terminal.Line($"stopped; continue with: sparsity prune --resume {directory}");
            return 0;
        }

        PruningListing.Print(run, plan);
        return 0;
    }

    /// <summary>Refuses flags that would be passed over.</summary>
    private void RequireUsed()
    {
        if (Resume is not null)
        {
            TakesOnly(
                "prune --resume, which goes on with the settings that the run has,",
                ["resume", "model", "data", "tokenizer", "task", .. EngineFlags]
            );
        }

        if (AllTasks && Task.Any())
        {
            throw new BadInputException("prune: --all-tasks contradicts --task. Give one.");
        }
    }

    private static Node NodeNamed(string name) =>
        Node.TryParse(name, out Node node) ? node : throw new BadInputException($"--exclude: '{name}' is no node. {Node.Grammar}");

    private PruningConfig Settings()
    {
        PruningConfig config = Config is null ? new PruningConfig() : JsonText.ReadFile<PruningConfig>(Config);
        PruningMethod method = Method ?? config.Method;
        string[] maskFlags = ["steps", "k-coef", "search"];
        if (method != PruningMethod.Mask && Given.Overlaps(maskFlags))
        {
            throw new BadInputException(
                $"prune: the method {method.ToString().ToLowerInvariant()}{(Method is null ? $" of {Config}" : "")} trains no mask, so it "
                    + $"does not use {string.Join(", ", maskFlags.Where(Given.Contains).Select(flag => "--" + flag))}. Leave it out."
            );
        }

        foreach (double target in TargetLoss)
        {
            (config with { TargetLoss = target }).Validated("prune");
        }

        return (
            config with
            {
                TargetLoss = TargetLoss.Any() ? TargetLoss.First() : config.TargetLoss,
                Steps = Steps ?? config.Steps,
                KCoef = KCoef.Any() ? [.. KCoef] : config.KCoef,
                Ablation = Ablation ?? config.Ablation,
                FinalResid = FinalResid || config.FinalResid,
                Loss = Loss ?? config.Loss,
                CircuitLoss = Loss ?? config.CircuitLoss,
                Method = method,
                InterchangeFactor = Interchange ?? config.InterchangeFactor,
                RemovalPass = RemovalPass || config.RemovalPass,
                Criterion = Criterion ?? config.Criterion,
                Exclude = Exclude.Any() ? [.. Exclude.Select(NodeNamed)] : config.Exclude,
                Seed = Seed.Any() ? Seed.First() : config.Seed,
            }
        ).Validated(Config ?? "prune");
    }
}
