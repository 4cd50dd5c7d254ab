using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

/// <summary>A flag for each field of <see cref="TrainingConfig"/>, under the field's name; a flag that is given replaces what the configuration file says.</summary>
internal abstract class TrainingFlags : EngineVerb
{
    [Option("seed", HelpText = "Seed of weights and data order. (Default: 1)")]
    public ulong? Seed { get; set; }

    [Option("tokens", HelpText = "Tokens to train on. (Default: 1500000)")]
    public long? TotalTokens { get; set; }

    [Option("batch", HelpText = "Sequences of a batch. (Default: 16)")]
    public int? BatchSequences { get; set; }

    [Option("batch-parts", HelpText = "Equal parts of a batch, computed one after the other or by several processes at once: more parts need less memory. (Default: one for each process)")]
    public int? BatchParts { get; set; }

    [Option("context", HelpText = "Tokens of a sequence. (Default: 64)")]
    public int? ContextTokens { get; set; }

    [Option("lr", HelpText = "Largest learning rate before sharkfin. (Default: 0.03)")]
    public double? Lr { get; set; }

    [Option("lr-decay", HelpText = "true or false: whether the rate falls linearly to 0 after the warm-up. (Default: true)")]
    public bool? LrDecay { get; set; }

    [Option("lr-warmup-frac", HelpText = "Share of steps over which the rate rises from 0; 0 for none. (Default: 0.01)")]
    public double? LrWarmupFrac { get; set; }

    [Option("adam-beta1", HelpText = "Adam's decay of the first moment. (Default: 0.9)")]
    public double? AdamBeta1 { get; set; }

    [Option("adam-beta2", HelpText = "Adam's decay of the second moment. (Default: 0.95)")]
    public double? AdamBeta2 { get; set; }

    [Option("eps", HelpText = "Adam's epsilon, for a gradient of root mean square 1. (Default: 0.1)")]
    public double? Eps { get; set; }

    [Option("weight-decay", HelpText = "Decoupled decay of matrices, as a multiple of the learning rate. (Default: 0.1)")]
    public double? WeightDecay { get; set; }

    [Option("gradient-scaling", HelpText = "normalize (official code), clip (the paper) or none: what is done to the root mean square of the gradient. (Default: normalize)")]
    public string? GradientScaling { get; set; }

    [Option("gradient-clip-rms", HelpText = "Largest root mean square for clip. (Default: 1)")]
    public double? GradientClipRms { get; set; }

    [Option("density", HelpText = "Share of nonzero weights in attention and MLP matrices. (Default: 0.0625)")]
    public double? Density { get; set; }

    [Option("pfrac", HelpText = "The same as the official script has it: nonzero budget relative to the base model of 256 channels. Instead of --density.")]
    public double? Pfrac { get; set; }

    [Option("expansion-factor", HelpText = "E. (Default: d-model / 256)")]
    public double? ExpansionFactor { get; set; }

    [Option("expansion-factor-mlp", HelpText = "E of the MLP. (Default: d-mlp / 1024)")]
    public double? ExpansionFactorMlp { get; set; }

    [Option("pfrac-anneal", HelpText = "true or false: whether the budget falls during training, or holds from the start. (Default: true)")]
    public bool? PfracAnneal { get; set; }

    [Option("pfrac-anneal-mode", HelpText = "linear or power_law. (Default: linear)")]
    public string? PfracAnnealMode { get; set; }

    [Option("pfrac-anneal-exponent", HelpText = "Exponent of the linear curve. (Default: 1)")]
    public double? PfracAnnealExponent { get; set; }

    [Option("pfrac-anneal-start-frac", HelpText = "Share of steps after which the budget falls. (Default: 0.01)")]
    public double? PfracAnnealStartFrac { get; set; }

    [Option("pfrac-anneal-stop-frac", HelpText = "Share of steps at which the target is reached. (Default: 0.5)")]
    public double? PfracAnnealStopFrac { get; set; }

    [Option("pfrac-anneal-initial", HelpText = "Budget at the start. (Default: the square of E, which is dense)")]
    public double? PfracAnnealInitial { get; set; }

    [Option("pfrac-anneal-schedule-lr-with-l0", HelpText = "true or false, sharkfin: the rate times sqrt(final budget / present budget). (Default: true)")]
    public bool? PfracAnnealScheduleLrWithL0 { get; set; }

    [Option("minimum-alive", HelpText = "Weights that every neuron and attention channel keeps. (Default: 4)")]
    public int? MinimumAlivePerNeuron { get; set; }

    [Option("sparse-biases", HelpText = "true (the paper) or false (the official code): whether biases are made sparse. (Default: true)")]
    public bool? SparseBiases { get; set; }

    [Option("position-embeddings", HelpText = "none or learned. (Default: learned)")]
    public string? PositionEmbeddings { get; set; }

    [Option("log-every", HelpText = "Steps between two lines of metrics. (Default: 10)")]
    public int? LogEvery { get; set; }

    [Option("evaluate-every", HelpText = "Steps between two validations. (Default: 200)")]
    public int? EvaluateEvery { get; set; }

    [Option("validation-tokens", HelpText = "Most tokens of a validation. (Default: 65536)")]
    public int? ValidationTokens { get; set; }

    [Option("checkpoint-every", HelpText = "Steps between two checkpoints. (Default: 500)")]
    public int? CheckpointEvery { get; set; }

    [Option("keep", HelpText = "Checkpoints to keep: the last, and those before it. (Default: 2)")]
    public int? KeepCheckpoints { get; set; }

    [Option("compare-weights-every", HelpText = "With several processes, steps between two comparisons of their weights. (Default: 100)")]
    public int? CompareWeightsEvery { get; set; }

    [Option("on-nan", HelpText = "stop, or skip: what a loss or gradient that is no finite number does to the run; skip leaves the step's update out and counts it. (Default: stop)")]
    public string? OnNan { get; set; }

    /// <summary>The settings with the flags that were given.</summary>
    /// <exception cref="BadInputException">A flag's text is none of its values.</exception>
    protected TrainingConfig Apply(TrainingConfig settings)
    {
        if (Density is not null || Pfrac is not null)
        {
            // Either replaces whichever of the two the file has.
            settings = settings with { Density = null, Pfrac = null };
        }

        JsonObject fields = JsonSerializer.SerializeToNode(settings, JsonText.Options)!.AsObject();
        foreach (PropertyInfo field in typeof(TrainingConfig).GetProperties())
        {
            if (typeof(TrainingFlags).GetProperty(field.Name) is { } flag && flag.GetValue(this) is { } given)
            {
                if (given is double and not (> double.NegativeInfinity and < double.PositiveInfinity))
                {
                    throw new BadInputException($"--{flag.GetCustomAttribute<OptionAttribute>()!.LongName} is {given}, but must be a finite number.");
                }

                fields[JsonText.Options.PropertyNamingPolicy!.ConvertName(field.Name)] = JsonSerializer.SerializeToNode(given, JsonText.Options);
            }
        }

        return JsonText.Read<TrainingConfig>(fields, "flags");
    }
}
