using Sparsity.Core;
using Sparsity.Core.Circuits;

namespace Sparsity.Cli.Viewer;

/// <summary>A circuit.json on disk, read anew each time it is asked for.</summary>
internal sealed class CircuitFile
{
    private readonly string? _root;

    /// <param name="id">How the page asks for it.</param>
    /// <param name="path">The file.</param>
    /// <param name="root">The folder outside which nothing is read; null for none.</param>
    /// <exception cref="BadInputException">It is no circuit.</exception>
    public CircuitFile(string id, string path, string? root = null)
    {
        _root = root;
        Id = id;
        FilePath = path;
        Circuit circuit = Load();
        Summary = new CircuitSummary(
            id,
            circuit.Model,
            circuit.ModelFingerprint,
            circuit.Task,
            circuit.Settings?.TargetLoss,
            circuit.Settings?.Seed,
            circuit.Imported?.Sweep,
            circuit.Imported?.K,
            circuit.Solved,
            circuit.Shortcoming,
            circuit.Nodes.Count,
            circuit.TotalNodes,
            circuit.Edges.Count,
            circuit.TotalEdges,
            circuit.Measurements
        );
    }

    public string Id { get; }

    public string FilePath { get; }

    /// <summary>As of when the viewer started.</summary>
    public CircuitSummary Summary { get; }

    /// <summary>The circuit, with the path of its task's file as it is now.</summary>
    /// <inheritdoc cref="Circuit.Load" path="/exception"/>
    public Circuit Load()
    {
        Circuit circuit = Circuit.Load(RunFiles.NoLink(FilePath));
        return circuit with { TaskFile = circuit.TaskFile?.Near(Path.GetDirectoryName(Path.GetFullPath(FilePath))!) };
    }

    /// <summary>The path of a file beside the circuit; null if it is not there.</summary>
    public string? Sibling(string name) => In(Path.GetDirectoryName(Path.GetFullPath(FilePath)), name);

    /// <summary>The path of a file in the folder above the circuit's; null if it is not there, or may not be read.</summary>
    public string? InFolderAbove(string name)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(FilePath))!;
        return folder == _root ? null : In(Path.GetDirectoryName(folder), name);
    }

    /// <summary>When the circuit and the files beside it last changed.</summary>
    public string Version() =>
        string.Join(
            ' ',
            new DirectoryInfo(Path.GetDirectoryName(Path.GetFullPath(FilePath))!)
                .EnumerateFiles("*.json")
                .Select(file => $"{file.Name} {file.LastWriteTimeUtc.Ticks} {file.Length}")
        );

    private static string? In(string? folder, string name) =>
        folder is not null && Path.Combine(folder, name) is var path && File.Exists(path) ? RunFiles.NoLink(path) : null;
}

/// <summary>A circuit in the list of a run.</summary>
/// <param name="Id">Its folder in the run, with slashes.</param>
/// <param name="TargetLoss">Null for imported circuits, like Seed, Solved and Shortcoming.</param>
/// <param name="Sweep">Of imported circuits, like K.</param>
internal sealed record CircuitSummary(
    string Id,
    string Model,
    string ModelFingerprint,
    string Task,
    double? TargetLoss,
    ulong? Seed,
    string? Sweep,
    string? K,
    bool? Solved,
    string? Shortcoming,
    int Nodes,
    int TotalNodes,
    int Edges,
    int TotalEdges,
    CircuitMeasurements Measurements
);
