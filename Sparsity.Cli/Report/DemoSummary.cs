using Sparsity.Core.Circuits;

namespace Sparsity.Cli.Report;

/// <summary>
/// What a run of <c>sparsity demo</c> came to: summary.json. The field order here is the field order of the file; losses in nats.
/// </summary>
/// <param name="Seconds">Wall-clock time of the whole demo.</param>
/// <param name="TokensPerSecond">Training throughput of the sparse model.</param>
/// <param name="TrainTokens">Training tokens of each model.</param>
/// <param name="ValidationLoss">Of the sparse model at the end of training.</param>
/// <param name="BigramLoss">Validation loss of the bigram baseline.</param>
/// <param name="NonzeroFraction">Share of nonzero entries of the sparse model's attention and MLP matrices.</param>
/// <param name="DenseValidationLoss">Of the dense model; null where none was trained (--no-dense).</param>
/// <param name="Circuits">One per model and task.</param>
public sealed record DemoSummary(
    double Seconds,
    double TokensPerSecond,
    long TrainTokens,
    double ValidationLoss,
    double BigramLoss,
    double NonzeroFraction,
    double? DenseValidationLoss,
    IReadOnlyList<DemoCircuit> Circuits
);

/// <summary>A circuit in a <see cref="DemoSummary"/>; losses in nats on test prompts.</summary>
/// <param name="Model"><see cref="Sparse"/> or <see cref="Dense"/>.</param>
/// <param name="TotalEdges">Edges of the whole model.</param>
/// <param name="TargetLoss">What <paramref name="Loss"/> was to stay below.</param>
/// <param name="Accuracy">Share of prompts at which the circuit prefers the right answer.</param>
/// <param name="Survives">Whether it survives interchange with the full model.</param>
/// <param name="SmallestEdges">Edges of the smallest circuit that meets the target, whether it survives or not.</param>
public sealed record DemoCircuit(
    string Model,
    string Task,
    int Nodes,
    int Edges,
    int TotalNodes,
    int TotalEdges,
    double LossFullModel,
    double Loss,
    double LossWithoutCircuit,
    double LossEmpty,
    double TargetLoss,
    double Accuracy,
    bool Survives,
    int SmallestEdges
)
{
    public const string Sparse = "sparse";

    public const string Dense = "dense";

    /// <summary>The entry of one circuit.</summary>
    /// <param name="model"><see cref="Sparse"/> or <see cref="Dense"/>.</param>
    public static DemoCircuit Of(string model, Circuit circuit) =>
        new(
            model,
            circuit.Task,
            circuit.Nodes.Count,
            circuit.Edges.Count,
            circuit.TotalNodes,
            circuit.TotalEdges,
            circuit.Measurements.LossFullModel,
            circuit.Measurements.Loss,
            circuit.Measurements.LossWithoutCircuit,
            circuit.Measurements.LossEmpty,
            circuit.SearchSettings.TargetLoss,
            circuit.Measurements.Accuracy,
            circuit.SurvivesInterchange == true,
            circuit.Smallest?.Edges ?? circuit.Edges.Count
        );
}
