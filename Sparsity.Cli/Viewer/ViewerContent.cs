using System.Text.Json.Nodes;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Viewer;

/// <summary>What one viewer shows.</summary>
/// <param name="Title">Of the page.</param>
/// <param name="Circuits">In the order of the list.</param>
/// <param name="Unpruned">Tasks without a circuit, and why.</param>
/// <param name="Trainings">Models whose training can be shown.</param>
/// <param name="Reports">Files that are shown as they are.</param>
/// <param name="Labels">Names of nodes that come with it.</param>
internal sealed record ViewerContent(
    string Title,
    IReadOnlyList<CircuitFile> Circuits,
    IReadOnlyList<UnprunedTask> Unpruned,
    IReadOnlyList<TrainingFile> Trainings,
    IReadOnlyList<ReportFile> Reports,
    IReadOnlyDictionary<string, string> Labels
)
{
    /// <summary>Files of tasks that were given by hand, for circuits whose task is not one of the program's own.</summary>
    public IReadOnlyList<string> TaskFiles { get; init; } = [];

    /// <summary>The task that a circuit was found on.</summary>
    /// <exception cref="BadInputException">Its file is gone, or holds other prompts now.</exception>
    public PromptTask TaskOf(Circuit circuit) =>
        PromptTask.FindAgain(circuit.Task, circuit.TaskFile, TaskFiles.FirstOrDefault(path => PromptTask.Load(path).Name == circuit.Task));

    /// <summary>One circuit.</summary>
    public static ViewerContent OfCircuit(string path, IReadOnlyDictionary<string, string> labels)
    {
        var file = new CircuitFile("circuit", path);
        string model = Path.GetFileName(file.Summary.Model.TrimEnd('/', '\\'));
        return new ViewerContent($"{file.Summary.Task} in {model}", [file], [], [], [], labels);
    }

    /// <summary>Everything in a run. Circuit files that are damaged are told of, and left out.</summary>
    public static ViewerContent OfRun(RunFiles run, IReadOnlyDictionary<string, string> labels)
    {
        var circuits = new List<CircuitFile>();
        var unpruned = new List<UnprunedTask>();
        foreach (string path in run.Circuits)
        {
            TellOfDamage(() => circuits.Add(new CircuitFile(run.IdOf(path), path, run.Root)));
        }

        foreach (string path in run.Results)
        {
            TellOfDamage(() => unpruned.AddRange(UnprunedTask.ReadAll(path, run.NameOf(Path.GetDirectoryName(path)!))));
        }

        return new ViewerContent(
            Path.GetFileName(run.Root),
            circuits,
            unpruned,
            [
                .. run
                    .Models.Where(folder => File.Exists(new RunFolder(folder).MetricsPath))
                    .Select(folder => new TrainingFile(run.NameOf(folder), new RunFolder(folder))),
            ],
            [.. run.Reports.Select(path => new ReportFile(run.NameOf(path)[..^".json".Length], path))],
            labels
        );
    }

    /// <summary>Labels from a file that the page exported.</summary>
    /// <exception cref="BadInputException">It is no such file.</exception>
    public static IReadOnlyDictionary<string, string> ReadLabels(string path) => JsonText.ReadFile<LabelsFile>(path).Labels;

    private static void TellOfDamage(Action read)
    {
        try
        {
            read();
        }
        catch (BadInputException e)
        {
            Terminal.Line($"left out: {e.Message}");
        }
    }

    private sealed record LabelsFile(string? ModelFingerprint, Dictionary<string, string> Labels);
}

/// <summary>A task for which no circuit was looked for.</summary>
/// <param name="Folder">Of the results, in the run.</param>
/// <param name="Reason">Why it was skipped; null where the model itself misses the target.</param>
internal sealed record UnprunedTask(string Folder, string Task, double TargetLoss, ulong Seed, string? Reason, double? LossFullModel)
{
    /// <summary>From results.json, which prune leaves: the lines without a circuit's folder.</summary>
    /// <exception cref="BadInputException">The file has another form.</exception>
    public static IEnumerable<UnprunedTask> ReadAll(string path, string folder)
    {
        JsonNode results = JsonText.ParseObject(JsonText.ReadAllText(path), path)["results"] ?? new JsonArray();
        return
        [
            .. JsonText
                .Read<JsonObject[]>(results, path)
                .Where(line => line["folder"] is null)
                .Select(line =>
                    JsonText.Read<UnprunedTask>(
                        new JsonObject(
                            new[] { "task", "target_loss", "seed", "reason", "loss_full_model" }
                                .Select(field => KeyValuePair.Create(field, line[field]?.DeepClone()))
                                .Append(new("folder", folder))
                        ),
                        path
                    )
                ),
        ];
    }
}

/// <summary>A JSON file that is shown as it is.</summary>
internal sealed record ReportFile(string Id, string FilePath)
{
    /// <exception cref="BadInputException">It is no JSON object, or has become a link.</exception>
    public string Json() => JsonText.ParseObject(JsonText.ReadAllText(RunFiles.NoLink(FilePath)), FilePath).ToJsonString(JsonText.OneLine);
}

/// <summary>The metrics of one training run.</summary>
internal sealed record TrainingFile(string Id, RunFolder Folder)
{
    private const int MostLines = 2000;

    /// <summary>
    /// { "metrics": [...], "bigram_loss": ... }: the lines of metrics.jsonl, thinned out where there are very many; those with validation
    /// stay.
    /// </summary>
    public string Json()
    {
        string[] lines = [.. JsonText.ReadAllText(RunFiles.NoLink(Folder.MetricsPath)).Split('\n').Where(IsWhole)];
        int step = (lines.Length + MostLines - 1) / MostLines;
        JsonNode?[] kept =
        [
            .. lines
                .Where((line, i) => step <= 1 || i % step == 0 || line.Contains("\"validation_loss\"", StringComparison.Ordinal))
                .Select(line => JsonText.ParseObject(line, Folder.MetricsPath)),
        ];
        var document = new JsonObject { ["metrics"] = new JsonArray(kept) };
        if (
            File.Exists(Folder.RunPath)
            && JsonText.ParseObject(JsonText.ReadAllText(RunFiles.NoLink(Folder.RunPath)), Folder.RunPath) is { } run
        )
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
            return line.Length > 0 && JsonText.ParseObject(line, "") is not null;
        }
        catch (BadInputException)
        {
            return false;
        }
    }
}
