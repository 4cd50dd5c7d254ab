using Sparsity.Core.Circuits;

namespace Sparsity.Cli;

/// <summary>A circuit as a researcher reads it in a terminal.</summary>
internal static class CircuitListing
{
    public static void Print(Circuit circuit)
    {
        CircuitMeasurements m = circuit.Measurements;
        Terminal.Line($"{circuit.Task} in {circuit.Model}: {circuit.Nodes.Count} of {circuit.TotalNodes} nodes, {circuit.Edges.Count} of {circuit.TotalEdges} edges");
        Terminal.Line(
            $"test loss: circuit {m.Loss:0.000} (calibrated {m.LossCalibrated:0.000}), full model {m.LossFullModel:0.000}, without the circuit {m.LossWithoutCircuit:0.000}, empty {m.LossEmpty:0.000}");
        Terminal.Line($"target {circuit.Settings.TargetLoss}: {(circuit.MeetsTarget ? "met" : "NOT MET")} on the prompts it was chosen on; accuracy {100 * m.Accuracy:0.0} % (full model {100 * m.AccuracyFullModel:0.0} %)");
        ILookup<string, CircuitEdge> incoming = circuit.Edges.ToLookup(edge => edge.To);
        Terminal.Table(["node", "tau", "mean", "bias", "edges in"], circuit.Nodes.Select(node => new[]
        {
            node.Name, Terminal.Number(node.Tau), Terminal.Number(node.Mean), node.Bias is { } bias ? Terminal.Number(bias) : "",
            string.Join("  ", incoming[node.Name].OrderByDescending(edge => Math.Abs(edge.Weight)).Take(4).Select(edge => $"{edge.From} {Terminal.Number(edge.Weight, "+0.00;-0.00")}"))
                + (incoming[node.Name].Count() > 4 ? $"  and {incoming[node.Name].Count() - 4} more" : ""),
        }));
    }
}
