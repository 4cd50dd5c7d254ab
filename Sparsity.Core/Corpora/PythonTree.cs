using System.Text;

namespace Sparsity.Core.Corpora;

/// <summary>What was read from a folder of Python files.</summary>
/// <param name="Documents">The usable files, ordered by path.</param>
/// <param name="Skipped">What was left out, by reason.</param>
public sealed record PythonTreeContent(IReadOnlyList<CorpusDocument> Documents, IReadOnlyList<SkippedFiles> Skipped);

/// <summary>Reads the Python files under a folder: a corpus of the user's own.</summary>
public static class PythonTree
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>
    /// Reads every .py file below <paramref name="directory"/>, in ordinal order of paths. Links are not followed, so loops cannot arise. Left out and reported:
    /// files outside the size limits, files that are not UTF-8 or hold NUL, copies of a file taken before, and what cannot be read. A byte order mark is dropped.
    /// Which side of the split a file falls on depends on its content and the seed only.
    /// </summary>
    /// <exception cref="BadInputException">The folder is missing, or no file in it can be used, or an option is out of range.</exception>
    public static PythonTreeContent Read(string directory, PythonTreeOptions? options = null)
    {
        options ??= new PythonTreeOptions();
        options.Validate();
        if (!Directory.Exists(directory))
        {
            throw new BadInputException($"{directory}: there is no such folder; expected one with .py files. Check the path.");
        }

        var skipped = new SkipReport();
        var paths = new List<string>();
        Collect(directory, "", paths, skipped);
        paths.Sort(StringComparer.Ordinal);
        var kept = new List<(string Path, string Text, UInt128 Order)>();
        var seen = new HashSet<UInt128>();
        foreach (string path in paths)
        {
            if (ReadFile(directory, path, options, seen, skipped) is { } text)
            {
                kept.Add((path, text, ContentHash.Of($"{options.Seed}\n{text}")));
            }
        }

        IReadOnlyList<SkippedFiles> report = skipped.ToList();
        if (kept.Count == 0)
        {
            string why = report.Count == 0 ? "it has no .py files" : string.Join(", ", report.Select(entry => $"{entry.Count} {entry.Reason}"));
            throw new BadInputException($"{directory}: no file can be used ({why}); expected .py files in UTF-8. Give another folder or other size limits.");
        }

        return new PythonTreeContent(Split(kept, options.ValidationShare), report);
    }

    private static void Collect(string root, string below, List<string> paths, SkipReport skipped)
    {
        FileSystemInfo[] entries;
        try
        {
            entries = new DirectoryInfo(Path.Combine(root, below)).GetFileSystemInfos();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            skipped.Add("folders that cannot be read", below.Length == 0 ? "." : below);
            return;
        }

        foreach (FileSystemInfo entry in entries)
        {
            string path = below.Length == 0 ? entry.Name : $"{below}/{entry.Name}";
            bool python = entry.Name.EndsWith(".py", StringComparison.Ordinal);
            if (entry.LinkTarget is not null)
            {
                if (python || entry is DirectoryInfo)
                {
                    skipped.Add("links", path);
                }
            }
            else if (entry is DirectoryInfo)
            {
                Collect(root, path, paths, skipped);
            }
            else if (python)
            {
                paths.Add(path);
            }
        }
    }

    private static string? ReadFile(string root, string path, PythonTreeOptions options, HashSet<UInt128> seen, SkipReport skipped)
    {
        byte[] bytes;
        try
        {
            var file = new FileInfo(Path.Combine(root, path));
            if (file.Length < options.MinimumBytes || file.Length > options.MaximumBytes)
            {
                skipped.Add(file.Length < options.MinimumBytes ? "too small" : "too large", path);
                return null;
            }

            bytes = File.ReadAllBytes(file.FullName);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            skipped.Add("that cannot be read", path);
            return null;
        }

        ReadOnlySpan<byte> content = bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? bytes.AsSpan(Encoding.UTF8.Preamble.Length) : bytes;
        if (content.Contains((byte)0))
        {
            skipped.Add("with NUL bytes", path);
            return null;
        }

        if (content.IsEmpty)
        {
            skipped.Add("too small", path);
            return null;
        }

        string text;
        try
        {
            text = StrictUtf8.GetString(content);
        }
        catch (DecoderFallbackException)
        {
            skipped.Add("not UTF-8", path);
            return null;
        }

        if (!seen.Add(ContentHash.Of(content)))
        {
            skipped.Add("copies", path);
            return null;
        }

        return text;
    }

    /// <summary>By the hash's place in [0, 1); if that leaves a side empty of two or more, the document nearest to the threshold changes over.</summary>
    private static List<CorpusDocument> Split(List<(string Path, string Text, UInt128 Order)> kept, double share)
    {
        bool[] validation = [.. kept.Select(file => (double)(ulong)(file.Order >> 75) / (1UL << 53) < share)];
        int count = validation.Count(side => side);
        if (kept.Count >= 2 && (count == 0 || count == kept.Count))
        {
            int[] byHash = [.. Enumerable.Range(0, kept.Count).OrderBy(i => kept[i].Order)];
            int changed = count == 0 ? byHash[0] : byHash[^1];
            validation[changed] = !validation[changed];
        }

        return [.. kept.Select((file, i) => new CorpusDocument(file.Path, file.Text, validation[i] && kept.Count >= 2))];
    }
}
