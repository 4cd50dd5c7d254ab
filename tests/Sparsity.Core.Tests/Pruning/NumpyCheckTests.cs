using System.Text.Json.Nodes;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Core.Tests.Storage;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Pruning;

/// <summary>What circuit.json says, against a program that shares nothing with this one but the files: tests/numpy.</summary>
public class NumpyCheckTests
{
    [PythonModuleFact("numpy")]
    public void NumpyFindsTheSameSizesAndLosses()
    {
        using var folder = new TemporaryFolder();
        using var engine = new CpuEngine(2);
        using ModelParameters parameters = new RunFolder(CircuitSnapshotTests.Folder).ReadModel(engine);
        using var pruning = TaskPruning.Create(
            CircuitSnapshotTests.Subject(parameters),
            TaskCatalogue.Find("single_double_quote"),
            new PruningConfig
            {
                Steps = 100,
                KCoef = [2e-3],
                SelectionPairs = 48,
                TestPairs = 32,
                MeanBatches = 4,
                NodeDetails = false,
            }
        );
        PrunedTask pruned = pruning.Find();
        Directory.CreateDirectory(folder["circuit"]);
        pruned.WriteTo(folder["circuit"]);
        new CircuitInputs(pruning.Prompts.Test, pruning.Evaluator.Means).WriteTo(
            folder["circuit"],
            pruned.Circuit,
            pruning.Evaluator.Layout
        );

        JsonNode numpy = JsonNode.Parse(
            PythonModuleFactAttribute.Run(
                "numpy",
                Path.Combine(OfficialFixture.Root, "..", "..", "numpy", "check_circuit.py"),
                CircuitSnapshotTests.Folder,
                folder["circuit"]
            )
        )!;

        CircuitMeasurements m = pruned.Circuit.Measurements;
        Assert.Equal(pruned.Circuit.Nodes.Count, (int)numpy["nodes"]!);
        Assert.Equal(pruned.Circuit.Edges.Count, (int)numpy["edges"]!);
        Assert.Equal(m.Loss, (double)numpy["loss"]!, 1e-5);
        Assert.Equal(m.Accuracy, (double)numpy["accuracy"]!, 1e-9);
        Assert.Equal(m.LossFullModel, (double)numpy["loss_full_model"]!, 1e-5);
        Assert.Equal(m.LossWithoutCircuit, (double)numpy["loss_without_circuit"]!, 1e-5);
        Assert.Equal(m.LossEmpty, (double)numpy["loss_empty"]!, 1e-5);
        Assert.InRange(pruned.Circuit.Edges.Count, 5, 200);
    }
}
