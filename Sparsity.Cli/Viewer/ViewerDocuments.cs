using System.Globalization;
using System.Text.Json;
using Sparsity.Core;
using Sparsity.Core.Files;

namespace Sparsity.Cli.Viewer;

/// <summary>
/// What the page asks for, as JSON by path: "run" for the lists, "circuit/ID" and so on for one thing. A page in a file holds them all, a
/// server sends them. Paths are looked up here and never touch the file system. For several threads.
/// </summary>
internal sealed class ViewerDocuments
{
    private readonly ViewerContent _content;
    private readonly CircuitDescriber _describer;
    private readonly bool _live;
    private readonly Dictionary<string, Source> _sources = [];
    private readonly Dictionary<string, (string Version, string? Json)> _made = [];
    private readonly ModelShelf _models;

    /// <param name="content">What there is.</param>
    /// <param name="models">Where circuits find their models.</param>
    /// <param name="live">Whether the page can ask for computations.</param>
    public ViewerDocuments(ViewerContent content, ModelShelf models, bool live)
    {
        _content = content;
        _models = models;
        _describer = new CircuitDescriber(models, content.TaskOf);
        _live = live;
        _sources["run"] = new Source(() => "", () => Json(Run()));
        foreach (CircuitFile circuit in content.Circuits)
        {
            _sources["circuit/" + circuit.Id] = new Source(circuit.Version, () => Json(_describer.Describe(circuit)));
            _sources["activations/" + circuit.Id] = new Source(circuit.Version, () => CircuitDescriber.Activations(circuit));
            _sources["prompts/" + circuit.Id] = new Source(circuit.Version, () => Json(_describer.Prompts(circuit)));
            _sources["search/" + circuit.Id] = new Source(circuit.Version, () => Json(SearchTrials.Find(circuit, circuit.Load())));
            _sources.TryAdd(
                "embedding/" + circuit.Summary.ModelFingerprint,
                new Source(() => "", () => Json(models.Find(circuit.Load(), circuit) is { } model ? EmbeddingDocument.Of(model) : null))
            );
        }

        foreach (TrainingFile training in content.Trainings)
        {
            _sources["training/" + training.Id] = new Source(() => TimeOf(training.Folder.MetricsPath), training.Json);
        }

        foreach (ReportFile report in content.Reports)
        {
            _sources["report/" + report.Id] = new Source(() => TimeOf(report.FilePath), report.Json);
        }
    }

    /// <summary>Every document there is.</summary>
    /// <exception cref="BadInputException">A file has become unreadable.</exception>
    public IEnumerable<(string Path, string Json)> All
    {
        get
        {
            foreach (string path in _sources.Keys)
            {
                if (Find(path) is { } json)
                {
                    yield return (path, json);
                }
            }
        }
    }

    /// <summary>The document of a path on one line; null if there is none.</summary>
    /// <exception cref="BadInputException">A file has become unreadable.</exception>
    public string? Find(string path)
    {
        if (!_sources.TryGetValue(path, out Source? source))
        {
            return null;
        }

        lock (_models.Turn)
        {
            string version = source.Version();
            if (!_made.TryGetValue(path, out (string Version, string? Json) made) || made.Version != version)
            {
                _made[path] = made = (version, source.Make());
            }

            return made.Json;
        }
    }

    private static string TimeOf(string path) => File.GetLastWriteTimeUtc(path).Ticks.ToString(CultureInfo.InvariantCulture);

    private static string? Json<T>(T? document) => document is null ? null : JsonSerializer.Serialize(document, JsonText.OneLine);

    private RunDocument Run() =>
        new(
            _content.Title,
            _live,
            [.. _content.Circuits.Select(circuit => circuit.Summary)],
            _content.Unpruned,
            [.. _content.Trainings.Select(training => training.Id)],
            [.. _content.Reports.Select(report => report.Id)],
            _content.Labels
        );

    private sealed record Source(Func<string> Version, Func<string?> Make);

    private sealed record RunDocument(
        string Title,
        bool Live,
        IReadOnlyList<CircuitSummary> Circuits,
        IReadOnlyList<UnprunedTask> Unpruned,
        IReadOnlyList<string> Trainings,
        IReadOnlyList<string> Reports,
        IReadOnlyDictionary<string, string> Labels
    );
}
