using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Data;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tokenization;
using Sparsity.Kernels;

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
            + "replication: config.json of three sections + pytorch_model.bin. run: as 'train' writes it. packed: the same with only the "
            + "nonzero weights of matrices, in 16 bits: small, and read like the others."
    )]
    public ModelFolderKind To { get; set; }

    [Option("tokenizer", MetaValue = "DIR", HelpText = "Folder of the model's tokenizer. (Default: the one in --from, if there is one)")]
    public string? Tokenizer { get; set; }

    [Option(
        "data",
        MetaValue = "DIR",
        HelpText = "Also write the mean activations over this data folder: with them the model can be pruned where its text is not."
    )]
    public string? Data { get; set; }

    [Option(
        "smallest-bigram",
        Default = 0.0,
        HelpText = "With --to packed: leave out entries of the bigram table that are nearer to zero. Entries are up to 0.02 before "
            + "training, and pairs of tokens that never occur keep theirs."
    )]
    public double SmallestBigram { get; set; }

    [Option("out", MetaValue = "DIR", Required = true, HelpText = "Folder to make.")]
    public string Out { get; set; } = "";

    public override bool EndsWhenAsked => false;

    public override int Execute(CancellationToken stop)
    {
        if (Given.Contains("smallest-bigram") && (To != ModelFolderKind.Packed || !(SmallestBigram >= 0)))
        {
            throw new BadInputException("--smallest-bigram must not be negative, and belongs to --to packed alone.");
        }

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

        _ = Data is null ? null : DataFolder.Open(Data); // refused before the folder is made
        Terminal.Lines(model.Remarks);
        var folder = new RunFolder(OutputFolder.Create(Out));
        model.Save(Out, To, SmallestBigram);
        tokenizer?.Save(
            To is ModelFolderKind.Run or ModelFolderKind.Packed ? folder.TokenizerPath : Out,
            To is ModelFolderKind.HuggingFace or ModelFolderKind.Replication ? TokenizerFormat.HuggingFace : TokenizerFormat.Gpt2
        );
        if (Data is not null)
        {
            WriteMeans(folder, OpenedRun.TrainingOf(new RunFolder(From), model.Config).ContextTokens);
        }

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

    /// <summary>Writes the mean activations of the model as it was written.</summary>
    private void WriteMeans(RunFolder folder, int contextTokens)
    {
        using IComputeEngine engine = EngineFactory.Create("cpu");
        using OpenedRun run = Run.Open(folder.Directory, engine, Data);
        var layout = new NodeLayout(run.Model.Config, finalResid: true);
        float[] means = (PruningSubject.Of(run) with { ContextTokens = contextTokens }).Means(new PruningConfig { FinalResid = true });
        MeansFile.Write(Path.Combine(folder.Directory, MeansFile.Name), layout, means, run.Model.Parameters.Fingerprint());
    }
}
