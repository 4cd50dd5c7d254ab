using System.Globalization;
using Sparsity.Core.Circuits;
using VerifyXunit;

namespace Samples.Tests;

/// <summary>A circuit under a snapshot test: a change of the model or of how it is pruned shows as a difference of text.</summary>
public class CircuitSnapshotTests(TrainedRun run) : IClassFixture<TrainedRun>
{
    [Fact]
    public async Task TheQuoteCircuitStaysAsItIs()
    {
        Circuit circuit = Prune.Find(run.Folder, "single_double_quote");

        Assert.True(circuit.Solved, circuit.Shortcoming);
        await Verifier.Verify(
            string.Join(
                '\n',
                circuit.Edges.Select(edge => string.Create(CultureInfo.InvariantCulture, $"{edge.From} -> {edge.To} {edge.Weight:0.000}"))
            )
        );
    }
}
