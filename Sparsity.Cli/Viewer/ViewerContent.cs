using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core;
using Sparsity.Core.Storage;

namespace Sparsity.Cli.Viewer;

/// <summary>What one viewer shows.</summary>
/// <param name="Title">Of the page.</param>
/// <param name="Circuits">In the order of the list.</param>
/// <param name="Trainings">Models whose training can be shown.</param>
/// <param name="Labels">Names of nodes that come with it.</param>
internal sealed record ViewerContent(string Title, IReadOnlyList<CircuitFile> Circuits, IReadOnlyList<TrainingFile> Trainings, IReadOnlyDictionary<string, string> Labels)
{
    /// <summary>One circuit.</summary>
    public static ViewerContent OfCircuit(string path, IReadOnlyDictionary<string, string> labels)
    {
        var file = new CircuitFile("circuit", path);
        return new ViewerContent($"{file.Summary.Task} in {file.Summary.Model}", [file], [], labels);
    }

    /// <summary>Everything in a run. Circuit files that are damaged are told of, and left out.</summary>
    public static ViewerContent OfRun(RunFiles run, IReadOnlyDictionary<string, string> labels)
    {
        var circuits = new List<CircuitFile>();
        foreach (string path in run.Circuits)
        {
            try
            {
                circuits.Add(new CircuitFile(run.IdOf(path), path));
            }
            catch (BadInputException e)
            {
                Terminal.Line($"left out: {e.Message}");
            }
        }

        return new ViewerContent(
            Path.GetFileName(run.Root),
            circuits,
            [.. run.Models.Where(folder => File.Exists(new RunFolder(folder).MetricsPath)).Select(folder => new TrainingFile(run.NameOf(folder), new RunFolder(folder)))],
            labels);
    }

    /// <summary>Labels from a file that the page exported.</summary>
    /// <exception cref="BadInputException">It is no such file.</exception>
    public static IReadOnlyDictionary<string, string> ReadLabels(string path) => JsonText.ReadFile<LabelsFile>(path).Labels;

    private sealed record LabelsFile(string? ModelFingerprint, Dictionary<string, string> Labels);
}

/// <summary>The metrics of one training run.</summary>
internal sealed record TrainingFile(string Id, RunFolder Folder)
{
    private const int MostLines = 2000;

    /// <summary>{ "metrics": [...], "bigram_loss": ... }: the lines of metrics.jsonl, thinned out where there are very many; those with validation stay.</summary>
    public string Json()
    {
        string[] lines = [.. JsonText.ReadAllText(Folder.MetricsPath).Split('\n').Where(IsWhole)];
        int step = (lines.Length + MostLines - 1) / MostLines;
        JsonNode?[] kept = [.. lines.Where((line, i) => step <= 1 || i % step == 0 || line.Contains("\"validation_loss\"", StringComparison.Ordinal)).Select(line => JsonNode.Parse(line))];
        var document = new JsonObject { ["metrics"] = new JsonArray(kept) };
        if (File.Exists(Folder.RunPath) && JsonText.ParseObject(JsonText.ReadAllText(Folder.RunPath), Folder.RunPath) is { } run)
        {
            document["bigram_loss"] = run["bigram_loss"]?.DeepClone();
        }

        return document.ToJsonString(JsonText.OneLine);
    }

    /// <summary>The last line of a run in progress may be half written.</summary>
    private static bool IsWhole(string line)
    {
        try
        {
            return line.Length > 0 && JsonNode.Parse(line) is JsonObject;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
