using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Circuits;

/// <summary>A node of a circuit.</summary>
/// <param name="Node">Which.</param>
/// <param name="Tau">The trained mask parameter, in [-1, 1]; larger is more important. Null for imported circuits.</param>
/// <param name="Mean">Mean activation over pretraining tokens.</param>
/// <param name="Bias">Bias of the linear layer that computes it; null where it has none. Shown, not counted.</param>
/// <param name="AblationEffect">
/// How much the circuit's loss on the first 16 to 64 test pairs rises when this node alone is frozen too, in nats; of an imported circuit
/// as its file says. Null where not
/// measured.
/// </param>
/// <param name="Tokens">For act_in of a channel of the residual stream: the tokens whose embeddings write most into it, largest first; null
/// elsewhere.</param>
public sealed record CircuitNode(
    [property: JsonPropertyName("name")] Node Node,
    double? Tau,
    double Mean,
    double? Bias,
    double? AblationEffect = null,
    IReadOnlyList<TokenWeight>? Tokens = null
)
{
    /// <summary>The node's name.</summary>
    [JsonIgnore]
    public string Name => Node.Name;
}

/// <summary>A token and the entry of its embedding in one channel.</summary>
/// <param name="Token">As text, escaped where it is not printable.</param>
/// <param name="Id">In the tokenizer.</param>
public sealed record TokenWeight(string Token, int Id, double Weight);

/// <summary>A nonzero weight between two nodes of a circuit.</summary>
/// <param name="Effect">
/// How much the circuit's loss on the first 16 to 64 test pairs rises when this weight alone is set to zero, in nats; of an imported
/// circuit as its file says. Null where
/// not measured.
/// </param>
public sealed record CircuitEdge(
    Node From,
    Node To,
    double Weight,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Effect = null
);

/// <summary>What was measured of a circuit, on test prompts unless said otherwise; losses in nats.</summary>
/// <param name="LossFullModel">Task loss of the whole model.</param>
/// <param name="Loss">Task loss of the circuit, everything else frozen.</param>
/// <param name="LossCalibrated">The same with the fitted scale and shift; null where none were fitted.</param>
/// <param name="LossWithoutCircuit">Task loss with only the circuit frozen: necessity.</param>
/// <param name="LossEmpty">Task loss with every node frozen.</param>
/// <param name="Accuracy">Share of prompts at which the circuit prefers the right answer.</param>
/// <param name="AccuracyFullModel">The same of the whole model.</param>
/// <param name="SelectionLoss">Task loss on the training prompts the circuit was chosen on; null for imported circuits.</param>
public sealed record CircuitMeasurements(
    double LossFullModel,
    double Loss,
    double? LossCalibrated,
    double LossWithoutCircuit,
    double LossEmpty,
    double Accuracy,
    double AccuracyFullModel,
    double? SelectionLoss
)
{
    /// <summary>The control: mean task loss of random circuits with as many nodes at each location; null where none was measured.</summary>
    public double? LossRandomMean { get; init; }

    /// <summary>The lowest loss among them.</summary>
    public double? LossRandomBest { get; init; }

    /// <summary>
    /// How much the loss rises when all of the circuit's nodes of one attention or MLP are frozen too, in nats, by its name such as 0.attn;
    /// those without a node are left out. Null where not measured.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? LayerEffects { get; init; }
}

/// <summary>Size of a circuit that was not kept.</summary>
/// <param name="Loss">On test prompts, of the kind that is held against the target; in nats.</param>
public sealed record MeasuredSize(int Nodes, int Edges, double Loss);

/// <summary>A size that the search for the smallest circuit tried.</summary>
/// <param name="Nodes">The first so many of the ranking, without dead ends.</param>
/// <param name="Loss">On the prompts the circuit was chosen on, of the kind that is held against the target; in nats.</param>
public sealed record TriedSize(int Nodes, double Loss);

/// <summary>
/// The part of a model that does one task: circuit.json. Nodes and edges stand in the order of computation, so that files can be compared
/// line by line.
/// </summary>
public sealed record Circuit
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    public required string Task { get; init; }

    /// <summary>Where the task came from; null for one of the program's own, and in files of earlier versions, which do not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TaskFile? TaskFile { get; init; }

    /// <summary>The model's folder, as a full path; relative in files of earlier versions.</summary>
    public required string Model { get; init; }

    /// <summary>SHA-256 of the model's weights.</summary>
    public required string ModelFingerprint { get; init; }

    /// <summary>Penalty per node with which it was found; 0 for one that no mask training found, null for an imported one.</summary>
    public required double? KCoef { get; init; }

    /// <summary>
    /// Whether it does its task: the target loss is met on the prompts it was chosen on and on test prompts, and by the whole model too,
    /// and, where that was asked for, it survives interchange. Null for an imported circuit, which has no target. Follows from the
    /// measurements and settings: what a file says of it is not read.
    /// </summary>
    public bool? Solved => Shortcoming is { } missed ? missed.Length == 0 : null;

    /// <summary>Why it is not solved, in words; empty if it is, null for an imported circuit.</summary>
    public string? Shortcoming =>
        Settings is null ? null
        : !(Measurements.LossFullModel <= Settings.TargetLoss) ? ModelMissesTarget
        : (Measurements.SelectionLoss <= Settings.TargetLoss * Settings.SelectionMargin, JudgedLoss <= Settings.TargetLoss) switch
        {
            (true, true) => SurvivesInterchange == false ? "does not survive interchange" : "",
            (true, false) => "missed on test prompts",
            (false, true) => "missed on the prompts it was chosen on",
            (false, false) => "missed",
        };

    /// <summary>The loss on test prompts that is held against the target: calibrated or not, as the settings say.</summary>
    [JsonIgnore]
    public double JudgedLoss =>
        Settings?.Criterion == LossCriterion.Calibrated && Measurements.LossCalibrated is { } calibrated ? calibrated : Measurements.Loss;

    /// <summary>
    /// Whether activations can be interchanged with the full model, on the prompts it was chosen on; null where that was not asked.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? SurvivesInterchange { get; init; }

    /// <summary>
    /// Where circuits were asked to survive interchange: the smallest that meets the target without. Null where that was not asked.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MeasuredSize? Smallest { get; init; }

    /// <summary>
    /// Sizes that were tried for the target among the nodes in the order of their scores, ascending. Null where no search tried any.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TriedSize>? TriedSizes { get; init; }

    internal const string ModelMissesTarget = "the whole model misses the target";

    public required int TotalNodes { get; init; }

    /// <summary>Edges of the whole model.</summary>
    public required int TotalEdges { get; init; }

    public required CircuitMeasurements Measurements { get; init; }

    /// <summary>
    /// Scale and shift of the logit difference, fitted on the prompts the circuit was chosen on; null for an imported circuit.
    /// </summary>
    public required CalibrationResult? Calibration { get; init; }

    /// <summary>How it was searched; null for an imported circuit.</summary>
    public required PruningConfig? Settings { get; init; }

    /// <summary>Where an imported circuit comes from; null for others.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImportedCircuit? Imported { get; init; }

    public required IReadOnlyList<CircuitNode> Nodes { get; init; }

    public required IReadOnlyList<CircuitEdge> Edges { get; init; }

    /// <summary>Nodes removed by hand since it was found, in the order of removal.</summary>
    public IReadOnlyList<Node> RemovedByHand { get; init; } = [];

    /// <summary>The settings of the search that found it.</summary>
    /// <exception cref="BadInputException">None did.</exception>
    [JsonIgnore]
    public PruningConfig SearchSettings =>
        Settings
        ?? throw new BadInputException($"the circuit of {Task} has no settings of a search: it was imported. Use one that prune wrote.");

    /// <summary>All nodes of the model, among which its own are.</summary>
    internal NodeLayout LayoutIn(ModelConfig model) => new(model, Settings?.FinalResid ?? Imported?.FinalResid ?? false);

    /// <summary>Its nodes among all nodes of its model.</summary>
    /// <exception cref="BadInputException">The model lacks one of them.</exception>
    internal NodeSet NodesIn(NodeLayout layout) => NodeSet.Of(layout, Nodes.Select(node => node.Node));

    /// <exception cref="BadInputException">The file is missing, damaged or of a newer version, a name is none, a setting is out of range,
    /// or an edge ends outside.</exception>
    public static Circuit Load(string path)
    {
        JsonObject fields = JsonText.ParseFile(path);
        fields.Remove("meets_target"); // of earlier versions, where it spoke of the prompts it was chosen on alone
        Circuit circuit = JsonText.Read<Circuit>(fields, path);
        if (circuit.Settings is null && circuit.Imported is null)
        {
            throw new BadInputException($"{path}: must have settings or imported. Use another copy.");
        }

        if (circuit.Task.Any(char.IsControl))
        {
            throw new BadInputException($"{path}: the task's name '{circuit.Task}' holds a control character. Use another copy.");
        }

        var nodes = new HashSet<Node>();
        if (circuit.Nodes.FirstOrDefault(node => !nodes.Add(node.Node)) is { } twice)
        {
            throw new BadInputException($"{path}: node {twice.Name} occurs twice.");
        }

        return circuit.Edges.FirstOrDefault(edge => !nodes.Contains(edge.From) || !nodes.Contains(edge.To)) is { } loose
            ? throw new BadInputException($"{path}: the edge from {loose.From} to {loose.To} ends outside the circuit's nodes.")
            : circuit with
            {
                Settings = circuit.Settings?.Validated(path),
            };
    }
}
