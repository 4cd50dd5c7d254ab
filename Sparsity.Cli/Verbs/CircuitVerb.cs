using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Storage;

namespace Sparsity.Cli.Verbs;

[Verb("circuit", HelpText = "show FILE: nodes and edges. compare FILE FILE: what two circuits share. export FILE --format F --out FILE.")]
internal sealed class CircuitVerb : Verb
{
    [Value(0, MetaName = "action", Required = true, HelpText = "show, compare or export.")]
    public string Action { get; set; } = "";

    [Value(1, MetaName = "files", HelpText = "circuit.json files.")]
    public IEnumerable<string> Files { get; set; } = [];

    [Option("format", Default = "dot", HelpText = "export: json, dot, graphml or csv.")]
    public string Format { get; set; } = "dot";

    [Option("out", HelpText = "export: file to write. (Default: standard output)")]
    public string? Out { get; set; }

    public override int Run(CancellationToken stop)
    {
        string[] files = [.. Files];
        switch (Action, files.Length)
        {
            case ("show", 1):
                CircuitListing.Print(Circuit.Load(files[0]));
                return 0;
            case ("compare", 2):
                Compare(Circuit.Load(files[0]), Circuit.Load(files[1]), files);
                return 0;
            case ("export", 1):
                Export(Circuit.Load(files[0]));
                return 0;
            case ("show" or "compare" or "export", _):
                throw new BadInputException($"circuit {Action} needs {(Action == "compare" ? "two circuit.json files" : "one circuit.json file")}, but {files.Length} were given.");
            default:
                throw new BadInputException($"circuit: '{Action}' is no action; use show, compare or export.");
        }
    }

    private static void Compare(Circuit a, Circuit b, string[] files)
    {
        CircuitOverlap overlap = CircuitOverlap.Of(a, b);
        Terminal.Table(["", files[0], files[1], "shared"],
        [
            ["nodes", $"{a.Nodes.Count}", $"{b.Nodes.Count}", $"{overlap.Nodes.Count}"],
            ["edges", $"{a.Edges.Count}", $"{b.Edges.Count}", $"{overlap.Edges.Count}"],
        ]);
        Terminal.Line($"shared nodes: {string.Join(", ", overlap.Nodes)}");
    }

    private void Export(Circuit circuit)
    {
        string text = Format switch
        {
            "json" => JsonText.Write(circuit),
            "dot" => CircuitExport.Dot(circuit),
            "graphml" => CircuitExport.GraphMl(circuit),
            "csv" => CircuitExport.Csv(circuit),
            _ => throw new BadInputException($"--format is '{Format}', but must be json, dot, graphml or csv."),
        };
        if (Out is null)
        {
            Console.Out.Write(text);
        }
        else
        {
            AtomicFile.WriteText(Out, text);
        }
    }
}
