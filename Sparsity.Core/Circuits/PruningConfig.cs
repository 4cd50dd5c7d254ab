using Sparsity.Core.Tasks;

namespace Sparsity.Core.Circuits;

/// <summary>What a node outside the circuit is frozen at.</summary>
public enum Ablation
{
    /// <summary>Its mean activation over pretraining tokens: the paper.</summary>
    Mean,

    /// <summary>Zero.</summary>
    Zero,
}

/// <summary>How nodes are ranked.</summary>
public enum PruningMethod
{
    /// <summary>By a trained mask: the paper.</summary>
    Mask,

    /// <summary>By gradient times (activation - mean): the baseline.</summary>
    Attribution,

    /// <summary>
    /// By integrated gradients (Sundararajan et al. 2017) from every node frozen to none frozen: the second baseline.
    /// </summary>
    Integrated,
}

/// <summary>Which loss of a circuit is held against the target.</summary>
public enum LossCriterion
{
    /// <summary>That of its logits as they are: the paper.</summary>
    Uncalibrated,

    /// <summary>That after scale and shift of the logit difference were fitted on the prompts the circuit is chosen on.</summary>
    Calibrated,
}

/// <summary>
/// How a circuit is searched (docs/method.md section 4). The paper's values are centres of a search; defaults marked "small" are what small
/// models need.
/// </summary>
public sealed record PruningConfig
{
    /// <summary>Seed of the initial mask and of the prompts drawn.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>How nodes are ranked.</summary>
    public PruningMethod Method { get; init; } = PruningMethod.Mask;

    /// <summary>Steps of mask training, from 1. Small: 300.</summary>
    public int Steps { get; init; } = 300;

    /// <summary>Pairs of prompts of a step, from 1. The paper: 64; small: 8.</summary>
    public int BatchPairs { get; init; } = 8;

    /// <summary>Longest prompt in tokens; longer draws are drawn again. The paper: 256.</summary>
    public int MaxTokens { get; init; } = 64;

    /// <summary>Most lines of other code before the statement that matters. Small: 3; some 30 fill 256 tokens.</summary>
    public int DistractorLines { get; init; } = PromptTask.UsualDistractorLines;

    /// <summary>
    /// Penalties per kept node, tried one after another; the smallest circuit that passes is kept. The paper: 1e-4; small: 5e-4 to 3e-3.
    /// </summary>
    public IReadOnlyList<double> KCoef { get; init; } = [5e-4, 1e-3, 2e-3, 3e-3];

    /// <summary>Largest learning rate of AdamW; falls linearly to 0. The paper: 3e-3; small: 1e-2.</summary>
    public double Lr { get; init; } = 1e-2;

    /// <summary>Share of steps over which the rate rises linearly: the paper's text says 0, its table 0.05.</summary>
    public double LrWarmupFrac { get; init; }

    /// <summary>Decoupled decay of tau, as a multiple of the learning rate.</summary>
    public double WeightDecay { get; init; } = 1e-3;

    /// <summary>Adam's decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Adam's decay of the second moment: 1 - 0.05.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Adam's epsilon.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Largest Euclidean norm of the gradient of tau; larger ones are scaled down.</summary>
    public double GradientClipNorm { get; init; } = 1;

    /// <summary>Mean of the initial tau: above 0, so that every node starts in the circuit.</summary>
    public double InitialBias { get; init; } = 0.1;

    /// <summary>Standard deviation of the initial tau.</summary>
    public double InitialScale { get; init; } = 0.01;

    /// <summary>Temperature of the sigmoid whose derivative stands for that of the step function.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>What a node outside the circuit is frozen at.</summary>
    public Ablation Ablation { get; init; } = Ablation.Mean;

    /// <summary>What the mask is trained on.</summary>
    public TaskLoss Loss { get; init; } = TaskLoss.Binary;

    /// <summary>
    /// What circuits are chosen and reported by: every loss of circuit.json, and the target. Calibration is of the binary loss only.
    /// </summary>
    public TaskLoss CircuitLoss { get; init; } = TaskLoss.Binary;

    /// <summary>Whether channel i of q and channel i of k of a layer are in the circuit together or not at all: one tau for both.</summary>
    public bool TiedQueryKey { get; init; }

    /// <summary>Whether the channels of final_resid, which the unembedding reads, are nodes too. The paper: no; its release: yes.</summary>
    public bool FinalResid { get; init; }

    /// <summary>
    /// Whether every norm keeps the scale (reciprocal deviation, token by token) that it has in the whole model on the same prompt, so that
    /// ablations cannot act through the norms. Costs a pass of the whole model for each pass of the masked one.
    /// </summary>
    public bool FreezeNormScale { get; init; }

    /// <summary>Task loss in nats that the circuit must not exceed.</summary>
    public double TargetLoss { get; init; } = 0.15;

    /// <summary>
    /// The circuit is chosen to reach this share of the target on the training prompts: choosing on the prompts one reports on overfits.
    /// </summary>
    public double SelectionMargin { get; init; } = 0.8;

    /// <summary>Which loss is held against the target. Only the binary loss is calibrated.</summary>
    public LossCriterion Criterion { get; init; } = LossCriterion.Uncalibrated;

    /// <summary>
    /// 0 for the paper's method. Above 1: when the number of nodes is chosen, the circuit must also survive interchange with the full
    /// model, whose loss may rise by (factor - 1) times the target, less the selection's margin; the number may grow past the mask's own.
    /// </summary>
    public double InterchangeFactor { get; init; }

    /// <summary>
    /// Whether, once a circuit is chosen, the nodes with the least effect are taken out as long as it still passes. Not in the paper.
    /// </summary>
    public bool RemovalPass { get; init; }

    /// <summary>Nodes that no circuit may have: they are frozen from the beginning. What is found without them is another way.</summary>
    public IReadOnlyList<Node> Exclude { get; init; } = [];

    /// <summary>
    /// Task loss that removing the circuit from the model should at least cause; candidates below it are kept only if none reaches it.
    /// </summary>
    public double NecessityLoss { get; init; } = 0.6;

    /// <summary>Pairs of training prompts on which circuits are chosen.</summary>
    public int SelectionPairs { get; init; } = 128;

    /// <summary>Pairs of test prompts on which circuits are reported.</summary>
    public int TestPairs { get; init; } = 256;

    /// <summary>Random circuits of equal size (the same number of nodes at each location) measured as a control.</summary>
    public int RandomCircuits { get; init; } = 5;

    /// <summary>
    /// Whether each node and each edge of a circuit is also measured by itself: the effect of taking it out, and activations.json. Takes
    /// longer than the pruning for many targets.
    /// </summary>
    public bool NodeDetails { get; init; } = true;

    /// <summary>Batches of 16 windows of pretraining tokens behind the mean activations and the activation statistics.</summary>
    public int MeanBatches { get; init; } = 32;

    /// <summary>Steps of L-BFGS that fit the scale and shift of the logit difference.</summary>
    public int CalibrationSteps { get; init; } = 16;

    /// <summary>Checks every field.</summary>
    /// <exception cref="BadInputException">A field is out of range.</exception>
    public PruningConfig Validated(string source = "pruning configuration")
    {
        const double Large = 1e6; // far beyond what makes sense, and far within what fits a float
        Require(Steps is >= 1 and <= 1_000_000, "steps", Steps, "1 to 1000000");
        Require(BatchPairs is >= 1 and <= 1_000_000, "batch_pairs", BatchPairs, "1 to 1000000");
        Require(
            (long)Steps * BatchPairs <= 10_000_000,
            "steps * batch_pairs",
            (long)Steps * BatchPairs,
            "at most 10000000, as all of these prompts are held in memory"
        );
        Require(MaxTokens is >= 2 and <= 1_000_000, "max_tokens", MaxTokens, "2 to 1000000");
        Require(DistractorLines is >= 0 and <= 1000, "distractor_lines", DistractorLines, "0 to 1000");
        Require(
            KCoef.Count is > 0 and <= 1000 && KCoef.All(k => k is >= 0 and <= Large),
            "k_coef",
            string.Join(", ", KCoef.Select(k => FormattableString.Invariant($"{k}"))),
            "a list of numbers from 0 to 1000000"
        );
        Require(Lr is > 0 and <= Large, "lr", Lr, "above 0 and at most 1000000");
        Require(LrWarmupFrac is >= 0 and < 1, "lr_warmup_frac", LrWarmupFrac, "in [0, 1)");
        Require(WeightDecay is >= 0 and <= Large, "weight_decay", WeightDecay, "0 to 1000000");
        Require(Beta1 is >= 0 and < 1, "beta1", Beta1, "in [0, 1)");
        Require(Beta2 is >= 0 and < 1, "beta2", Beta2, "in [0, 1)");
        Require(Epsilon is >= 1e-30 and <= Large, "epsilon", Epsilon, "1e-30 to 1000000");
        Require(GradientClipNorm is >= 1e-30 and <= 1e30, "gradient_clip_norm", GradientClipNorm, "1e-30 to 1e30");
        Require(InitialBias is >= -1 and <= 1, "initial_bias", InitialBias, "in [-1, 1]");
        Require(InitialScale is >= 0 and <= Large, "initial_scale", InitialScale, "0 to 1000000");
        Require(Temperature is >= 1e-6 and <= Large, "temperature", Temperature, "0.000001 to 1000000");
        Require(TargetLoss is > 0 and <= Large, "target_loss", TargetLoss, "above 0 and at most 1000000");
        Require(SelectionMargin is > 0 and <= 1, "selection_margin", SelectionMargin, "in (0, 1]");
        Require(
            InterchangeFactor is 0 or (> 1 and <= Large),
            "interchange_factor",
            InterchangeFactor,
            "0 (not asked) or above 1 and at most 1000000"
        );
        Require(
            Criterion == LossCriterion.Uncalibrated || CircuitLoss == TaskLoss.Binary,
            "criterion",
            "calibrated",
            "uncalibrated where circuit_loss is full, as only the binary loss is calibrated"
        );
        Require(NecessityLoss is >= 0 and <= Large, "necessity_loss", NecessityLoss, "0 to 1000000");
        Require(SelectionPairs is >= 1 and <= 1_000_000, "selection_pairs", SelectionPairs, "1 to 1000000");
        Require(TestPairs is >= 1 and <= 1_000_000, "test_pairs", TestPairs, "1 to 1000000");
        Require(RandomCircuits is >= 0 and <= 100_000, "random_circuits", RandomCircuits, "0 to 100000");
        Require(MeanBatches is >= 1 and <= 1_000_000, "mean_batches", MeanBatches, "1 to 1000000");
        Require(CalibrationSteps is >= 0 and <= 100_000, "calibration_steps", CalibrationSteps, "0 to 100000");
        return this;

        void Require(bool holds, string field, object given, string expected)
        {
            if (!holds)
            {
                throw new BadInputException(FormattableString.Invariant($"{source}: {field} is {given}, but must be {expected}."));
            }
        }
    }
}
