using System.Globalization;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;

namespace Sparsity.Cli.Viewer;

/// <summary>A circuit.json on disk, read anew each time it is asked for.</summary>
internal sealed class CircuitFile
{
    /// <param name="id">How the page asks for it.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="BadInputException">It is no circuit.</exception>
    public CircuitFile(string id, string path)
    {
        Id = id;
        FilePath = path;
        Circuit circuit = Load();
        Summary = new CircuitSummary(
            id, circuit.Model, circuit.ModelFingerprint, circuit.Task, circuit.Settings?.TargetLoss, circuit.Settings?.Seed, circuit.Imported?.Sweep, circuit.Imported?.K, circuit.MeetsTarget,
            circuit.Nodes.Count, circuit.TotalNodes, circuit.Edges.Count, circuit.TotalEdges, circuit.Measurements);
    }

    public string Id { get; }

    public string FilePath { get; }

    /// <summary>As of when the viewer started.</summary>
    public CircuitSummary Summary { get; }

    /// <exception cref="BadInputException">The file is missing or damaged, a node's name is none, or an edge ends outside.</exception>
    public Circuit Load()
    {
        Circuit circuit = Circuit.Load(RunFiles.NoLink(FilePath));
        var names = new HashSet<string>();
        foreach (CircuitNode node in circuit.Nodes)
        {
            if (!IsNodeName(node.Name))
            {
                throw new BadInputException($"{FilePath}: '{node.Name}' is no node. Nodes are LAYER.LOCATION.CHANNEL, such as 0.mlp.post_act.12, or final_resid.CHANNEL.");
            }

            if (!names.Add(node.Name))
            {
                throw new BadInputException($"{FilePath}: node {node.Name} occurs twice.");
            }
        }

        return circuit.Edges.FirstOrDefault(edge => !names.Contains(edge.From) || !names.Contains(edge.To)) is { } loose
            ? throw new BadInputException($"{FilePath}: the edge from {loose.From} to {loose.To} ends outside the circuit's nodes.")
            : circuit;
    }

    /// <summary>The path of a file beside the circuit; null if it is not there.</summary>
    public string? Sibling(string name)
    {
        string path = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(FilePath))!, name);
        return File.Exists(path) ? RunFiles.NoLink(path) : null;
    }

    /// <summary>When the circuit and the files beside it last changed.</summary>
    public string Version() =>
        string.Join(' ', new DirectoryInfo(Path.GetDirectoryName(Path.GetFullPath(FilePath))!).EnumerateFiles("*.json").Select(file => $"{file.Name} {file.LastWriteTimeUtc.Ticks} {file.Length}"));

    private static bool IsNodeName(string name)
    {
        int first = name.IndexOf('.', StringComparison.Ordinal);
        int last = name.LastIndexOf('.');
        return (first == last && first > 0 && name[..first] == SiteKind.FinalResid.Suffix() && IsNumber(name[(first + 1)..]))
            || (first > 0 && last > first && IsNumber(name[..first]) && IsNumber(name[(last + 1)..]) && SiteKinds.Nodes.Any(kind => kind.Suffix() == name[(first + 1)..last]));

        static bool IsNumber(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _);
    }
}

/// <summary>A circuit in the list of a run.</summary>
/// <param name="Id">Its folder in the run, with slashes.</param>
/// <param name="TargetLoss">Null for imported circuits, like Seed and MeetsTarget.</param>
/// <param name="Sweep">Of imported circuits, like K.</param>
internal sealed record CircuitSummary(
    string Id, string Model, string ModelFingerprint, string Task, double? TargetLoss, ulong? Seed, string? Sweep, string? K, bool? MeetsTarget, int Nodes, int TotalNodes, int Edges, int TotalEdges, CircuitMeasurements Measurements);
