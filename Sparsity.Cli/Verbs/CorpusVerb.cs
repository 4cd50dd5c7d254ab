using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Corpora;
using Sparsity.Core.Data;
using Sparsity.Core.Tokenization;

namespace Sparsity.Cli.Verbs;

[Verb("corpus", HelpText = "Make a data folder: text shards, a tokenizer, and tokens for training and validation.")]
internal sealed class CorpusVerb : Verb
{
    [Option("from", SetName = "from", HelpText = "Folder of .py files, read with everything below it.")]
    public string? From { get; set; }

    [Option("synthetic", SetName = "synthetic", HelpText = "Generate Python modules instead.")]
    public bool Synthetic { get; set; }

    [Option("megabytes", Default = 12.0, HelpText = "With --synthetic: how much text.")]
    public double Megabytes { get; set; }

    [Option("tokenizer", HelpText = "Folder of the tokenizer to use; without it one is trained on the text.")]
    public string? Tokenizer { get; set; }

    [Option("vocabulary", Default = 2048, HelpText = "Tokens of the tokenizer to train.")]
    public int Vocabulary { get; set; }

    [Option("seed", Default = 1UL, HelpText = "Seed of the generator and of the split.")]
    public ulong Seed { get; set; }

    [Option("out", Required = true, HelpText = "Data folder to make.")]
    public string Out { get; set; } = "";

    public override int Run(CancellationToken stop)
    {
        if (Synthetic == From is not null)
        {
            throw new BadInputException("corpus needs either --from DIR or --synthetic.");
        }

        BytePairTokenizer? tokenizer = Tokenizer is null ? null : BytePairTokenizer.Load(Tokenizer);
        if (Synthetic)
        {
            WriteSynthetic(Out, Megabytes, Seed);
        }
        else
        {
            PythonTreeContent tree = PythonTree.Read(From!, new PythonTreeOptions { Seed = Seed });
            CorpusFolder.Write(Out, tree.Documents, CorpusInfo.Of(From!, Seed, tree.Skipped));
            Terminal.Line($"{tree.Documents.Count} files read, {tree.Documents.Count(document => document.Validation)} of them for validation");
            foreach (SkippedFiles skipped in tree.Skipped)
            {
                Terminal.Line($"skipped {skipped.Count} {skipped.Reason}, for instance {skipped.Examples[0]}");
            }
        }

        DataFolder data = DataFolder.Tokenize(Out, tokenizer, Vocabulary);
        Terminal.Line($"{Out}: {data.Training.Length} training and {data.Validation.Length} validation tokens, vocabulary {data.Tokenizer.VocabularySize}");
        return 0;
    }

    internal static void WriteSynthetic(string directory, double megabytes, ulong seed)
    {
        if (!(megabytes is > 0 and <= 10_000))
        {
            throw new BadInputException(FormattableString.Invariant($"--megabytes is {megabytes}, but must be above 0 and at most 10000."));
        }

        CorpusFolder.Write(directory, SyntheticPython.Documents(seed, (long)(megabytes * 1e6)), CorpusInfo.Of("synthetic", seed));
    }
}
