using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Files;
using Sparsity.Core.Runs;
using Sparsity.Core.Tokenization;

namespace Sparsity.Cli.Verbs;

[Verb("convert")]
internal sealed class ConvertVerb : Verb
{
    [Option(
        "from",
        MetaValue = "DIR",
        Required = true,
        HelpText = "Folder of a model; its kind is found out: beeg_config.json + final_model.pt, or config.json with "
            + "model.safetensors, pytorch_model.bin or sparse_model.bin."
    )]
    public string From { get; set; } = "";

    [Option(
        "to",
        Required = true,
        HelpText = "official: beeg_config.json + final_model.pt. huggingface: config.json + model.safetensors with prefixed names. "
            + "replication: config.json of three sections + pytorch_model.bin. run: as 'train' writes it."
    )]
    public ModelFolderKind To { get; set; }

    [Option("tokenizer", MetaValue = "DIR", HelpText = "Folder of the model's tokenizer. (Default: the one in --from, if there is one)")]
    public string? Tokenizer { get; set; }

    [Option("out", MetaValue = "DIR", Required = true, HelpText = "Folder to make.")]
    public string Out { get; set; } = "";

    public override bool EndsWhenAsked => false;

    public override int Execute(CancellationToken stop)
    {
        using StoredModel model = StoredModel.Open(From);
        string? tokenizerFolder = Tokenizer ?? TokenizerFolder.FolderOf(From);
        TextTokenizer? tokenizer = tokenizerFolder is null ? null : TokenizerFolder.Load(tokenizerFolder);
        if (tokenizer?.VocabularySize > model.Config.VocabSize)
        {
            throw new BadInputException(
                $"{tokenizerFolder}: has {tokenizer.VocabularySize} tokens, but the model {model.Config.VocabSize}. Give the model's "
                    + $"own --tokenizer."
            );
        }

        Terminal.Lines(model.Remarks);
        var folder = new RunFolder(OutputFolder.Create(Out));
        model.Save(Out, To);
        tokenizer?.Save(
            To == ModelFolderKind.Run ? folder.TokenizerPath : Out,
            To is ModelFolderKind.HuggingFace or ModelFolderKind.Replication ? TokenizerFormat.HuggingFace : TokenizerFormat.Gpt2
        );
        if (model.IgnoredFields.Count > 0)
        {
            Terminal.Line($"left out, as no fields of the model: {string.Join(", ", model.IgnoredFields)}");
        }

        Terminal.Line(
            $"{Out}: {model.Config.NLayer} layers of {model.Config.DModel} channels, vocabulary {model.Config.VocabSize}, "
                + $"{(tokenizer is null ? "no tokenizer (none in --from; give --tokenizer)" : "with its tokenizer")}"
        );
        return 0;
    }
}
