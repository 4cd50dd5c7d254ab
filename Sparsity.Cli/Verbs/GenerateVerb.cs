using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Generation;
using Sparsity.Core.Runs;

namespace Sparsity.Cli.Verbs;

[Verb("generate")]
internal sealed class GenerateVerb : ModelVerb
{
    [Option("model", MetaValue = "DIR", Required = true, HelpText = "Folder of a run or of a released model.")]
    public string Model { get; set; } = "";

    [Text]
    [Option("prompt", Default = "def ", HelpText = "What the text begins with.")]
    public string Prompt { get; set; } = "";

    [Option("tokens", Default = 64, HelpText = "Most new tokens.")]
    public int Tokens { get; set; }

    [Option("temperature", Default = 0.8, HelpText = "Divides the logits; 0 always takes the likeliest token.")]
    public double Temperature { get; set; }

    [Option("top-k", HelpText = "Only the k likeliest tokens. (Default: all)")]
    public int? TopK { get; set; }

    [Option("top-p", Default = 0.95, HelpText = "Only the likeliest tokens that together reach this probability.")]
    public double TopP { get; set; }

    [Option("seed", Default = 1UL, HelpText = "Seed of the draws.")]
    public ulong Seed { get; set; }

    [Option(
        "no-cache",
        HelpText = "Take the whole context through the model for every token, instead of remembering keys and values: slower, the "
            + "same text."
    )]
    public bool NoCache { get; set; }

    public override int Execute(CancellationToken stop)
    {
        SamplingConfig sampling = new SamplingConfig
        {
            Temperature = Temperature,
            TopK = TopK,
            TopP = TopP,
        }.Validated();
        if (Tokens < 1)
        {
            throw new BadInputException($"--tokens is {Tokens}, but must be at least 1.");
        }

        if (Temperature == 0)
        {
            TakesOnly(
                "generate --temperature 0, which draws nothing,",
                ["model", "data", "tokenizer", "prompt", "tokens", "temperature", "no-cache", .. EngineFlags]
            );
        }

        using IComputeEngine engine = CreateEngine();
        using OpenedRun run = Open(Model, engine);
        run.RequireDataForTokenizer("generate");
        int[] prompt = run.Tokenizer.Encode(Prompt);
        if (prompt.Length == 0)
        {
            prompt = [run.Tokenizer.EndOfText];
        }

        using var generator = new TextGenerator(run.Model, useCache: !NoCache);
        IEnumerable<int> tokens = generator.Continue(prompt, Tokens, sampling, Seed, run.Tokenizer.EndOfText, run.Tokenizer.IsToken);
        int[] continuation = [.. tokens.TakeWhile(_ => !stop.IsCancellationRequested)];
        Terminal.Line($"{Prompt}{run.Tokenizer.DecodeAfter(prompt, continuation)}");
        return 0;
    }
}
