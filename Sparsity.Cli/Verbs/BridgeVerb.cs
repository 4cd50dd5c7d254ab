using CommandLine;
using Sparsity.Cli.Mpi;
using Sparsity.Core;
using Sparsity.Core.Engine;

namespace Sparsity.Cli.Verbs;

[Verb("bridge")]
internal sealed class BridgeVerb : ModelVerb
{
    [Value(0, MetaName = "action", Required = true, HelpText = "train, eval or steer.")]
    public string Action { get; set; } = "";

    [Option("dense", MetaValue = "DIR", HelpText = "The dense model's folder; of 'eval' and 'steer' where it is now, if it was moved.")]
    public string? Dense { get; set; }

    [Option(
        "out",
        MetaValue = "DIR",
        HelpText = "Run folder to make; of 'steer' the folder for steering.json, .csv and .html, of 'eval' that for evaluation.json."
    )]
    public string? Out { get; set; }

    [Option("seed", HelpText = "Seed of weights and data order, or of prompts and random directions. (Default: {training.seed})")]
    public ulong? Seed { get; set; }

    [Option(
        "resume",
        MetaValue = "DIR",
        HelpText = "Run folder to continue, with the settings it has; takes only --dense, --data, --init, --device and "
            + "--threads beside it, where they were moved."
    )]
    public string? Resume { get; set; }

    [Option(
        "init",
        MetaValue = "DIR",
        HelpText = "Run or released model whose sparse weights to start from, with its shape, settings and sparsity. (Default: "
            + "random weights)"
    )]
    public string? Init { get; set; }

    [Option(
        "config",
        MetaValue = "FILE",
        HelpText = "JSON file {\"model\": {...}, \"training\": {...}, \"bridge\": {...}}; flags override it."
    )]
    public string? Config { get; set; }

    [Option("tokens", HelpText = "Tokens to train on. (Default: {training.total_tokens})")]
    public long? Tokens { get; set; }

    [Option("batch", HelpText = "Sequences of a batch. (Default: {training.batch_sequences})")]
    public int? Batch { get; set; }

    [Option("context", HelpText = "Tokens of a sequence. (Default: {training.context_tokens})")]
    public int? Context { get; set; }

    [Option("lr", HelpText = "Largest learning rate of the sparse model before sharkfin. (Default: {training.lr})")]
    public double? LearningRate { get; set; }

    [Option("bridge-lr", HelpText = "Largest learning rate of the bridges, as a share of their weights. (Default: {bridge.lr})")]
    public double? BridgeLearningRate { get; set; }

    [Option("density", HelpText = "Share of nonzero weights in attention and MLP matrices. (Default: {training.density})")]
    public double? Density { get; set; }

    [Option(
        "minimum-alive",
        HelpText = "Weights that every neuron and attention channel keeps. (Default: {training.minimum_alive_per_neuron})"
    )]
    public int? MinimumAlive { get; set; }

    [Option("d-model", HelpText = "Residual channels of the sparse model. (Default: {model.d_model})")]
    public int? DModel { get; set; }

    [Option("d-mlp", HelpText = "MLP neurons of the sparse model. (Default: 4 * d-model)")]
    public int? DMlp { get; set; }

    [Option("model", MetaValue = "DIR", HelpText = "Run folder with bridges.")]
    public string? Model { get; set; }

    [Option("untrained", HelpText = "With random bridges instead of the trained ones, to compare with.")]
    public bool Untrained { get; set; }

    [Option(
        "node",
        MetaValue = "NODE,...",
        Separator = ',',
        HelpText = "Nodes of the sparse model that read the residual, such as 1.mlp.act_in.37, comma-separated."
    )]
    public IEnumerable<string> Nodes { get; set; } = [];

    [Option(
        "task",
        MetaValue = "TASK",
        HelpText = "Name of a task, or a JSON file of prompt pairs: the first prompt of each is presented, the second the "
            + "counterfactual."
    )]
    public string? Task { get; set; }

    [Option("swap", HelpText = "Present the second prompt of each pair instead.")]
    public bool Swap { get; set; }

    [Text]
    [Option("presented", HelpText = "One prompt instead of a task's.")]
    public string? Presented { get; set; }

    [Text]
    [Option("counterfactual", HelpText = "The prompt to take the node's activations from; as many tokens as --presented.")]
    public string? Counterfactual { get; set; }

    [Option("presented-answer", HelpText = "The token that is right after --presented.")]
    public string? PresentedAnswer { get; set; }

    [Option("counterfactual-answer", HelpText = "The token that is right after --counterfactual.")]
    public string? CounterfactualAnswer { get; set; }

    [Option("pairs", HelpText = "Pairs of the task. (Default: 64)")]
    public int? Pairs { get; set; }

    [Option("strengths", Separator = ',', HelpText = "Comma-separated. (Default: 0 to 1 by 0.1)")]
    public IEnumerable<double> Strengths { get; set; } = [];

    [Option("random", HelpText = "Random directions to compare with. (Default: 16)")]
    public int? RandomDirections { get; set; }

    public override int Execute(CancellationToken stop)
    {
        string[] flags = Manual.Flags("bridge", Action);
        if (Action == "train" && Resume is not null)
        {
            TakesOnly(
                "bridge train --resume, which goes on with the settings that the run has,",
                ["resume", "dense", "data", "tokenizer", "init", .. EngineFlags]
            );
        }

        // A task, or prompts of one's own.
        string[] others = Action switch
        {
            "steer" when Task is not null => ["presented", "counterfactual", "presented-answer", "counterfactual-answer"],
            "steer" => ["task", "swap", "pairs"],
            _ => [],
        };
        TakesOnly("bridge " + Action, flags.Except(others));
        MpiGroup? group = Action == "train" ? JoinGroup() : null;
        using IComputeEngine engine = CreateEngine(group);
        return Action switch
        {
            "train" => BridgeTraining.Run(this, engine, group, stop),
            "eval" => BridgeEvaluating.Run(this, engine, stop),
            _ => BridgeSteering.Run(this, engine, stop),
        };
    }

    /// <summary>A flag's value, which an action cannot do without.</summary>
    internal static string Required(string? value, string action, string flag) =>
        value ?? throw new BadInputException($"bridge {action} needs {flag}. See 'sparsity bridge --help'.");
}
