using CommandLine;
using Sparsity.Cli.Viewer;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.Core.Released;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Verbs;

[Verb("circuit")]
internal sealed class CircuitVerb : ModelVerb
{
    [Value(0, MetaName = "action", Required = true, HelpText = "show, compare, export, edit or import.")]
    public string Action { get; set; } = "";

    [Value(1, MetaName = "FILE", HelpText = "A circuit.json; of 'import' a viz_data.pt, or a folder with some in it or below.")]
    public IEnumerable<string> Files { get; set; } = [];

    [Option("format", MetaValue = "FORMAT", Default = "dot", HelpText = "json, dot, graphml or csv.")]
    public string Format { get; set; } = "dot";

    [Option("remove", MetaValue = "NODE,...", Separator = ',', HelpText = "Names of nodes to take out, comma-separated.")]
    public IEnumerable<string> Remove { get; set; } = [];

    [Option(
        "model",
        MetaValue = "DIR",
        HelpText = "Folder of the circuits' model. (Default of 'edit': the one that the circuit names, where it was or near the circuit)"
    )]
    public string? Model { get; set; }

    [Option(
        "task",
        MetaValue = "TASK",
        HelpText = "Of 'edit' the task's JSON file, if it was moved; not for the program's own tasks. Of 'import' the task's name. "
            + "(Default of 'import': from the file's folder)"
    )]
    public string? Task { get; set; }

    [Option(
        "answers",
        HelpText = "The two answers A,B as token ids or texts, A after prompts of the first half. (Default: by the task's "
            + "name, else found from the logits)"
    )]
    public string? Answers { get; set; }

    [Option("means", MetaValue = "FILE", HelpText = "File of mean activations. (Default: mean_baseline_pretrain.pt above the file)")]
    public string? Means { get; set; }

    [Option("out", MetaValue = "DIR", HelpText = "Folder to make; of 'export' the file to write. (Default of 'export': standard output)")]
    public string? Out { get; set; }

    [Option("json", MetaValue = "FILE", HelpText = "File to write the results to as well.")]
    public string? Json { get; set; }

    public override bool EndsWhenAsked => false;

    /// <summary>What circuits share: nodes and edges in all of them, and in how many of them each node is.</summary>
    private sealed record Comparison(
        IReadOnlyList<ComparedCircuit> Circuits,
        IReadOnlyList<string> SharedNodes,
        IReadOnlyList<SharedEdge> SharedEdges,
        IReadOnlyDictionary<string, int> NodeCounts
    );

    private sealed record SharedEdge(string From, string To);

    private sealed record ComparedCircuit(string File, string Task, int Nodes, int Edges);

    public override int Execute(CancellationToken stop)
    {
        string[] files = [.. Files];
        TakesOnly("circuit " + Action, Manual.Flags("circuit", Action));
        switch (Action, files.Length)
        {
            case ("show", 1):
                CircuitListing.Print(Circuit.Load(files[0]));
                return 0;
            case ("compare", 2):
                Circuit[] both = [.. files.Select(Circuit.Load)];
                Compare(both[0], both[1], files);
                SaveComparison(both, files);
                return 0;
            case ("compare", > 2):
                Circuit[] all = [.. files.Select(Circuit.Load)];
                Compare(all, files);
                SaveComparison(all, files);
                return 0;
            case ("export", 1):
                Export(Circuit.Load(files[0]));
                return 0;
            case ("edit", 1):
                Edit(Circuit.Load(files[0]), files[0]);
                return 0;
            case ("import", 1):
                using (IComputeEngine engine = CreateEngine())
                {
                    return CircuitImporting.Run(this, files[0], folder => Open(folder, engine));
                }

            default:
                string needed = Action switch
                {
                    "compare" => "two or more circuit.json files",
                    "import" => "one viz_data.pt or folder",
                    _ => "one circuit.json file",
                };
                throw new BadInputException($"circuit {Action} needs {needed}, but {files.Length} were given.");
        }
    }

    private void SaveComparison(Circuit[] circuits, string[] files)
    {
        var overlap = CircuitOverlap.Of(circuits);
        Save(
            Json,
            new Comparison(
                [
                    .. circuits.Zip(
                        files,
                        (circuit, file) => new ComparedCircuit(file, circuit.Task, circuit.Nodes.Count, circuit.Edges.Count)
                    ),
                ],
                [.. overlap.Nodes.Select(node => node.ToString())],
                [.. overlap.Edges.Select(edge => new SharedEdge(edge.From.ToString(), edge.To.ToString()))],
                overlap.NodeCounts.ToDictionary(entry => entry.Node.ToString(), entry => entry.Count)
            )
        );
    }

    private static void Compare(Circuit a, Circuit b, string[] files)
    {
        var overlap = CircuitOverlap.Of(a, b);
        Terminal.Line($"A: {a.Task}, {files[0]}");
        Terminal.Line($"B: {b.Task}, {files[1]}");
        WarnOfModels([a, b]);
        Terminal.Table(
            ["", "A", "B", "shared", "shared of either"],
            [
                [
                    "nodes",
                    $"{a.Nodes.Count}",
                    $"{b.Nodes.Count}",
                    $"{overlap.Nodes.Count}",
                    Share(a.Nodes.Count, b.Nodes.Count, overlap.Nodes.Count),
                ],
                [
                    "edges",
                    $"{a.Edges.Count}",
                    $"{b.Edges.Count}",
                    $"{overlap.Edges.Count}",
                    Share(a.Edges.Count, b.Edges.Count, overlap.Edges.Count),
                ],
            ]
        );
        Terminal.Line($"shared nodes: {string.Join(", ", overlap.Nodes)}");
        Terminal.Line($"shared edges: {string.Join(", ", overlap.Edges.Select(edge => $"{edge.From} > {edge.To}"))}");
        Terminal.Line($"only in A: {string.Join(", ", a.Nodes.Select(node => node.Node).Except(overlap.Nodes))}");
        Terminal.Line($"only in B: {string.Join(", ", b.Nodes.Select(node => node.Node).Except(overlap.Nodes))}");
    }

    /// <summary>Compares more than two circuits: sizes, how much each pair shares, and in how many circuits each node is.</summary>
    private static void Compare(Circuit[] circuits, string[] files)
    {
        WarnOfModels(circuits);
        var overlap = CircuitOverlap.Of(circuits);
        Terminal.Table(
            ["", "nodes", "edges", .. files.Select((_, i) => $"nodes shared with {i + 1}"), "file"],
            circuits.Select(
                (circuit, row) =>
                    (string[])
                        [
                            $"{row + 1}",
                            $"{circuit.Nodes.Count}",
                            $"{circuit.Edges.Count}",
                            .. circuits.Select(other =>
                                Share(circuit.Nodes.Count, other.Nodes.Count, CircuitOverlap.Of(circuit, other).Nodes.Count)
                            ),
                            files[row],
                        ]
            )
        );
        Terminal.Line($"nodes in all {circuits.Length} circuits: {overlap.Nodes.Count} of {overlap.NodeCounts.Count} in any");
        Terminal.Line($"edges in all: {overlap.Edges.Count}");
        foreach (IGrouping<int, Node> group in overlap.NodeCounts.GroupBy(entry => entry.Count, entry => entry.Node))
        {
            Terminal.Line($"in {group.Key}: {string.Join(", ", group)}");
        }
    }

    private static void WarnOfModels(IReadOnlyList<Circuit> circuits)
    {
        if (circuits.Any(circuit => circuit.ModelFingerprint != circuits[0].ModelFingerprint))
        {
            Terminal.Line($"These are circuits of different models: equal names are not the same nodes.");
        }
    }

    private static string Share(int a, int b, int shared) =>
        Terminal.Number(100 * CircuitOverlap.ShareOfEither(a, b, shared), "0.0") + " %";

    private void Export(Circuit circuit)
    {
        string text = Format.ToLowerInvariant() switch
        {
            "json" => JsonText.Write(circuit),
            "dot" => CircuitExport.Dot(circuit),
            "graphml" => CircuitExport.GraphMl(circuit),
            "csv" => CircuitExport.Csv(circuit),
            _ => throw new BadInputException($"--format is '{Format}', but must be json, dot, graphml or csv."),
        };
        if (Out is null)
        {
            Terminal.Text(text);
        }
        else
        {
            AtomicFile.WriteText(Out, text);
        }
    }

    private void Edit(Circuit circuit, string file)
    {
        string[] names = [.. Remove];
        if (names.Length == 0 || Out is null)
        {
            throw new BadInputException("circuit edit needs --remove NODE,... and --out DIR.");
        }

        if (names.Except(circuit.Nodes.Select(node => node.Name)).FirstOrDefault() is { } unknown)
        {
            throw new BadInputException($"--remove: '{unknown}' is no node of {file}; 'sparsity circuit show' lists them.");
        }

        Node[] removed = [.. names.Select(Node.Parse)];
        if (circuit.Imported is not null)
        {
            TakesOnly(
                "circuit edit of an imported circuit, which has its prompts and means beside it,",
                ["remove", "model", "tokenizer", "out", .. EngineFlags]
            );
        }

        using IComputeEngine engine = CreateEngine();
        using ModelShelf models = Model is not null ? ModelShelf.At(OpenAt, Model) : ModelShelf.Around(OpenAt);
        OpenedRun run =
            models.Find(circuit, new CircuitFile("circuit", file))?.Run
            ?? throw new BadInputException(
                (
                    Model is null
                        ? $"{circuit.Model}: the model of {file} is neither there nor near the circuit."
                        : $"{Model}: has other weights than the model of {file}."
                ) + " Give --model DIR, the folder of the run it was found in."
            );
        if (circuit.Imported is not null)
        {
            EditImported(circuit, file, removed, run);
            return;
        }

        PromptTask task = PromptTask.FindAgain(circuit.Task, circuit.TaskFile?.Near(Path.GetDirectoryName(Path.GetFullPath(file))!), Task);
        var subject = PruningSubject.Of(run);
        using var pruning = TaskPruning.Create(subject, task, circuit.SearchSettings);
        PrunedTask edited = pruning.WithoutNodes(circuit, removed);
        edited.WriteTo(OutputFolder.Create(Out));
        Tell(circuit, edited.Circuit, Out);

        OpenedRun OpenAt(string folder) => Open(folder, engine);
    }

    private void EditImported(Circuit circuit, string file, Node[] removed, OpenedRun run)
    {
        CircuitInputs inputs = CircuitInputs.Load(Path.GetDirectoryName(Path.GetFullPath(file))!, circuit, run.Model.Config);
        Circuit edited = new CircuitImport(circuit.Model, run.Model, run.FindTokenizer()).WithoutNodes(circuit, inputs, removed);
        string directory = OutputFolder.Create(Out!);
        new PrunedTask(edited, null).WriteTo(directory);
        inputs.WriteTo(directory, edited, edited.LayoutIn(run.Model.Config));
        Tell(circuit, edited, Out!);
    }

    private static void Tell(Circuit circuit, Circuit edited, string directory)
    {
        CircuitListing.Print(edited);
        Terminal.Line(
            $"before: {circuit.Nodes.Count} nodes, {circuit.Edges.Count} edges, test loss {circuit.Measurements.Loss:0.000}, without "
                + $"the circuit {circuit.Measurements.LossWithoutCircuit:0.000}"
        );
        Terminal.Line(
            $"after: {edited.Nodes.Count} nodes, {edited.Edges.Count} edges, test loss {edited.Measurements.Loss:0.000}, without the "
                + $"circuit {edited.Measurements.LossWithoutCircuit:0.000}"
        );
        Terminal.Line($"written to {Path.Combine(directory, "circuit.json")}");
    }
}
