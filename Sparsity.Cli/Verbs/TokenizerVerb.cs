using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Corpora;
using Sparsity.Core.Files;
using Sparsity.Core.Tokenization;

namespace Sparsity.Cli.Verbs;

[Verb("tokenizer")]
internal sealed class TokenizerVerb : Verb
{
    [Value(0, MetaName = "action", Required = true, HelpText = "train, import, export or show.")]
    public string Action { get; set; } = "";

    [Option(
        "from",
        MetaValue = "DIR",
        Required = true,
        HelpText = "Of 'train' a data folder; else a folder with encoder.json and vocab.bpe, or with tokenizer.json."
    )]
    public string From { get; set; } = "";

    [Option("vocabulary", Default = 2048, HelpText = "Tokens in all, from 257.")]
    public int Vocabulary { get; set; }

    [Option("separate-brackets", HelpText = "Opening brackets and quotes are tokens of their own, as tasks about them need.")]
    public bool SeparateBrackets { get; set; }

    [Option(
        "format",
        Default = TokenizerFormat.HuggingFace,
        HelpText = "huggingface (tokenizer.json) or gpt2 (encoder.json and vocab.bpe)."
    )]
    public TokenizerFormat Format { get; set; }

    [Text]
    [Option("text", HelpText = "The text.")]
    public string Text { get; set; } = "";

    [Option("json", MetaValue = "FILE", HelpText = "File to write the tokens to as well.")]
    public string? Json { get; set; }

    [Option("out", MetaValue = "DIR", HelpText = "Folder to make.")]
    public string? Out { get; set; }

    /// <summary>A token's number and its text, as the program shows it.</summary>
    private sealed record Token(int Id, string Text);

    public override bool EndsWhenAsked => false;

    public override int Execute(CancellationToken stop)
    {
        TakesOnly("tokenizer " + Action, Manual.Flags("tokenizer", Action));
        switch (Action)
        {
            case "train":
                return Save(BytePairTrainer.Train(CorpusFolder.ReadTrain(From), Vocabulary, SeparateBrackets), TokenizerFormat.Gpt2);
            case "import":
                return Save(TokenizerFolder.Load(From), TokenizerFormat.Gpt2);
            case "export":
                return Save(TokenizerFolder.Load(From), Format);
            default:
                TextTokenizer tokenizer = TokenizerFolder.Load(From);
                int[] ids = tokenizer.Encode(Text);
                Terminal.Line($"{ids.Length} tokens of {tokenizer.VocabularySize}");
                foreach (int id in ids)
                {
                    Terminal.Line($"{id, 6}  {tokenizer.Describe(id)}");
                }

                Save(Json, ids.Select(id => new Token(id, tokenizer.Describe(id))).ToArray());

                return 0;
        }
    }

    private int Save(TextTokenizer tokenizer, TokenizerFormat format)
    {
        string directory = Out ?? throw new BadInputException($"tokenizer {Action} needs --out DIR.");
        tokenizer.Save(OutputFolder.Create(directory), format);
        Terminal.Line(
            $"{directory}: {tokenizer.VocabularySize} "
                + $"tokens{(tokenizer is BytePairTokenizer pairs ? $", {pairs.Merges.Count} merges" : "")}"
        );
        return 0;
    }
}
