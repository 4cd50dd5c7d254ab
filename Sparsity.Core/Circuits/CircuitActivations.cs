using System.Text.Json.Serialization;
using Sparsity.Core.Files;

namespace Sparsity.Core.Circuits;

/// <summary>
/// activations.json, beside circuit.json: what each node of a circuit does in the whole model, over pretraining text and over the task's
/// test prompts. Numbers are rounded to five significant digits. The file is one line.
/// </summary>
public sealed record CircuitActivations
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    public required string Task { get; init; }

    /// <summary>SHA-256 of the model's weights, as in circuit.json.</summary>
    public required string ModelFingerprint { get; init; }

    /// <summary>T of the windows of pretraining text.</summary>
    public required int ContextTokens { get; init; }

    /// <summary>The circuit's loss on the test prompts, and with every node binarised at once; nats.</summary>
    public required BinarisedLoss Binarised { get; init; }

    /// <summary>In the order of circuit.json.</summary>
    public required IReadOnlyList<NodeActivations> Nodes { get; init; }

    /// <exception cref="BadInputException">The file is missing, damaged or of a newer version.</exception>
    public static CircuitActivations Load(string path) => JsonText.ReadFile<CircuitActivations>(path);
}

/// <summary>Task loss of the circuit as it is, and with all its nodes binarised.</summary>
public sealed record BinarisedLoss(double Circuit, double AllNodes);

/// <summary>One node's activations.</summary>
/// <param name="Node">Which.</param>
/// <param name="Pretraining">Over windows of pretraining text.</param>
/// <param name="Task">Over all tokens of the task's test prompts.</param>
/// <param name="Binarisation">Two values in place of all (paper, appendix C).</param>
public sealed record NodeActivations(
    [property: JsonPropertyName("name")] Node Node,
    ActivationSummary Pretraining,
    ActivationSummary Task,
    Binarisation Binarisation
);

/// <summary>A node's activations over one text.</summary>
/// <param name="Count">Token positions.</param>
/// <param name="ZeroShare">Share of activations that are exactly 0, as AbsTopK leaves them.</param>
/// <param name="Histogram">Counts between minimum and maximum.</param>
/// <param name="Examples">Places in the text near the ends: for each of 0.1, 1, 10 and 50 percent the top ones, then the bottom
/// ones.</param>
public sealed record ActivationSummary(
    long Count,
    double Mean,
    double Deviation,
    double Minimum,
    double Maximum,
    double ZeroShare,
    ActivationHistogram Histogram,
    IReadOnlyList<ActivationExample> Examples
);

/// <summary>Bins of equal width from <paramref name="Minimum"/> to <paramref name="Maximum"/>, the last one closed.</summary>
public sealed record ActivationHistogram(double Minimum, double Maximum, IReadOnlyList<long> Counts);

/// <summary>The upper or the lower end of a node's activations.</summary>
public enum ActivationEnd
{
    Top,
    Bottom,
}

/// <summary>A place in the text.</summary>
/// <param name="End">Which end is counted from.</param>
/// <param name="Percent">How far from the end the activation lies: 1 is the place that 1 percent of all lie beyond.</param>
/// <param name="Position">Index into <paramref name="Tokens"/> of the place itself.</param>
/// <param name="Tokens">The text around it, token by token, escaped where not printable.</param>
/// <param name="Values">The node's activation at each of these tokens.</param>
public sealed record ActivationExample(
    ActivationEnd End,
    double Percent,
    int Position,
    IReadOnlyList<string> Tokens,
    IReadOnlyList<double> Values
);

/// <summary>
/// The two values that stand for all activations of a node with the least squared error on the task's training prompts, and what that does
/// to the circuit.
/// </summary>
/// <param name="Threshold">Activations from here on become <paramref name="High"/>, those below <paramref name="Low"/>.</param>
/// <param name="Loss">The circuit's loss with this node alone binarised, in nats, on the first 16 to 64 pairs of the test prompts.</param>
public sealed record Binarisation(double Threshold, double Low, double High, double Loss);
