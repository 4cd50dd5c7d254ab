using System.Text.Json.Nodes;
using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tracing;

namespace Sparsity.Cli.Verbs;

[Verb("trace")]
internal sealed class TraceVerb : ModelVerb
{
    private const string FileName = "trace.safetensors";

    [Option("model", MetaValue = "DIR", Required = true, HelpText = "Folder of a run or of a released model.")]
    public string Model { get; set; } = "";

    [Text]
    [Option("text", HelpText = "What the model reads; needs the model's tokenizer.")]
    public string? Text { get; set; }

    [Option(
        "ids",
        HelpText = "What the model reads as a JSON array of token ids, or of such arrays of one length; or the path of a file with it."
    )]
    public string? Ids { get; set; }

    [Option(
        "out",
        MetaValue = "DIR",
        Required = true,
        HelpText = "Folder to make; receives "
            + FileName
            + ": tokens, logits, loss, activations by official hook name, gradients under grad/."
    )]
    public string Out { get; set; } = "";

    [Option(
        "sites",
        Default = "*",
        HelpText = "Sites to record: a comma list of hook names with * and ?, such as '*.attn.q,3.mlp.*,final_resid'."
    )]
    public string Sites { get; set; } = "*";

    [Option("grads", HelpText = "Also the derivative of the mean next-token loss with respect to each recorded activation.")]
    public bool Grads { get; set; }

    [Option("set", HelpText = "SITE:CHANNEL=VALUE ...: hold channels at a value at every token; CHANNEL may be *.")]
    public IEnumerable<string> Set { get; set; } = [];

    [Option("scale", HelpText = "SITE:CHANNEL=FACTOR ...: multiply channels at every token; CHANNEL may be *.")]
    public IEnumerable<string> Scale { get; set; } = [];

    [Option(
        "mean-ablate",
        HelpText = "SITE:CHANNEL ...: hold channels at their mean over training tokens; the site must be one of the eight node "
            + "locations, or final_resid."
    )]
    public IEnumerable<string> MeanAblate { get; set; } = [];

    [Option("mean-batches", Default = 16, HelpText = "Batches of 16 windows of training tokens that means are taken over.")]
    public int MeanBatches { get; set; }

    [Option("seed", Default = 1UL, HelpText = "Chooses the windows that means are taken over.")]
    public ulong Seed { get; set; }

    public override bool EndsWhenAsked => false;

    public override int Execute(CancellationToken stop)
    {
        if (!MeanAblate.Any())
        {
            string[] reading = Ids is null ? ["text", "data", "tokenizer"] : ["ids", "text"];
            TakesOnly(
                $"trace {(Ids is null ? "" : "--ids ")}without --mean-ablate",
                ["model", "out", "sites", "grads", "set", "scale", .. reading, .. EngineFlags]
            );
        }

        if (MeanBatches is < 1 or > 1_000_000)
        {
            throw new BadInputException($"--mean-batches is {MeanBatches}, but must be 1 to 1000000.");
        }

        using IComputeEngine engine = CreateEngine();
        using OpenedRun run = Open(Model, engine);
        if (!MeanAblate.Any())
        {
            run.RequireDataForTokenizer("trace without --mean-ablate");
        }

        Transformer model = run.Model;
        int[][] sequences = Read(run);
        if (Grads && sequences[0].Length < 2)
        {
            throw new BadInputException("--grads needs at least two tokens: the loss is that of predicting the next one. Give more.");
        }

        IReadOnlySet<Site> sites = SitePatterns.Match(Sites, model.Config);
        using var interventions = new Interventions(engine, model.Config);
        AddTo(interventions, run);
        string target = OutputFolder.Create(Out);
        ActivationTrace trace = ActivationTrace.Run(
            model,
            [.. sequences.SelectMany(ids => ids)],
            sequences.Length,
            sites.Contains,
            interventions,
            Grads
        );
        string path = Path.Combine(target, FileName);
        trace.Write(path);
        Terminal.Line(
            $"{sequences.Length} x {sequences[0].Length} tokens, {sites.Count} "
                + $"sites{(trace.Loss is { } loss ? FormattableString.Invariant($", loss {loss:0.0000}") : "")}: {path}"
        );
        return 0;
    }

    private void AddTo(Interventions interventions, OpenedRun run)
    {
        Transformer model = run.Model;
        foreach (string text in Set)
        {
            (Site site, IReadOnlyList<int> channels, float value) = Interventions.ParseAssignment(text, model.Config);
            interventions.Set(site, channels, value);
        }

        foreach (string text in Scale)
        {
            (Site site, IReadOnlyList<int> channels, float factor) = Interventions.ParseAssignment(text, model.Config);
            interventions.Scale(site, channels, factor);
        }

        var layout = new NodeLayout(model.Config, finalResid: true);
        (Site Site, IReadOnlyList<int> Channels)[] ablated =
        [
            .. MeanAblate.Select(text => Interventions.ParseChannels(text, model.Config)),
        ];
        foreach ((Site site, _) in ablated.Where(entry => !layout.Sites.Contains(entry.Site)))
        {
            throw new BadInputException(
                $"--mean-ablate {site}: only channels at {string.Join(", ", SiteKinds.NodeLocations.Select(kind => kind.Suffix()))} "
                    + "have a mean. Use --set with a value."
            );
        }

        if (ablated.Length == 0)
        {
            return;
        }

        float[] means = Means(run, layout);
        foreach ((Site site, IReadOnlyList<int> channels) in ablated)
        {
            interventions.Set(site, channels, channel => means[layout.IndexOf(new Node(site, channel))]);
        }
    }

    private float[] Means(OpenedRun run, NodeLayout layout)
    {
        const int WindowTokens = 256;
        int window = Math.Min(WindowTokens, run.Model.Config.BlockSize);
        return MeanActivations.Of(run, layout, Math.Min(window, run.FindData()?.Training.Length ?? window), MeanBatches, Seed);
    }

    private int[][] Read(OpenedRun run)
    {
        ModelConfig config = run.Model.Config;
        int[][] sequences = (Text, Ids) switch
        {
            (not null, null) => [run.Tokenizer.Encode(Text)],
            (null, not null) => ParseIds(Ids),
            _ => throw new BadInputException("trace needs either --text or --ids."),
        };
        string source = Text is null ? "--ids" : "--text";
        int length = sequences.Length == 0 ? 0 : sequences[0].Length;
        if (length == 0 || sequences.Any(ids => ids.Length != length))
        {
            throw new BadInputException($"{source}: sequences must have at least one token, and all the same number.");
        }

        if (length > config.BlockSize)
        {
            throw new BadInputException($"{source}: {length} tokens are more than the model's block_size {config.BlockSize}. Give fewer.");
        }

        foreach (int id in sequences.SelectMany(ids => ids).Where(id => id < 0 || id >= config.VocabSize))
        {
            throw new BadInputException($"{source}: token {id} is outside 0 to {config.VocabSize - 1}.");
        }

        return sequences;
    }

    private static int[][] ParseIds(string given)
    {
        bool isFile = !given.TrimStart().StartsWith('[');
        string source = isFile ? given : "--ids";
        return JsonText.Parse(isFile ? JsonText.ReadAllText(given) : given, source) switch
        {
            JsonArray { Count: > 0 } array when array[0] is JsonArray => JsonText.Read<int[][]>(array, source),
            JsonArray array => [JsonText.Read<int[]>(array, source)],
            _ => throw new BadInputException($"{source}: is no JSON array of token ids, such as [1, 2, 3], nor of such arrays."),
        };
    }
}
