using System.Diagnostics;
using System.Reflection;
using CommandLine;
using Sparsity.Cli.Report;
using Sparsity.Cli.Viewer;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Data;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Reproduction;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

[Verb("demo")]
internal sealed class DemoVerb : EngineVerb
{
    private const int Vocabulary = 512;

    /// <summary>Share by which validation losses of sparse and dense model may differ.</summary>
    private const double EqualLoss = 0.02;

    private const int MostDenseModels = 4;

    /// <summary>Seed of prompts that no circuit was found on, unless someone chose just this one.</summary>
    private const ulong PromptsSeed = 1001;

    /// <summary>At which dense models have the sparse model's loss with the default budget, for most seeds.</summary>
    private const int FirstDenseWidth = 18;

    private static readonly int[] DenseWidths = [.. Enumerable.Range(4, 13).Select(half => 2 * half), 40, 48, 64, 96, 128];

    private static readonly string[] TaskNames = ["single_double_quote", "for_while", "indent_for"];

    [Option(
        "model",
        MetaValue = "DIR",
        HelpText = "Train nothing: show the circuits in the folder of this model, and measure one of them again."
    )]
    public string? Model { get; set; }

    [Option("task", HelpText = "With --model: whose circuit is measured and shown. (Default: the solved one of fewest edges)")]
    public string? Task { get; set; }

    [Option("out", MetaValue = "DIR", HelpText = "Folder to make. (Default: runs/demo; with --model runs/NAME-demo)")]
    public string? Out { get; set; }

    [Option("seed", Default = 1UL, HelpText = "Seed of everything; with --model that of its prompts, 1001 unless given.")]
    public ulong Seed { get; set; }

    [Option(
        "minutes",
        Default = 5.0,
        HelpText = "Rough minutes on two cores: how many tokens are trained on. Everything else is done in any case; "
            + "below 5 most dense circuits miss their targets."
    )]
    public double Minutes { get; set; }

    [Option("no-dense", HelpText = "Leave out the dense model.")]
    public bool NoDense { get; set; }

    private long Tokens => (long)(Minutes / 5 * 4_500_000);

    public override int Execute(CancellationToken stop)
    {
        if (Model is not null)
        {
            ShowModel(Model);
            return 0;
        }

        if (Task is not null)
        {
            throw new BadInputException("--task belongs to --model: 'demo' by itself prunes to tasks of its own. Leave it out.");
        }

        if (!(Minutes is > 0 and <= 10_000))
        {
            throw new BadInputException(FormattableString.Invariant($"--minutes is {Minutes}, but must be above 0 and at most 10000."));
        }

        long started = Stopwatch.GetTimestamp();
        using IComputeEngine engine = CreateEngine();
        string root = OutputFolder.Create(Out ?? "runs/demo");
        string dataPath = Path.Combine(root, "data");
        Terminal.Line($"corpus and tokenizer");
        CorpusVerb.WriteSynthetic(dataPath, 12, Seed);
        DataFolder data = DataFolder.Tokenize(dataPath, null, Vocabulary, separateBrackets: true);
        Terminal.Line(
            $"{data.Training.Length} training tokens, {data.Validation.Length} validation tokens, vocabulary "
                + $"{data.Tokenizer.VocabularySize}"
        );

        TrainedModel sparse = TrainSparse(engine, Path.Combine(root, "sparse"), data, stop);
        TrainedModel? dense = NoDense ? null : TrainDense(engine, root, data, sparse, stop);
        var circuits = new List<ReportCircuit>();
        TrainedModel[] models = dense is null ? [sparse] : [sparse, dense];
        foreach (TrainedModel model in models)
        {
            circuits.AddRange(Prune(engine, model, root, stop));
        }

        TrainingMetrics last = sparse.Metrics[^1];
        var summary = new DemoSummary(
            Seconds: Math.Round(Stopwatch.GetElapsedTime(started).TotalSeconds, 1),
            TokensPerSecond: Math.Round(sparse.Metrics.Average(metrics => metrics.TokensPerSecond), 0),
            TrainTokens: last.Tokens,
            ValidationLoss: last.ValidationLoss!.Value,
            BigramLoss: sparse.Record.BigramLoss,
            NonzeroFraction: last.Statistics!.NonzeroFraction,
            DenseValidationLoss: dense?.Metrics[^1].ValidationLoss,
            Circuits: [.. circuits.Select(entry => DemoCircuit.Of(entry.Model, entry.Circuit))]
        );
        AtomicFile.WriteText(Path.Combine(root, "summary.json"), JsonText.Write(summary));
        AtomicFile.WriteText(
            Path.Combine(root, "report.html"),
            ReportPage.Render(summary, [.. models.Select(model => new TrainingCurve(model.Name, model.Metrics))], circuits)
        );
        Print(summary, circuits, root);
        return 0;
    }

    private void ShowModel(string model)
    {
        TakesOnly("demo --model, which trains nothing,", ["model", "task", "seed", "out", .. EngineFlags]);
        using IComputeEngine engine = CreateEngine();
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model)));
        ModelDemo.Run(
            model,
            Task,
            Given.Contains("seed") ? Seed : PromptsSeed,
            Out ?? Path.Combine("runs", name + "-demo"),
            folder => Run.Open(folder, engine)
        );
    }

    private TrainedModel TrainSparse(IComputeEngine engine, string directory, DataFolder data, CancellationToken stop)
    {
        ModelConfig model = ModelConfig.Small(data.Tokenizer.VocabularySize);
        TrainingConfig training = (TrainingConfig.Small with { Seed = Seed, TotalTokens = Tokens }).Resolved(model);
        Terminal.Line($"training the sparse model on {training.TotalTokens} tokens");
        return Train(engine, DemoCircuit.Sparse, directory, data, model, training, stop);
    }

    /// <summary>
    /// A dense model of equal validation loss, trained on as many tokens: narrower than the sparse one. Begins with the width that is right
    /// for most seeds; the closest of those tried, if none is close enough.
    /// </summary>
    private TrainedModel TrainDense(IComputeEngine engine, string root, DataFolder data, TrainedModel sparse, CancellationToken stop)
    {
        var search = new WidthSearch(DenseWidths, FirstDenseWidth, sparse.ValidationLoss, EqualLoss);
        var tried = new List<TrainedModel>();
        while (search.Next is { } width && tried.Count < MostDenseModels)
        {
            var planned = new PlannedModel(ModelConfig.Small(Vocabulary).NLayer, width, Density: null, Tokens, Seed);
            ModelConfig model = planned.Shape(data.Tokenizer.VocabularySize);
            Terminal.Line($"training a dense model of width {width} on as many");
            string directory = Path.Combine(root, FormattableString.Invariant($"dense-{width}"));
            tried.Add(Train(engine, DemoCircuit.Dense, directory, data, model, planned.Training(model), stop));
            search.Add(tried[^1].ValidationLoss);
        }

        TrainedModel closest = tried.MinBy(model => Math.Abs(model.ValidationLoss - sparse.ValidationLoss))!;
        string chosen = Path.Combine(root, DemoCircuit.Dense);
        Directory.Move(closest.Directory, chosen);
        return closest with { Directory = chosen };
    }

    private static TrainedModel Train(
        IComputeEngine engine,
        string name,
        string directory,
        DataFolder data,
        ModelConfig model,
        TrainingConfig training,
        CancellationToken stop
    )
    {
        var metrics = new List<TrainingMetrics>();
        using TrainingRun run = Run.Create(directory, engine, data, model, training);
        if (!TrainingProgress.Run(run, stop, metrics.Add))
        {
            throw new OperationCanceledException();
        }

        return new TrainedModel(name, directory, metrics);
    }

    /// <summary>The circuits of all tasks, in a folder as <c>prune</c> makes it: several searches at a time.</summary>
    private List<ReportCircuit> Prune(IComputeEngine engine, TrainedModel model, string root, CancellationToken stop)
    {
        Terminal.Line($"pruning the {model.Name} model to {string.Join(", ", TaskNames)}");
        var config = new PruningConfig { Seed = Seed, InterchangeFactor = 2 };
        using var workers = new PruningWorkers(
            this,
            model.Directory,
            data: null,
            tokenizer: null,
            TaskNames.Length,
            config,
            withControls: false
        );
        var plan = new PruningPlan
        {
            Version = Assembly.GetExecutingAssembly().GetName().Version!.ToString(3),
            Model = Path.GetFullPath(model.Directory),
            ModelFingerprint = workers.Fingerprint,
            DataFingerprint = workers.DataFingerprint,
            Tasks = TaskNames,
            PruneUnsolved = true,
            TargetLosses = [config.TargetLoss],
            Seeds = [Seed],
            Settings = config,
        };
        string directory = OutputFolder.Create(Path.Combine(root, "circuits", model.Name));
        AtomicFile.WriteText(Path.Combine(directory, "prune.json"), JsonText.Write(plan));
        using var run = new PruningRun(directory, plan);
        var line = new PruningProgressLine(plan, run.Remaining.Count);
        run.Execute(workers.Subjects, line.Show, results => line.Finish(results[0].Task), stop);

        using ModelShelf models = ModelShelf.At(folder => Run.Open(folder, engine), model.Directory);
        var describer = new CircuitDescriber(models, circuit => TaskCatalogue.Find(circuit.Task));
        return
        [
            .. run.Results.Results.Select(result => new ReportCircuit(
                model.Name,
                describer.Describe(new CircuitFile(result.Task, Path.Combine(directory, result.Folder!, "circuit.json")))
            )),
        ];
    }

    private static void Print(DemoSummary summary, IReadOnlyList<ReportCircuit> circuits, string root)
    {
        Terminal.Table(
            ["circuit", "nodes", "edges", "smallest", "loss", "full model", "without it", "empty", "accuracy"],
            summary.Circuits.Select(Cells)
        );
        Terminal.Line($"{Losses(summary)}");
        Terminal.Line($"report: {Path.Combine(root, "report.html")}");
        if (Headline.EdgeComparison(summary, circuits) is { } sentence)
        {
            Terminal.Line($"{sentence}");
        }
    }

    /// <summary>A circuit's row of the table.</summary>
    internal static string[] Cells(DemoCircuit circuit) =>
        [
            $"{circuit.Model} {circuit.Task}",
            $"{circuit.Nodes}/{circuit.TotalNodes}",
            $"{circuit.Edges}/{circuit.TotalEdges}",
            $"{circuit.SmallestEdges}",
            Terminal.Number(circuit.Loss),
            Terminal.Number(circuit.LossFullModel),
            Terminal.Number(circuit.LossWithoutCircuit),
            Terminal.Number(circuit.LossEmpty),
            Terminal.Number(100 * circuit.Accuracy, "0.0") + " %",
        ];

    /// <summary>What the models came to, and how long it took.</summary>
    internal static string Losses(DemoSummary summary)
    {
        string dense = summary.DenseValidationLoss is { } loss ? $", dense {Terminal.Number(loss)}" : "";
        return FormattableString.Invariant(
                $"validation loss: sparse {summary.ValidationLoss:0.000} with {100 * summary.NonzeroFraction:0.00} % of weights{dense}, "
            ) + FormattableString.Invariant($"best bigram {summary.BigramLoss:0.000}; {summary.Seconds:0} s");
    }

    private sealed record TrainedModel(string Name, string Directory, IReadOnlyList<TrainingMetrics> Metrics)
    {
        public RunRecord Record => new RunFolder(Directory).ReadRecord();

        public double ValidationLoss => Metrics[^1].ValidationLoss!.Value;
    }
}
