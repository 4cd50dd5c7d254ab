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
