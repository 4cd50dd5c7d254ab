using Sparsity.Cli.Report;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>The demo from beginning to end, with hardly any training.</summary>
public sealed class DemoTests
{
    [Fact]
    public void ADemoComparesModelsOfEqualLossOrSaysHowFarApartTheyAre()
    {
        using var folder = new TemporaryFolder();
        string text = CommandLine.Succeed("demo", "--minutes", "0.1", "--seed", "3", "--out", folder["demo"]);

        DemoSummary summary = JsonText.ReadFile<DemoSummary>(Path.Combine(folder["demo"], "summary.json"));
        double apart = Math.Abs(summary.DenseValidationLoss!.Value - summary.ValidationLoss) / summary.ValidationLoss;
        Assert.Contains(FormattableString.Invariant($", {Math.Round(100 * apart, 1)} % apart."), text, StringComparison.Ordinal);
        Assert.InRange(apart, 0, 0.1);
        Assert.Equal(6, summary.Circuits.Count);
        foreach (DemoCircuit circuit in summary.Circuits)
        {
            var file = Circuit.Load(Path.Combine(folder["demo"], "circuits", circuit.Model, circuit.Task, "circuit.json"));
            Assert.Equal(circuit.Edges, file.Edges.Count);
            Assert.Equal(circuit.SmallestEdges, file.Smallest?.Edges ?? circuit.Edges);
            Assert.InRange(circuit.SmallestEdges, 0, circuit.Edges);
            Assert.Equal(2, file.SearchSettings.InterchangeFactor);
            bool isNamed = text.Contains($"{circuit.Task} ({circuit.Model}, ", StringComparison.Ordinal);
            Assert.Equal(file.Solved != true, isNamed);
        }

        Assert.True(File.Exists(Path.Combine(folder["demo"], "report.html")));
        Assert.True(File.Exists(Path.Combine(folder["demo"], "dense", "model.safetensors")));
    }
}
