using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Storage;
using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Cli.Verbs;

[Verb("prune", HelpText = "Find the circuit of a task in a model.")]
internal sealed class PruneVerb : EngineVerb
{
    [Option("model", Required = true, HelpText = "Run folder.")]
    public string Model { get; set; } = "";

    [Option("task", Required = true, HelpText = "Name of a task ('sparsity tasks list'), or a JSON file of prompt pairs.")]
    public string Task { get; set; } = "";

    [Option("data", HelpText = "Data folder for the mean activations. (Default: the run's own)")]
    public string? Data { get; set; }

    [Option("config", HelpText = "JSON file of pruning settings; flags below override it.")]
    public string? Config { get; set; }

    [Option("target-loss", HelpText = "Task loss in nats that the circuit must not exceed. (Default: 0.15)")]
    public double? TargetLoss { get; set; }

    [Option("steps", HelpText = "Steps of mask training. (Default: 300)")]
    public int? Steps { get; set; }

    [Option("k-coef", Separator = ',', HelpText = "Penalties per kept node to try, comma-separated. (Default: 0.0005,0.001,0.002,0.003)")]
    public IEnumerable<double> KCoef { get; set; } = [];

    [Option("ablation", HelpText = "What other nodes are frozen at: mean or zero. (Default: mean)")]
    public Ablation? Ablation { get; set; }

    [Option("seed", HelpText = "Seed of mask and prompts. (Default: 1)")]
    public ulong? Seed { get; set; }

    [Option("out", Required = true, HelpText = "Folder for circuit.json.")]
    public string Out { get; set; } = "";

    public override int Run(CancellationToken stop)
    {
        PruningConfig config = Config is null ? new PruningConfig() : JsonText.ReadFile<PruningConfig>(Config);
        config = (config with
        {
            TargetLoss = TargetLoss ?? config.TargetLoss,
            Steps = Steps ?? config.Steps,
            KCoef = KCoef.Any() ? [.. KCoef] : config.KCoef,
            Ablation = Ablation ?? config.Ablation,
            Seed = Seed ?? config.Seed,
        }).Validated(Config ?? "prune");
        PromptTask task = File.Exists(Task) ? PromptTask.Load(Task) : TaskCatalogue.Find(Task);
        using IComputeEngine engine = CreateEngine();
        using var run = new OpenedRun(Model, engine);
        config = config with { MaxTokens = Math.Min(config.MaxTokens, run.Model.Config.BlockSize) };
        ReadOnlyMemory<ushort> tokens = run.OpenData(Data).Training;
        RunFolder folder = RunFolder.Create(Out);
        float[] means = MeanActivations.Measure(run.Model, new NodeLayout(run.Model.Config), tokens, run.Record.Training.ContextTokens, config.MeanBatches, config.Seed);
        Circuit circuit = Find(run.Model, run.Tokenizer, means, config, task, Model, stop);
        string path = Path.Combine(folder.Directory, "circuit.json");
        AtomicFile.WriteText(path, JsonText.Write(circuit));
        CircuitListing.Print(circuit);
        Terminal.Line($"written to {path}");
        return 0;
    }

    /// <summary>Prunes one task; a task that the tokenizer cannot pose is bad input.</summary>
    internal static Circuit Find(
        Transformer model, BytePairTokenizer tokenizer, float[] means, PruningConfig config, PromptTask task, string modelName, CancellationToken stop)
    {
        if (!TokenizedTask.TryCreate(task, tokenizer, config.MaxTokens, out TokenizedTask? tokenized, out string? reason))
        {
            throw new BadInputException($"task {task.Name} cannot be posed: {reason}");
        }

        var prompts = new TaskPrompts(
            tokenized.Sample(TaskSplit.Train, config.Seed, config.Steps * config.BatchPairs).Pairs,
            tokenized.Sample(TaskSplit.Train, config.Seed + 1, config.SelectionPairs).Pairs,
            tokenized.Sample(TaskSplit.Test, config.Seed, config.TestPairs).Pairs);
        using var search = new CircuitSearch(model, means, config);
        return search.Find(
            task.Name, modelName, prompts,
            progress => Terminal.Status($"{task.Name}: k_coef {progress.KCoef}, step {progress.Step}/{config.Steps}, loss {progress.Loss:0.000}, {progress.Nodes} nodes"), stop);
    }
}
