using System.Net;
using CommandLine;
using Sparsity.Cli.Viewer;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;

namespace Sparsity.Cli.Verbs;

[Verb("view")]
internal sealed class ViewVerb : ModelVerb
{
    [Option("circuit", MetaValue = "FILE", HelpText = "A circuit.json to put into one page.")]
    public string? Circuit { get; set; }

    [Option("run", MetaValue = "DIR", HelpText = "A run's folder, or one with several runs and circuits below it.")]
    public string? Directory { get; set; }

    [Option("html", MetaValue = "FILE", HelpText = "File to write, instead of serving.")]
    public string? Html { get; set; }

    [Option(
        "model",
        MetaValue = "DIR",
        HelpText = "The circuits' model, the folder of a run or of a released one, for heads, tokens and answers. (Default: looked "
            + "for in --run, or where circuit.json says and around it)"
    )]
    public string? Model { get; set; }

    [Option(
        "task",
        MetaValue = "FILE,...",
        Separator = ',',
        HelpText = "JSON files of tasks that circuits were found on, where they are not the program's own and were moved, comma-separated."
    )]
    public IEnumerable<string> Task { get; set; } = [];

    [Option("labels", MetaValue = "FILE", HelpText = "Labels of nodes, a file that the page exported.")]
    public string? Labels { get; set; }

    [Option("port", Default = 8321, HelpText = "Port to serve at; 0 for any free one.")]
    public int Port { get; set; }

    [Option(
        "address",
        Default = "127.0.0.1",
        HelpText = "Address to serve at. Any but 127.0.0.1 makes the viewer readable for others who know the token in its address."
    )]
    public string Address { get; set; } = "";

    public override string WhenAskedToEnd => "";

    public override int Execute(CancellationToken stop)
    {
        if (Circuit is null == Directory is null)
        {
            throw new BadInputException("view needs --circuit FILE or --run DIR, one of the two.");
        }

        if (Circuit is not null && Html is null)
        {
            throw new BadInputException("view --circuit needs --html OUT.html, the file to write; to serve, give --run DIR.");
        }

        TakesOnly(
            Html is null ? "view without --html" : "view --html",
            [
                "circuit",
                "run",
                "model",
                "data",
                "tokenizer",
                "labels",
                "task",
                .. EngineFlags,
                .. Html is null ? (string[])["port", "address"] : ["html"],
            ]
        );
        IReadOnlyDictionary<string, string> labels = Labels is null ? new Dictionary<string, string>() : ViewerContent.ReadLabels(Labels);
        RunFiles? files = Directory is null ? null : new RunFiles(Directory);
        using IComputeEngine engine = CreateEngine();
        using ModelShelf models =
            Model is not null ? ModelShelf.At(OpenAt, Model)
            : files is not null ? ModelShelf.Of(OpenAt, files)
            : ModelShelf.Around(OpenAt);
        ViewerContent content = (files is not null ? ViewerContent.OfRun(files, labels) : ViewerContent.OfCircuit(Circuit!, labels)) with
        {
            TaskFiles = [.. Task],
        };
        if (Task.FirstOrDefault(path => content.Circuits.All(circuit => circuit.Summary.Task != PromptTask.Load(path).Name)) is { } unused)
        {
            throw new BadInputException(
                $"--task {unused}: no circuit here was found on this task. Leave it out, or give the file of another."
            );
        }

        return Html is null ? Serve(content, models, stop) : Write(Html, content, models);

        OpenedRun OpenAt(string folder) => Open(folder, engine);
    }

    private int Write(string html, ViewerContent content, ModelShelf models)
    {
        foreach (CircuitFile file in content.Circuits)
        {
            if (models.Find(file.Load(), file) is null)
            {
                if (Model is not null)
                {
                    throw new BadInputException(
                        $"--model {Model}: holds another model than {file.FilePath} was found in. Give the folder of that model, or "
                            + $"leave --model out."
                    );
                }

                Terminal.Line(
                    $"the model of {file.FilePath} was not found: its drawing is without heads, tokens and answers; give its folder "
                        + $"with --model."
                );
            }
        }

        var documents = new ViewerDocuments(content, models, live: false);
        AtomicFile.WriteText(html, ViewerPage.Render(content.Title, documents.All, connects: false));
        Terminal.Line($"written to {html}");
        return 0;
    }

    private int Serve(ViewerContent content, ModelShelf models, CancellationToken stop)
    {
        if (Port is < 0 or > 65535)
        {
            throw new BadInputException($"--port is {Port}, but must be 0 to 65535.");
        }

        if (!IPAddress.TryParse(Address, out IPAddress? address))
        {
            throw new BadInputException($"--address is '{Address}', but must be an IP address such as 127.0.0.1.");
        }

        using var ablation = new LiveAblation(content, models);
        ServeAsync(content, new ViewerDocuments(content, models, live: true), ablation, address, stop).GetAwaiter().GetResult();
        return 0;
    }

    private async System.Threading.Tasks.Task ServeAsync(
        ViewerContent content,
        ViewerDocuments documents,
        LiveAblation ablation,
        IPAddress address,
        CancellationToken stop
    )
    {
        await using var server = new ViewerServer(content.Title, documents, ablation, address, Port);
        string served = await server.StartAsync();
        Terminal.Line($"serving at {served} until Ctrl-C");
        await System
            .Threading.Tasks.Task.Delay(Timeout.Infinite, stop)
            .ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }
}
