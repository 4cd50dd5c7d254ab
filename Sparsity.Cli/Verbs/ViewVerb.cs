using CommandLine;
using Sparsity.Cli.Viewer;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Storage;

namespace Sparsity.Cli.Verbs;

[Verb("view", HelpText = "Circuit viewer: --circuit FILE --html OUT.html writes one self-contained page.")]
internal sealed class ViewVerb : EngineVerb
{
    [Option("circuit", Required = true, HelpText = "A circuit.json.")]
    public string Circuit { get; set; } = "";

    [Option("html", Required = true, HelpText = "File to write.")]
    public string Html { get; set; } = "";

    [Option("model", HelpText = "The circuit's run folder, for heads, tokens and answers. (Default: looked for where circuit.json says, and around it)")]
    public string? Model { get; set; }

    public override int Run(CancellationToken stop)
    {
        using IComputeEngine engine = CreateEngine();
        using var models = new ModelShelf(engine, FoldersFor);
        var file = new CircuitFile("circuit", Circuit);
        Circuit circuit = file.Load();
        if (models.Find(circuit, file) is null)
        {
            if (Model is not null)
            {
                throw new BadInputException($"--model {Model}: holds another model than {Circuit} was found in. Give the folder of that model, or leave --model out.");
            }

            Terminal.Line($"the model of {Circuit} was not found: the page is without heads, tokens and answers; give its folder with --model.");
        }

        var documents = new ViewerDocuments($"{circuit.Task} in {circuit.Model}", [file], models, new Dictionary<string, string>());
        AtomicFile.WriteText(Html, ViewerPage.Render($"{circuit.Task} in {circuit.Model}", documents.Paths.Select(path => (path, documents.Find(path)!)), connects: false));
        Terminal.Line($"written to {Html}");
        return 0;
    }

    /// <summary>The folder that circuit.json names, as it stands or from the circuit's folder and those above it, and these folders themselves.</summary>
    private IEnumerable<string> FoldersFor(Circuit circuit, CircuitFile file)
    {
        if (Model is not null)
        {
            return [Model];
        }

        var places = new List<string>();
        for (string? folder = Path.GetDirectoryName(Path.GetFullPath(file.FilePath)); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            places.Add(folder);
            places.Add(Path.Combine(folder, circuit.Model));
        }

        return places.Append(circuit.Model).Where(place => place.Length > 0 && File.Exists(new RunFolder(place).ConfigPath) && File.Exists(new RunFolder(place).ModelPath));
    }
}
