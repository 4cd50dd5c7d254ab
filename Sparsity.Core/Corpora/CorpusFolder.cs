using System.Text;
using System.Text.Json;
using Sparsity.Core.Storage;

namespace Sparsity.Core.Corpora;

/// <summary>A corpus on disk: text/train-00000.jsonl, ..., text/validation-00000.jsonl, one {"path","text"} per line, and corpus.json, which says what is there.</summary>
public static class CorpusFolder
{
    private const int CurrentFormatVersion = 1;
    private const long ShardBytes = 64_000_000;

    /// <summary>One of every this many synthetic modules is for validation.</summary>
    private const int ValidationEvery = 32;

    /// <summary>Writes what was read from a tree into a new or empty folder.</summary>
    public static void Write(string directory, PythonTree tree)
    {
        RunFolder.Create(directory);
        long bytes = WriteShards(directory, "train", tree.Training) + WriteShards(directory, "validation", tree.Validation);
        WriteDescription(directory, new Description("python files", null, tree.Training.Count, tree.Validation.Count, bytes, tree.Skipped));
    }

    /// <summary>Writes about <paramref name="bytes"/> of synthetic modules into a new or empty folder.</summary>
    public static void WriteSynthetic(string directory, ulong seed, long bytes)
    {
        RunFolder.Create(directory);
        var training = new List<CorpusDocument>();
        var validation = new List<CorpusDocument>();
        int index = 0;
        foreach (string module in SyntheticPython.Documents(seed, bytes))
        {
            (index % ValidationEvery == ValidationEvery - 1 ? validation : training).Add(new CorpusDocument($"module_{index:000000}.py", module));
            index++;
        }

        if (validation.Count == 0)
        {
            throw new BadInputException($"{bytes} bytes of synthetic text make {index} modules, too few to set any aside for validation. Ask for at least 0.1 megabytes.");
        }

        long written = WriteShards(directory, "train", training) + WriteShards(directory, "validation", validation);
        WriteDescription(directory, new Description("synthetic", seed, training.Count, validation.Count, written, []));
    }

    /// <summary>The training texts.</summary>
    /// <exception cref="BadInputException">The folder holds no corpus, or a shard is damaged.</exception>
    public static IEnumerable<string> ReadTrain(string directory) => Read(directory, "train");

    /// <summary>The validation texts.</summary>
    /// <exception cref="BadInputException">The folder holds no corpus, or a shard is damaged.</exception>
    public static IEnumerable<string> ReadValidation(string directory) => Read(directory, "validation");

    private static IEnumerable<string> Read(string directory, string part)
    {
        string path = Path.Combine(directory, "corpus.json");
        Description description = JsonText.ReadFile<Description>(path);
        if (description.FormatVersion > CurrentFormatVersion)
        {
            throw new BadInputException($"{path}: has format version {description.FormatVersion}, but this program reads up to {CurrentFormatVersion}. Use a newer program.");
        }

        return ReadShards(directory, part);
    }

    private static IEnumerable<string> ReadShards(string directory, string part)
    {
        for (int shard = 0; ; shard++)
        {
            string path = ShardPath(directory, part, shard);
            if (!File.Exists(path))
            {
                if (shard == 0)
                {
                    throw new BadInputException($"{path}: missing. Make the corpus anew.");
                }

                yield break;
            }

            int number = 0;
            foreach (string line in File.ReadLines(path))
            {
                number++;
                yield return JsonText.Read<CorpusDocument>(JsonText.ParseObject(line, $"{path}, line {number}"), $"{path}, line {number}").Text;
            }
        }
    }

    private static long WriteShards(string directory, string part, IReadOnlyList<CorpusDocument> documents)
    {
        Directory.CreateDirectory(Path.Combine(directory, "text"));
        long total = 0;
        int next = 0;
        for (int shard = 0; next < documents.Count; shard++)
        {
            AtomicFile.Write(ShardPath(directory, part, shard), stream =>
            {
                for (long size = 0; next < documents.Count && size < ShardBytes; next++)
                {
                    stream.Write(JsonSerializer.SerializeToUtf8Bytes(documents[next], JsonText.OneLine));
                    stream.WriteByte((byte)'\n');
                    int bytes = Encoding.UTF8.GetByteCount(documents[next].Text);
                    size += bytes;
                    total += bytes;
                }
            });
        }

        return total;
    }

    private static void WriteDescription(string directory, Description description) =>
        AtomicFile.WriteText(Path.Combine(directory, "corpus.json"), JsonText.Write(description));

    private static string ShardPath(string directory, string part, int shard) => Path.Combine(directory, "text", $"{part}-{shard:00000}.jsonl");

    private sealed record Description(string Source, ulong? Seed, int TrainingDocuments, int ValidationDocuments, long Bytes, IReadOnlyList<SkippedFiles> Skipped)
    {
        public int FormatVersion { get; init; } = CurrentFormatVersion;
    }
}
