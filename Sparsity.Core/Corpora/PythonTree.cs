using System.Security.Cryptography;
using System.Text;

namespace Sparsity.Core.Corpora;

/// <summary>How a tree of Python files is read.</summary>
public sealed record PythonTreeOptions
{
    /// <summary>Smallest file read, in bytes.</summary>
    public long SmallestBytes { get; init; } = 1;

    /// <summary>Largest file read, in bytes.</summary>
    public long LargestBytes { get; init; } = 1 << 20;

    /// <summary>Share of files set aside for validation, in (0, 1).</summary>
    public double ValidationShare { get; init; } = 0.05;

    /// <summary>Changes which files those are.</summary>
    public ulong Seed { get; init; } = 1;
}

/// <summary>A text of a corpus.</summary>
/// <param name="Path">Where it comes from, relative to the tree.</param>
/// <param name="Text">Without a byte order mark.</param>
public sealed record CorpusDocument(string Path, string Text);

/// <summary>Files left out for one reason.</summary>
public sealed record SkippedFiles(string Reason, int Count, string Example);

/// <summary>The .py files below a folder, without duplicates, split by file into training and validation.</summary>
public sealed class PythonTree
{
    private PythonTree(IReadOnlyList<CorpusDocument> training, IReadOnlyList<CorpusDocument> validation, IReadOnlyList<SkippedFiles> skipped)
    {
        Training = training;
        Validation = validation;
        Skipped = skipped;
    }

    public IReadOnlyList<CorpusDocument> Training { get; }

    public IReadOnlyList<CorpusDocument> Validation { get; }

    /// <summary>What was left out and why.</summary>
    public IReadOnlyList<SkippedFiles> Skipped { get; }

    /// <summary>Reads the tree. Links to folders are not followed, so there are no loops.</summary>
    /// <exception cref="BadInputException">There is no such folder, or fewer than two files of it can be used.</exception>
    public static PythonTree Read(string directory, PythonTreeOptions options)
    {
        if (!Directory.Exists(directory))
        {
            throw new BadInputException($"{directory}: no such folder. Give --from a folder of .py files.");
        }

        var enumeration = new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint };
        string[] paths = [.. Directory.EnumerateFiles(directory, "*.py", enumeration).Select(path => Path.GetRelativePath(directory, path).Replace('\\', '/')).Order(StringComparer.Ordinal)];
        var skipped = new SortedDictionary<string, (int Count, string Example)>(StringComparer.Ordinal);
        var seen = new HashSet<string>();
        var documents = new List<(string Order, CorpusDocument Document)>();
        foreach (string path in paths)
        {
            if (ReadText(Path.Combine(directory, path), options, out string text) is { } reason)
            {
                Skip(reason, path);
                continue;
            }

            string hash = Hash(text);
            if (!seen.Add(hash))
            {
                Skip("exact duplicate of another file", path);
                continue;
            }

            documents.Add((Hash($"{options.Seed} {hash}"), new CorpusDocument(path, text)));
        }

        if (documents.Count < 2)
        {
            throw new BadInputException(
                $"{directory}: {documents.Count} of {paths.Length} .py files can be used, but a corpus needs 2: one for training, one for validation."
                + string.Concat(skipped.Select(pair => $" Skipped {pair.Value.Count}: {pair.Key}.")));
        }

        int validation = Math.Clamp((int)Math.Round(documents.Count * options.ValidationShare), 1, documents.Count - 1);
        HashSet<string> setAside = [.. documents.Select(entry => entry.Order).Order(StringComparer.Ordinal).Take(validation)];
        return new PythonTree(
            [.. documents.Where(entry => !setAside.Contains(entry.Order)).Select(entry => entry.Document)],
            [.. documents.Where(entry => setAside.Contains(entry.Order)).Select(entry => entry.Document)],
            [.. skipped.Select(pair => new SkippedFiles(pair.Key, pair.Value.Count, pair.Value.Example))]);

        void Skip(string reason, string path) => skipped[reason] = skipped.TryGetValue(reason, out (int Count, string Example) known) ? (known.Count + 1, known.Example) : (1, path);
    }

    /// <summary>Null, or why the file cannot be used.</summary>
    private static string? ReadText(string path, PythonTreeOptions options, out string text)
    {
        text = "";
        try
        {
            long length = new FileInfo(path).Length;
            if (length < options.SmallestBytes)
            {
                return length == 0 ? "empty" : $"smaller than {options.SmallestBytes} bytes";
            }

            if (length > options.LargestBytes)
            {
                return $"larger than {options.LargestBytes} bytes";
            }

            ReadOnlySpan<byte> bytes = File.ReadAllBytes(path);
            bytes = bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes;
            if (bytes.Contains((byte)0))
            {
                return "binary (has NUL bytes)";
            }

            text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes);
            return text.Length == 0 ? "empty" : null;
        }
        catch (DecoderFallbackException)
        {
            return "not UTF-8";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "not readable";
        }
    }

    private static string Hash(string text) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
