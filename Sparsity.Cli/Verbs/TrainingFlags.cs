using System.ComponentModel;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Files;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

/// <summary>
/// A flag for each field of <see cref="TrainingConfig"/>, under the field's name; a flag that is given replaces what the configuration file
/// says.
/// </summary>
internal abstract class TrainingFlags : EngineVerb
{
    [Category("Length")]
    [Option("seed", HelpText = "Seed of weights and data order. (Default: {training.seed})")]
    public ulong? Seed { get; set; }

    [Category("Length")]
    [Option("tokens", HelpText = "Tokens to train on. (Default: {training.total_tokens})")]
    public long? TotalTokens { get; set; }

    [Category("Length")]
    [Option("batch", HelpText = "Sequences of a batch. (Default: {training.batch_sequences})")]
    public int? BatchSequences { get; set; }

    [Category("Length")]
    [Option(
        "batch-parts",
        HelpText = "Equal parts of a batch, computed one after the other or by several processes at once: more parts need less "
            + "memory. auto takes the fewest that fit. (Default: one for each process)"
    )]
    public string? BatchParts { get; set; }

    /// <summary>Whether the number of parts follows from the memory there is.</summary>
    protected bool PartsFollowFromMemory => BatchParts?.Equals("auto", StringComparison.OrdinalIgnoreCase) == true;

    [Category("Length")]
    [Option("context", HelpText = "Tokens of a sequence. (Default: {training.context_tokens})")]
    public int? ContextTokens { get; set; }

    [Category("Optimiser")]
    [Option("lr", HelpText = "Largest learning rate before sharkfin. (Default: {training.lr}; with --dense {dense.lr})")]
    public double? Lr { get; set; }

    [Category("Optimiser")]
    [Option("lr-decay", HelpText = "true or false: whether the rate falls linearly to 0 after the warm-up. (Default: {training.lr_decay})")]
    public bool? LrDecay { get; set; }

    [Category("Optimiser")]
    [Option(
        "lr-warmup-frac",
        HelpText = "Share of steps over which the rate rises from 0; 0 for none. (Default: {training.lr_warmup_frac})"
    )]
    public double? LrWarmupFrac { get; set; }

    [Category("Optimiser")]
    [Option("adam-beta1", HelpText = "Adam's decay of the first moment. (Default: {training.adam_beta1})")]
    public double? AdamBeta1 { get; set; }

    [Category("Optimiser")]
    [Option("adam-beta2", HelpText = "Adam's decay of the second moment. (Default: {training.adam_beta2})")]
    public double? AdamBeta2 { get; set; }

    [Category("Optimiser")]
    [Option("eps", HelpText = "Adam's epsilon, for a gradient of root mean square 1. (Default: {training.eps})")]
    public double? Eps { get; set; }

    [Category("Optimiser")]
    [Option(
        "weight-decay",
        HelpText = "Decoupled decay of matrices, as a multiple of the learning rate. (Default: {training.weight_decay})"
    )]
    public double? WeightDecay { get; set; }

    [Category("Optimiser")]
    [Option(
        "gradient-scaling",
        HelpText = "normalize (official code), clip (the paper) or none: what is done to the root mean square of the gradient. "
            + "(Default: {training.gradient_scaling})"
    )]
    public string? GradientScaling { get; set; }

    [Category("Optimiser")]
    [Option("gradient-clip-rms", HelpText = "Largest root mean square for clip. (Default: {training.gradient_clip_rms})")]
    public double? GradientClipRms { get; set; }

    [Category("Sparsity")]
    [Option("density", HelpText = "Share of nonzero weights in attention and MLP matrices. (Default: {training.density})")]
    public double? Density { get; set; }

    [Category("Sparsity")]
    [Option(
        "pfrac",
        HelpText = "The budget as the official script states it: relative to the base model of 256 channels. Instead of --density."
    )]
    public double? Pfrac { get; set; }

    [Category("Sparsity")]
    [Option("expansion-factor", HelpText = "E: width relative to the base model. (Default: d-model / 256)")]
    public double? ExpansionFactor { get; set; }

    [Category("Sparsity")]
    [Option("expansion-factor-mlp", HelpText = "E of the MLP: neurons relative to the base model. (Default: d-mlp / 1024)")]
    public double? ExpansionFactorMlp { get; set; }

    [Category("Sparsity")]
    [Option(
        "pfrac-anneal",
        HelpText = "true or false: whether the budget falls during training, or holds from the start. (Default: {training.pfrac_anneal})"
    )]
    public bool? PfracAnneal { get; set; }

    [Category("Sparsity")]
    [Option("pfrac-anneal-mode", HelpText = "linear or power_law. (Default: {training.pfrac_anneal_mode})")]
    public string? PfracAnnealMode { get; set; }

    [Category("Sparsity")]
    [Option("pfrac-anneal-exponent", HelpText = "Exponent of the linear curve. (Default: {training.pfrac_anneal_exponent})")]
    public double? PfracAnnealExponent { get; set; }

    [Category("Sparsity")]
    [Option(
        "pfrac-anneal-start-frac",
        HelpText = "Share of steps after which the budget falls. (Default: {training.pfrac_anneal_start_frac})"
    )]
    public double? PfracAnnealStartFrac { get; set; }

    [Category("Sparsity")]
    [Option(
        "pfrac-anneal-stop-frac",
        HelpText = "Share of steps at which the target is reached. (Default: {training.pfrac_anneal_stop_frac})"
    )]
    public double? PfracAnnealStopFrac { get; set; }

    [Category("Sparsity")]
    [Option("pfrac-anneal-initial", HelpText = "Budget at the start. (Default: the square of E, which is dense)")]
    public double? PfracAnnealInitial { get; set; }

    [Category("Sparsity")]
    [Option(
        "pfrac-anneal-schedule-lr-with-l0",
        HelpText = "true or false, sharkfin: the rate times sqrt(final budget / present budget). (Default: "
            + "{training.pfrac_anneal_schedule_lr_with_l0})"
    )]
    public bool? PfracAnnealScheduleLrWithL0 { get; set; }

    [Category("Sparsity")]
    [Option(
        "minimum-alive",
        HelpText = "Weights that every neuron and attention channel keeps. (Default: {training.minimum_alive_per_neuron})"
    )]
    public int? MinimumAlivePerNeuron { get; set; }

    [Category("Sparsity")]
    [Option(
        "sparse-biases",
        HelpText = "true (the paper) or false (the official code): whether biases are made sparse. (Default: {training.sparse_biases})"
    )]
    public bool? SparseBiases { get; set; }

    [Category("Model")]
    [Option("position-embeddings", HelpText = "none or learned. (Default: {training.position_embeddings})")]
    public string? PositionEmbeddings { get; set; }

    [Category("Course")]
    [Option("log-every", HelpText = "Steps between two lines of metrics. (Default: {training.log_every})")]
    public int? LogEvery { get; set; }

    [Category("Course")]
    [Option("evaluate-every", HelpText = "Steps between two validations. (Default: {training.evaluate_every})")]
    public int? EvaluateEvery { get; set; }

    [Category("Course")]
    [Option("validation-tokens", HelpText = "Most tokens of a validation. (Default: {training.validation_tokens})")]
    public int? ValidationTokens { get; set; }

    [Category("Course")]
    [Option("checkpoint-every", HelpText = "Steps between two checkpoints. (Default: {training.checkpoint_every})")]
    public int? CheckpointEvery { get; set; }

    [Category("Course")]
    [Option("keep", HelpText = "Checkpoints to keep: the last, and those before it. (Default: {training.keep_checkpoints})")]
    public int? KeepCheckpoints { get; set; }

    [Category("Course")]
    [Option(
        "compare-weights-every",
        HelpText = "With several processes, steps between two comparisons of their weights. (Default: {training.compare_weights_every})"
    )]
    public int? CompareWeightsEvery { get; set; }

    [Category("Course")]
    [Option(
        "on-nan",
        HelpText = "What to do if a loss or gradient is not finite. stop ends the run; skip leaves out the update of that step, and counts "
            + "it. (Default: {training.on_nan})"
    )]
    public string? OnNan { get; set; }

    /// <summary>The settings with the flags that were given.</summary>
    /// <exception cref="BadInputException">A flag's text is none of its values.</exception>
    protected TrainingConfig Apply(TrainingConfig settings)
    {
        var fields = new JsonObject();
        foreach (PropertyInfo field in typeof(TrainingConfig).GetProperties())
        {
            if (typeof(TrainingFlags).GetProperty(field.Name) is { } flag && flag.GetValue(this) is { } given)
            {
                if (flag.Name == nameof(BatchParts))
                {
                    if (PartsFollowFromMemory)
                    {
                        continue; // the engine is asked
                    }

                    given = NumberText.Parse<int>(BatchParts!, "--batch-parts");
                }

                if (given is double and not (> double.NegativeInfinity and < double.PositiveInfinity))
                {
                    throw new BadInputException(
                        $"--{flag.GetCustomAttribute<OptionAttribute>()!.LongName} is {given}, but must be a finite number."
                    );
                }

                fields[JsonText.Options.PropertyNamingPolicy!.ConvertName(field.Name)] = JsonSerializer.SerializeToNode(
                    given,
                    JsonText.Options
                );
            }
        }

        return settings.With(fields, "flags");
    }
}
