using CommandLine;
using Sparsity.Core;
using Sparsity.Core.Corpora;
using Sparsity.Core.Data;
using Sparsity.Core.Tokenization;

namespace Sparsity.Cli.Verbs;

[Verb("corpus")]
internal sealed class CorpusVerb : Verb
{
    private const int DocumentsPerStatus = 50;

    [Option(
        "from",
        MetaValue = "PATH ...",
        SetName = "from",
        HelpText = "Files and folders of .py, .txt, .md, .jsonl and .parquet; folders are read with everything below them."
    )]
    public IEnumerable<string> From { get; set; } = [];

    [Option(
        "column",
        HelpText = "With --from: the field of .jsonl and the column of .parquet that holds the text. (Default: the first there is of "
            + "text, content, code)"
    )]
    public string? Column { get; set; }

    [Option("glob", HelpText = "With --from: only files of folders whose path or name matches, with * and ?, such as '*.py'.")]
    public string? Glob { get; set; }

    [Option("synthetic", SetName = "synthetic", HelpText = "Generate Python modules instead.")]
    public bool Synthetic { get; set; }

    [Option("megabytes", Default = 12.0, HelpText = "With --synthetic: how much text.")]
    public double Megabytes { get; set; }

    [Option("tokenizer", MetaValue = "DIR", HelpText = "Folder of the tokenizer to use; without it one is trained on the text.")]
    public string? Tokenizer { get; set; }

    [Option("vocabulary", Default = 2048, HelpText = "Tokens of the tokenizer to train.")]
    public int Vocabulary { get; set; }

    [Option(
        "separate-brackets",
        HelpText = "Of the tokenizer to train: opening brackets and quotes are tokens of their own, as tasks about them need."
    )]
    public bool SeparateBrackets { get; set; }

    [Option("seed", Default = 1UL, HelpText = "Seed of the generator and of the split.")]
    public ulong Seed { get; set; }

    [Option("out", MetaValue = "DIR", Required = true, HelpText = "Data folder to make.")]
    public string Out { get; set; } = "";

    public override int Execute(CancellationToken stop)
    {
        if (Synthetic == From.Any())
        {
            throw new BadInputException("corpus needs either --from FILE-OR-DIR ... or --synthetic.");
        }

        TakesOnly(
            $"corpus {(Synthetic ? "--synthetic" : "--from")}{(Tokenizer is null ? "" : " with --tokenizer")}",
            [
                "out",
                "seed",
                .. Synthetic ? (string[])["synthetic", "megabytes"] : ["from", "column", "glob"],
                .. Tokenizer is null ? (string[])["vocabulary", "separate-brackets"] : ["tokenizer"],
            ]
        );

        TextTokenizer? tokenizer = Tokenizer is null ? null : TokenizerFolder.Load(Tokenizer);
        CorpusFolder.RequireFree(Out);
        try
        {
            if (Synthetic)
            {
                WriteSynthetic(Out, Megabytes, Seed);
            }
            else
            {
                Read(stop);
            }

            DataFolder data = DataFolder.Tokenize(Out, tokenizer, Vocabulary, SeparateBrackets, ShareLine(), stop);
            Terminal.Line(
                $"{Out}: {data.Training.Length} training and {data.Validation.Length} validation tokens, vocabulary "
                    + $"{data.Tokenizer.VocabularySize}{(SeparateBrackets ? ", brackets separate" : "")}"
            );
            return 0;
        }
        catch
        {
            CorpusFolder.Discard(Out); // so that the same command can be given again
            throw;
        }
    }

    private void Read(CancellationToken stop)
    {
        string[] sources = [.. From];
        if (Glob is not null && !sources.Any(Directory.Exists))
        {
            throw new BadInputException($"corpus: --glob {Glob} chooses among the files of folders, and --from names none. Leave it out.");
        }

        var tree = new TextTree(
            sources,
            new TextTreeOptions
            {
                Seed = Seed,
                Column = Column,
                Glob = Glob,
            }
        );
        long read = 0,
            characters = 0;
        IEnumerable<CorpusDocument> documents = tree.Documents.Select(document =>
        {
            stop.ThrowIfCancellationRequested();
            characters += document.Text.Length;
            if (++read % DocumentsPerStatus == 0)
            {
                Terminal.Status($"reading: {read} documents, {characters / 1e6:0.0} million characters");
            }

            return document;
        });
        CorpusInfo info = CorpusFolder.Write(
            Out,
            documents,
            CorpusInfo.Of(string.Join(", ", sources.Select(Path.GetFullPath)), Seed, tree.Skipped)
        );
        Terminal.Line(
            $"{info.TrainDocuments + info.ValidationDocuments} documents read, {info.ValidationDocuments} of them for validation"
        );
        foreach (SkippedFiles skipped in info.Skipped)
        {
            Terminal.Line($"skipped {skipped.Count} {skipped.Reason}, for instance {skipped.Examples[0]}");
        }
    }

    /// <summary>Shows what is being done, its share that is done, and how long it takes yet.</summary>
    private static Action<string, double> ShareLine()
    {
        string doing = "";
        TimeLeft timeLeft = new();
        int shown = -1;
        return (what, share) =>
        {
            if (what != doing)
            {
                (doing, timeLeft, shown) = (what, new TimeLeft(), -1);
            }

            int percent = (int)(100 * share);
            if (percent != shown)
            {
                shown = percent;
                Terminal.Status($"{what}: {percent} %{timeLeft.After(share)}");
            }
        };
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
