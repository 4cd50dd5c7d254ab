using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Kernels;

namespace Samples;

/// <summary>Finds the circuit of a task in a model and prints it.</summary>
public static class Prune
{
    /// <param name="folder">A run's folder with its data.</param>
    public static Circuit Find(string folder, string task)
    {
        using IComputeEngine engine = EngineFactory.Create("auto");
        using OpenedRun run = Run.Open(folder, engine);
        var settings = new PruningConfig { KCoef = [0.001] };
        using TaskPruning pruning = TaskPruning.Create(PruningSubject.Of(run), TaskCatalogue.Find(task), settings);
        return pruning.Find().Circuit;
    }

    public static void Show(string folder, string task, TextWriter output)
    {
        Circuit circuit = Find(folder, task);
        output.WriteLine(
            $"{circuit.Task}: {(circuit.Solved == true ? "solved" : circuit.Shortcoming)}, {circuit.Edges.Count} of "
                + $"{circuit.TotalEdges} edges"
        );
        foreach (CircuitEdge edge in circuit.Edges)
        {
            output.WriteLine($"{edge.From} -> {edge.To}: {edge.Weight:0.000}");
        }
    }
}
