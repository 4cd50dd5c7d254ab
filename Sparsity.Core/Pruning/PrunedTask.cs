using Sparsity.Core.Circuits;
using Sparsity.Core.Files;

namespace Sparsity.Core.Pruning;

/// <summary>A circuit with the statistics of its nodes, unless it has more than anyone would look at one by one (512).</summary>
public sealed record PrunedTask(Circuit Circuit, CircuitActivations? Activations)
{
    /// <summary>Writes circuit.json and activations.json.</summary>
    public void WriteTo(string directory)
    {
        AtomicFile.CreateDirectory(directory);
        AtomicFile.WriteText(Path.Combine(directory, "circuit.json"), JsonText.Write(Circuit));
        if (Activations is not null)
        {
            AtomicFile.WriteText(Path.Combine(directory, "activations.json"), JsonText.WriteLine(Activations));
        }
    }
}
