using System.Text.Json.Nodes;
using Sparsity.Core.Files;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>What is done to the gradient before Adam sees it (docs/method.md section 2, step 3).</summary>
public enum GradientScaling
{
    /// <summary>Divided by the root mean square of the whole gradient + 1e-5, always: the official code.</summary>
    Normalize,

    /// <summary>Scaled down so that its root mean square is at most gradient_clip_rms: the paper's text.</summary>
    Clip,

    /// <summary>Left as it is.</summary>
    None,
}

/// <summary>How the nonzero budget falls from its start to its target.</summary>
public enum AnnealMode
{
    /// <summary>Linearly in 1 - (1 - progress)^exponent.</summary>
    Linear,

    /// <summary>Linearly in log step against log budget.</summary>
    PowerLaw,
}

/// <summary>What becomes of wpe where it is added to the token embedding.</summary>
public enum PositionEmbeddings
{
    /// <summary>Stays zero: the paper's setting.</summary>
    None,

    /// <summary>Trained from zero, selected and decayed: what the official script does.</summary>
    Learned,
}

/// <summary>What becomes of a run at a step whose loss or gradient is NaN or infinite.</summary>
public enum NonFinite
{
    /// <summary>It ends there; the last checkpoint stands.</summary>
    Stop,

    /// <summary>It leaves the step's update out, counts it, and goes on.</summary>
    Skip,
}

/// <summary>How a model is trained (docs/method.md section 2). Names are the official script's where it has them.</summary>
public sealed record TrainingConfig
{
    /// <summary>Seed of initial weights and of the order of the data.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>
    /// Tokens to train on; the run takes total_tokens / batch_sequences / context_tokens + 1 steps, the first and last of them at rate 0.
    /// </summary>
    public long TotalTokens { get; init; } = 1_500_000;

    /// <summary>B, sequences of a batch, from 1. The paper: 512.</summary>
    public int BatchSequences { get; init; } = 16;

    /// <summary>
    /// P: equal parts of a batch that are computed one after the other, or by several processes at once, and summed in their order. More
    /// parts need less memory each. Results depend on P (in their last bits), not on how many processes share the parts; null for one part
    /// for each process.
    /// </summary>
    public int? BatchParts { get; init; }

    /// <summary>T, tokens of a sequence, from 2 to block_size. The paper: 256.</summary>
    public int ContextTokens { get; init; } = 64;

    /// <summary>Largest learning rate, before sharkfin. The official example: 1.28e-2 at E = 4.</summary>
    public double Lr { get; init; } = 1.28e-2;

    /// <summary>Whether the rate falls linearly to 0 at the last step after the warm-up.</summary>
    public bool LrDecay { get; init; } = true;

    /// <summary>Share of steps over which the rate rises linearly from 0; null for none.</summary>
    public double? LrWarmupFrac { get; init; } = 0.01;

    /// <summary>Adam's decay of the first moment, in [0, 1).</summary>
    public double AdamBeta1 { get; init; } = 0.9;

    /// <summary>Adam's decay of the second moment, in [0, 1).</summary>
    public double AdamBeta2 { get; init; } = 0.95;

    /// <summary>Adam's epsilon. The official value is 0.1: large, as the gradient is normalised.</summary>
    public double Eps { get; init; } = 0.1;

    /// <summary>Decoupled weight decay of matrices, as a multiple of the learning rate.</summary>
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>What is done to the gradient before Adam.</summary>
    public GradientScaling GradientScaling { get; init; } = GradientScaling.Normalize;

    /// <summary>For <see cref="GradientScaling.Clip"/>: largest root mean square of the gradient.</summary>
    public double GradientClipRms { get; init; } = 1;

    /// <summary>
    /// Nonzero budget relative to the base model (256 channels, 1024 neurons); null together with <see cref="Density"/> for a dense model.
    /// </summary>
    public double? Pfrac { get; init; }

    /// <summary>
    /// The same budget as the share of nonzero entries of attention and MLP matrices, in (0, 1]: pfrac / (E * E_mlp). Give this or pfrac.
    /// </summary>
    public double? Density { get; init; }

    /// <summary>E: d_model relative to the base model's 256; null takes it from the model.</summary>
    public double? ExpansionFactor { get; init; }

    /// <summary>E_mlp: d_mlp relative to the base model's 1024; null takes it from the model.</summary>
    public double? ExpansionFactorMlp { get; init; }

    /// <summary>Whether the budget falls during training; otherwise the target holds from the start.</summary>
    public bool PfracAnneal { get; init; } = true;

    /// <summary>The curve of annealing.</summary>
    public AnnealMode PfracAnnealMode { get; init; } = AnnealMode.Linear;

    /// <summary>Exponent of the linear curve, from 1.</summary>
    public double PfracAnnealExponent { get; init; } = 1;

    /// <summary>Share of steps after which annealing starts.</summary>
    public double PfracAnnealStartFrac { get; init; } = 0.01;

    /// <summary>Share of steps at which the target is reached. The paper: 0.5, and 0.8 for its largest sparsest models.</summary>
    public double PfracAnnealStopFrac { get; init; } = 0.5;

    /// <summary>Budget at the start; null for the official "max", E * E: dense.</summary>
    public double? PfracAnnealInitial { get; init; }

    /// <summary>Sharkfin: whether the rate is multiplied by sqrt(final budget / present budget).</summary>
    public bool PfracAnnealScheduleLrWithL0 { get; init; } = true;

    /// <summary>j: entries that every neuron and attention channel keeps, from 0.</summary>
    public int MinimumAlivePerNeuron { get; init; } = 4;

    /// <summary>Whether biases are made sparse too: the paper; the official code selects but never zeroes them.</summary>
    public bool SparseBiases { get; init; } = true;

    /// <summary>What becomes of wpe where it is added to the token embedding.</summary>
    public PositionEmbeddings PositionEmbeddings { get; init; } = PositionEmbeddings.None;

    /// <summary>Steps between two lines of metrics, from 1.</summary>
    public int LogEvery { get; init; } = 10;

    /// <summary>Steps between two measurements of the validation loss, from 1.</summary>
    public int EvaluateEvery { get; init; } = 200;

    /// <summary>Most validation tokens one measurement reads.</summary>
    public int ValidationTokens { get; init; } = 65_536;

    /// <summary>Steps between two checkpoints, from 1.</summary>
    public int CheckpointEvery { get; init; } = 500;

    /// <summary>Checkpoints to resume from that are there at a time, from 1: the last, and those before it by their step.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>With several processes, steps between two comparisons of their weights, from 1.</summary>
    public int CompareWeightsEvery { get; init; } = 100;

    /// <summary>What a loss or gradient that is not finite does.</summary>
    public NonFinite OnNan { get; init; } = NonFinite.Stop;

    /// <summary>
    /// How <see cref="ModelConfig.Small"/> is trained: what 'train' does unless told otherwise. One weight of sixteen is kept, and
    /// positions are learned as in the official script.
    /// </summary>
    public static TrainingConfig Small { get; } =
        new()
        {
            Lr = 0.03,
            Density = 1.0 / 16,
            PositionEmbeddings = PositionEmbeddings.Learned,
        };

    /// <summary>
    /// How an ordinary model of that size is trained: no weight sparsity, and a lower rate, as no weights go for which sharkfin would raise
    /// it.
    /// </summary>
    public static TrainingConfig SmallDense { get; } = Small with { Lr = 0.01, Density = null };

    /// <summary>
    /// These settings with the fields that a user gives; all others keep their values. Either of pfrac and density replaces both.
    /// </summary>
    /// <param name="fields">By their names in JSON.</param>
    /// <param name="source">Where they come from, for messages.</param>
    /// <exception cref="BadInputException">A field is unknown or of another type.</exception>
    public TrainingConfig With(JsonObject fields, string source) =>
        JsonText.Over(
            fields.ContainsKey("pfrac") || fields.ContainsKey("density") ? this with { Pfrac = null, Density = null } : this,
            fields,
            source
        );

    /// <summary>Whether the model is made sparse.</summary>
    public bool IsSparse() => Pfrac is not null || Density is not null;

    /// <summary>N: the run takes steps 0..N inclusive.</summary>
    public int LastStep() => (int)(TotalTokens / BatchSequences / ContextTokens);

    /// <summary>Checks every field and fills in what follows from the model: the expansion factors and pfrac.</summary>
    /// <exception cref="BadInputException">A field is out of range, contradicts another or the model.</exception>
    public TrainingConfig Resolved(ModelConfig model, string source = "training configuration")
    {
        Require(BatchSequences >= 1, "batch_sequences", BatchSequences, "at least 1");
        Require(
            (long)BatchSequences * Math.Max(2, ContextTokens) <= int.MaxValue,
            "batch_sequences * context_tokens",
            (long)BatchSequences * ContextTokens,
            "at most 2147483647"
        );
        Require(
            BatchParts is null || (BatchParts >= 1 && BatchSequences % BatchParts == 0),
            "batch_parts",
            BatchParts,
            $"null or a divisor of batch_sequences ({BatchSequences})"
        );
        Require(
            ContextTokens >= 2 && ContextTokens <= model.BlockSize,
            "context_tokens",
            ContextTokens,
            $"2 to block_size ({model.BlockSize})"
        );
        Require(
            TotalTokens >= (long)BatchSequences * ContextTokens,
            "total_tokens",
            TotalTokens,
            $"at least one batch ({(long)BatchSequences * ContextTokens})"
        );
        Require(TotalTokens / BatchSequences / ContextTokens < int.MaxValue, "total_tokens", TotalTokens, "fewer than 2^31 batches");
        Require(Lr is >= 0 and < 1e6, "lr", Lr, "from 0 to below 1000000");
        Require(LrWarmupFrac is null or (>= 0 and < 1), "lr_warmup_frac", LrWarmupFrac, "null or in [0, 1)");
        Require(AdamBeta1 is >= 0 and < 1, "adam_beta1", AdamBeta1, "in [0, 1)");
        Require(AdamBeta2 is >= 0 and < 1, "adam_beta2", AdamBeta2, "in [0, 1)");
        Require(Eps is >= 1e-30 and <= 1e6, "eps", Eps, "1e-30 to 1000000");
        Require(WeightDecay is >= 0 and <= 1e6, "weight_decay", WeightDecay, "0 to 1000000");
        Require(GradientClipRms is >= 1e-30 and <= 1e30, "gradient_clip_rms", GradientClipRms, "1e-30 to 1e30");
        Require(Pfrac is null || Density is null, "density", Density, "absent when pfrac is given");
        Require(Pfrac is null or (> 0 and <= 1e12), "pfrac", Pfrac, "above 0 and at most 1e12");
        Require(Density is null or (> 0 and <= 1), "density", Density, "in (0, 1]");
        Require(ExpansionFactor is null or (> 0 and <= 1e6), "expansion_factor", ExpansionFactor, "above 0 and at most 1000000");
        Require(ExpansionFactorMlp is null or (> 0 and <= 1e6), "expansion_factor_mlp", ExpansionFactorMlp, "above 0 and at most 1000000");
        Require(PfracAnnealExponent is > 0 and <= 1e6, "pfrac_anneal_exponent", PfracAnnealExponent, "above 0 and at most 1000000");
        Require(PfracAnnealStartFrac is >= 0 and <= 1, "pfrac_anneal_start_frac", PfracAnnealStartFrac, "in [0, 1]");
        Require(
            PfracAnnealStopFrac >= PfracAnnealStartFrac && PfracAnnealStopFrac <= 1,
            "pfrac_anneal_stop_frac",
            PfracAnnealStopFrac,
            "from pfrac_anneal_start_frac to 1"
        );
        Require(
            PfracAnnealMode == AnnealMode.Linear || PfracAnnealStartFrac > 0,
            "pfrac_anneal_start_frac",
            PfracAnnealStartFrac,
            "above 0 for power_law, which starts from log(start)"
        );
        Require(
            PfracAnnealInitial is null or (> 0 and <= 1e12),
            "pfrac_anneal_initial",
            PfracAnnealInitial,
            "null, or above 0 and at most 1e12"
        );
        Require(MinimumAlivePerNeuron >= 0, "minimum_alive_per_neuron", MinimumAlivePerNeuron, "at least 0");
        Require(LogEvery >= 1, "log_every", LogEvery, "at least 1");
        Require(EvaluateEvery >= 1, "evaluate_every", EvaluateEvery, "at least 1");
        Require(ValidationTokens >= 2, "validation_tokens", ValidationTokens, "at least 2");
        Require(CheckpointEvery >= 1, "checkpoint_every", CheckpointEvery, "at least 1");
        Require(KeepCheckpoints >= 1, "keep_checkpoints", KeepCheckpoints, "at least 1");
        Require(CompareWeightsEvery >= 1, "compare_weights_every", CompareWeightsEvery, "at least 1");
        double e = ExpansionFactor ?? model.DModel / 256.0;
        double mlp = ExpansionFactorMlp ?? model.DMlp / 1024.0;
        return this with { ExpansionFactor = e, ExpansionFactorMlp = mlp, Pfrac = Pfrac ?? (Density * e * mlp), Density = null };

        void Require(bool holds, string field, object? given, string expected)
        {
            if (!holds)
            {
                throw new BadInputException(
                    FormattableString.Invariant($"{source}: {field} is {given ?? "null"}, but must be {expected}.")
                );
            }
        }
    }
}
