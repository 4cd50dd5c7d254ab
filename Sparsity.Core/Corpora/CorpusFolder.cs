using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Files;

namespace Sparsity.Core.Corpora;

/// <summary>
/// A corpus on disk: <c>text/train-00000.jsonl</c>, <c>text/validation-00000.jsonl</c> and so on with {"path", "text"} per line, and
/// <c>corpus.json</c>, written last.
/// </summary>
public static class CorpusFolder
{
    private const string InfoName = "corpus.json";
    private const long ShardBytes = 64L << 20;

    /// <summary>Writes the documents, each to its side, as they come; nothing is held in memory but one shard.</summary>
    /// <returns><paramref name="info"/> with the counts filled in, as written.</returns>
    /// <exception cref="BadInputException">The folder holds something, or cannot be written, or a side would be empty.</exception>
    public static CorpusInfo Write(string directory, IEnumerable<CorpusDocument> documents, CorpusInfo info) =>
        Write(directory, documents, info, ShardBytes);

    /// <inheritdoc cref="Write(string, IEnumerable{CorpusDocument}, CorpusInfo)"/>
    public static CorpusInfo Write(
        string directory,
        IEnumerable<CorpusDocument> train,
        IEnumerable<CorpusDocument> validation,
        CorpusInfo info
    ) =>
        Write(
            directory,
            train
                .Select(document => document with { Validation = false })
                .Concat(validation.Select(document => document with { Validation = true })),
            info
        );

    /// <param name="shardBytes">A shard ends with the document that reaches this size.</param>
    /// <inheritdoc cref="Write(string, IEnumerable{CorpusDocument}, CorpusInfo)"/>
    public static CorpusInfo Write(string directory, IEnumerable<CorpusDocument> documents, CorpusInfo info, long shardBytes)
    {
        RequireFree(directory);
        using IEnumerator<CorpusDocument> each = documents.GetEnumerator();
        bool isMore = each.MoveNext(); // before anything is made: there may be nothing to write
        Prepare(directory);
        var train = new ShardWriter(directory, "train", shardBytes);
        var validation = new ShardWriter(directory, "validation", shardBytes);
        for (; isMore; isMore = each.MoveNext())
        {
            (each.Current.Validation ? validation : train).Add(each.Current);
        }

        train.Finish();
        validation.Finish();
        if (train.Documents == 0)
        {
            throw new BadInputException(
                $"{directory}: the corpus has no documents to train on; expected at least one. Give more text or a smaller validation "
                    + $"share."
            );
        }

        CorpusInfo written = info with
        {
            FormatVersion = FileFormat.Version,
            TrainDocuments = train.Documents,
            ValidationDocuments = validation.Documents,
            TrainBytes = train.Bytes,
            ValidationBytes = validation.Bytes,
        };
        AtomicFile.WriteText(Path.Combine(directory, InfoName), JsonText.Write(written));
        return written;
    }

    /// <summary>What the folder's <c>corpus.json</c> says.</summary>
    /// <exception cref="BadInputException">The folder is not a corpus of this version.</exception>
    public static CorpusInfo ReadInfo(string directory)
    {
        string path = Path.Combine(directory, InfoName);
        if (!File.Exists(path))
        {
            throw new BadInputException(
                $"{directory}: there is no {InfoName}; expected a corpus folder. Make one with the corpus command; if making it was "
                    + $"interrupted, start again in an empty folder."
            );
        }

        return JsonText.ReadFile<CorpusInfo>(path);
    }

    /// <summary>The texts to train on, in the order in which they were written.</summary>
    /// <exception cref="BadInputException">The folder is not a corpus, or a shard is missing or damaged.</exception>
    public static IEnumerable<string> ReadTrain(string directory) => Read(directory, "train", ReadInfo(directory).TrainDocuments);

    /// <summary>The texts kept for validation, in the order in which they were written.</summary>
    /// <exception cref="BadInputException">The folder is not a corpus, or a shard is missing or damaged.</exception>
    public static IEnumerable<string> ReadValidation(string directory) =>
        Read(directory, "validation", ReadInfo(directory).ValidationDocuments);

    private static IEnumerable<string> Read(string directory, string split, long expected)
    {
        long found = 0;
        for (int shard = 0; found < expected; shard++)
        {
            string path = ShardWriter.ShardPath(directory, split, shard);
            if (!File.Exists(path))
            {
                throw new BadInputException(
                    $"{path}: the shard is missing; {InfoName} promises {expected} documents and there are {found}. Restore it or "
                        + $"make the corpus again."
                );
            }

            foreach (string line in Lines(path))
            {
                found++;
                yield return TextOf(line, $"{path}, document {found}");
            }
        }

        if (found != expected)
        {
            throw new BadInputException($"{directory}: {found} {split} documents; {InfoName} promises {expected}. Make the corpus again.");
        }
    }

    private static IEnumerable<string> Lines(string path)
    {
        using StreamReader reader = Open(path);
        while (reader.ReadLine() is { } line)
        {
            yield return line;
        }
    }

    private static StreamReader Open(string path)
    {
        try
        {
            return new StreamReader(path, Encoding.UTF8, detectEncodingFromByteOrderMarks: false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{path}: cannot be read ({e.Message}). Check the path.", e);
        }
    }

    private static string TextOf(string line, string source) =>
        JsonText.ParseObject(line, source)["text"] is JsonValue value && value.GetValueKind() == JsonValueKind.String
            ? value.GetValue<string>()
            : throw new BadInputException($"{source}: there is no \"text\"; expected {{\"path\", \"text\"}}. Make the corpus again.");

    /// <summary>For whoever is about to make one.</summary>
    /// <exception cref="BadInputException">Something is there.</exception>
    public static void RequireFree(string directory)
    {
        if (File.Exists(directory) || (Directory.Exists(directory) && Directory.EnumerateFileSystemEntries(directory).Any()))
        {
            throw new BadInputException(
                $"{directory}: something is there already; expected an empty folder or none. Choose another output folder."
            );
        }
    }

    /// <summary>Takes away what was made of a corpus that cannot be finished, so that the same command can be given again.</summary>
    /// <param name="directory">One that was free before.</param>
    public static void Discard(string directory)
    {
        if (Directory.Exists(directory))
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void Prepare(string directory)
    {
        try
        {
            Directory.CreateDirectory(Path.Combine(directory, "text"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{directory}: cannot be made ({e.Message}). Choose another output folder.", e);
        }
    }
}
