namespace Sparsity.Core.Circuits;

/// <summary>Task loss of the circuit as it is, and with all its nodes binarised.</summary>
public sealed record BinarisedLoss(double Circuit, double AllNodes);

/// <summary>
/// The two values that stand for all activations of a node with the least squared error on the task's training prompts, and what that does
/// to the circuit.
/// </summary>
/// <param name="Threshold">Activations from here on become <paramref name="High"/>, those below <paramref name="Low"/>.</param>
/// <param name="Loss">The circuit's loss with this node alone binarised, in nats, on the first 16 to 64 pairs of the test prompts.</param>
public sealed record Binarisation(double Threshold, double Low, double High, double Loss);
