using System.Text.Json.Serialization;
using Sparsity.Core.Circuits;

namespace Sparsity.Cli;

/// <summary>summary.json of the demo. Losses in nats: of the models per validation token, of circuits the task loss on test prompts.</summary>
internal sealed record DemoSummary
{
    public required double Seconds { get; init; }

    /// <summary>Of the sparse model's training.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Of the sparse model.</summary>
    public required long TrainTokens { get; init; }

    public required double ValidationLoss { get; init; }

    /// <summary>Of the best bigram predictor counted on the training tokens.</summary>
    public required double BigramLoss { get; init; }

    /// <summary>Share of nonzero weights in the sparse model's attention and MLP matrices.</summary>
    public required double NonzeroFraction { get; init; }

    public required double? DenseValidationLoss { get; init; }

    public required IReadOnlyList<DemoCircuit> Circuits { get; init; }

    /// <summary>How many times fewer edges the sparse model's circuits have: geometric mean over the tasks that both models have a circuit for; null without a dense model.</summary>
    [JsonIgnore]
    public double? EdgeRatio
    {
        get
        {
            double[] ratios =
            [
                .. from sparse in Circuits.Where(circuit => circuit.Model == "sparse")
                   join dense in Circuits.Where(circuit => circuit.Model == "dense") on sparse.Task equals dense.Task
                   select (double)dense.Edges / Math.Max(sparse.Edges, 1),
            ];
            return ratios.Length == 0 ? null : Math.Exp(ratios.Average(Math.Log));
        }
    }
}

/// <summary>A circuit in summary.json.</summary>
internal sealed record DemoCircuit(
    string Model, string Task, int Nodes, int Edges, int TotalNodes, int TotalEdges, double LossFullModel, double Loss, double LossWithoutCircuit, double LossEmpty,
    double TargetLoss, double Accuracy)
{
    /// <param name="model">"sparse" or "dense".</param>
    /// <param name="circuit">What was found in it.</param>
    public static DemoCircuit Of(string model, Circuit circuit) => new(
        model, circuit.Task, circuit.Nodes.Count, circuit.Edges.Count, circuit.TotalNodes, circuit.TotalEdges, circuit.Measurements.LossFullModel, circuit.Measurements.Loss,
        circuit.Measurements.LossWithoutCircuit, circuit.Measurements.LossEmpty, circuit.Settings.TargetLoss, circuit.Measurements.Accuracy);
}
