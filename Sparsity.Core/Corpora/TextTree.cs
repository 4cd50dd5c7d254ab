using System.IO.Enumeration;
using System.Text;

namespace Sparsity.Core.Corpora;

/// <summary>
/// A corpus of the user's own: documents from files and folders. A .py or .md file is a document; a .txt file is one too, or several,
/// divided by lines <c>&lt;|endoftext|&gt;</c>; a .jsonl or .parquet file has one in each row. Documents are read as they are asked for, so
/// that a corpus may be larger than memory.
/// </summary>
public sealed class TextTree
{
    private static readonly string[] Kinds = [".py", ".txt", ".md", ".jsonl", ".parquet"];
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly IReadOnlyList<string> _sources;
    private readonly TextTreeOptions _options;
    private readonly SkipReport _skips = new();
    private readonly List<SkippedFiles> _skipped = [];

    /// <param name="sources">Files and folders; folders are read with everything below them.</param>
    /// <param name="options">Null for the usual ones.</param>
    /// <exception cref="BadInputException">A source is missing or of no such kind, or an option is out of range.</exception>
    public TextTree(IReadOnlyList<string> sources, TextTreeOptions? options = null)
    {
        _sources = sources;
        _options = options ?? new TextTreeOptions();
        _options.Validate();
        foreach (string source in sources)
        {
            if (!Directory.Exists(source) && !File.Exists(source))
            {
                throw new BadInputException(
                    $"{source}: there is no such file or folder; expected files of {string.Join(", ", Kinds)}, or folders with them. "
                        + $"Check the path."
                );
            }

            if (File.Exists(source) && KindOf(source) is null)
            {
                throw new BadInputException(
                    $"{source}: is no file of {string.Join(", ", Kinds)}. Give another file, or one whose name ends so."
                );
            }
        }
    }

    /// <summary>What was left out, by reason; known when all <see cref="Documents"/> were read.</summary>
    public IReadOnlyList<SkippedFiles> Skipped => _skipped;

    /// <summary>
    /// The usable documents, in ordinal order of paths within a source. Links in folders are not followed, so loops cannot arise. Left out
    /// and reported: documents outside the size limits, that are not UTF-8 or hold NUL, copies of one taken before, rows without text, and
    /// what cannot be read. A byte order mark is dropped. Which side of the split a document falls on depends on its content and the seed
    /// only; neither side is empty of two or more. A long document that is the only one is cut in two. To be enumerated once.
    /// </summary>
    /// <exception cref="BadInputException">Nothing can be used.</exception>
    public IEnumerable<CorpusDocument> Documents
    {
        get
        {
            // Held back until both sides have something.
            var held = new List<Candidate>();
            bool isBalanced = false;
            foreach (Candidate candidate in Usable())
            {
                if (isBalanced)
                {
                    yield return Of(candidate, IsValidation(candidate));
                    continue;
                }

                held.Add(candidate);
                isBalanced = IsValidation(candidate) != IsValidation(held[0]);
                if (isBalanced)
                {
                    foreach (Candidate earlier in held)
                    {
                        yield return Of(earlier, IsValidation(earlier));
                    }

                    held.Clear();
                }
            }

            _skipped.AddRange(_skips.ToList());
            if (!isBalanced)
            {
                foreach (CorpusDocument document in Unbalanced(held))
                {
                    yield return document;
                }
            }
        }
    }

    private static string? KindOf(string path) => Kinds.FirstOrDefault(kind => path.EndsWith(kind, StringComparison.OrdinalIgnoreCase));

    private static CorpusDocument Of(Candidate candidate, bool isValidation) => new(candidate.Path, candidate.Text, isValidation);

    /// <summary>By the hash's place in [0, 1).</summary>
    private bool IsValidation(Candidate candidate) => (double)(ulong)(candidate.Order >> 75) / (1UL << 53) < _options.ValidationShare;

    /// <summary>All on one side: of two or more, the one nearest to the threshold changes over.</summary>
    private IEnumerable<CorpusDocument> Unbalanced(List<Candidate> held)
    {
        const int Long = 10_000;
        if (held.Count == 0)
        {
            string why =
                _skipped.Count == 0
                    ? "there are none of its kinds"
                    : string.Join(", ", _skipped.Select(entry => $"{entry.Count} {entry.Reason}"));
            throw new BadInputException(
                $"{string.Join(", ", _sources)}: no document can be used ({why}); expected {string.Join(", ", Kinds)} in UTF-8. Give "
                    + $"other files, or name the column of rows."
            );
        }

        if (held.Count == 1)
        {
            string text = held[0].Text;
            int cut = text.Length < Long ? -1 : text.LastIndexOf('\n', (int)(text.Length * (1 - _options.ValidationShare)));
            return cut <= 0
                ? [Of(held[0], false)]
                :
                [
                    new CorpusDocument(held[0].Path, text[..(cut + 1)], false),
                    new CorpusDocument(held[0].Path + " (end)", text[(cut + 1)..], true),
                ];
        }

        bool all = IsValidation(held[0]);
        Candidate changed = all ? held.MaxBy(candidate => candidate.Order)! : held.MinBy(candidate => candidate.Order)!;
        return held.Select(candidate => Of(candidate, (candidate == changed) != all));
    }

    private IEnumerable<Candidate> Usable()
    {
        var seen = new HashSet<UInt128>();
        bool hasRows = false;
        foreach (string source in _sources)
        {
            bool isFile = File.Exists(source);
            foreach (string path in isFile ? [Path.GetFileName(source)] : Below(source))
            {
                hasRows |= KindOf(path) is ".jsonl" or ".parquet";
                foreach (TextPiece piece in TextPieces.Of(isFile ? source : Path.Combine(source, path), KindOf(path)!, _options))
                {
                    if (Checked(path + piece.Place, piece, seen) is { } candidate)
                    {
                        yield return candidate;
                    }
                }
            }
        }

        if (_options.Column is not null && !hasRows)
        {
            throw new BadInputException(
                $"column {_options.Column}: {string.Join(", ", _sources)} has no .jsonl or .parquet file, whose columns it chooses "
                    + $"among. Leave it out."
            );
        }
    }

    private Candidate? Checked(string path, TextPiece piece, HashSet<UInt128> seen)
    {
        string? text = piece.Reason is null
            ? TextOf(piece.Bytes.Span, piece.Limit, seen, out string? reason)
            : Skip(piece.Reason, out reason);
        if (text is null)
        {
            _skips.Add(reason!, path);
            return null;
        }

        return new Candidate(path, text, ContentHash.Of($"{_options.Seed}\n{text}"));

        static string? Skip(string given, out string? reason)
        {
            reason = given;
            return null;
        }
    }

    /// <summary>A document's text, or why it cannot be used.</summary>
    private string? TextOf(ReadOnlySpan<byte> bytes, long most, HashSet<UInt128> seen, out string? reason)
    {
        reason =
            bytes.Length < _options.MinimumBytes ? "too small"
            : bytes.Length > most ? "too large"
            : null;
        ReadOnlySpan<byte> content = bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes;
        reason ??=
            content.Contains((byte)0) ? "with NUL bytes"
            : content.IsEmpty ? "too small"
            : null;
        if (reason is not null)
        {
            return null;
        }

        try
        {
            string text = StrictUtf8.GetString(content);
            reason = seen.Add(ContentHash.Of(content)) ? null : "copies";
            return reason is null ? text : null;
        }
        catch (DecoderFallbackException)
        {
            reason = "not UTF-8";
            return null;
        }
    }

    private bool Matches(string name) =>
        _options.Glob is null || FileSystemName.MatchesSimpleExpression(_options.Glob, name, ignoreCase: false);

    private List<string> Below(string folder)
    {
        var paths = new List<string>();
        Collect(folder, "", paths);
        paths.Sort(StringComparer.Ordinal);
        return paths;
    }

    private void Collect(string root, string below, List<string> paths)
    {
        FileSystemInfo[] entries;
        try
        {
            entries = new DirectoryInfo(Path.Combine(root, below)).GetFileSystemInfos();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _skips.Add("folders that cannot be read", below.Length == 0 ? "." : below);
            return;
        }

        foreach (FileSystemInfo entry in entries)
        {
            string path = below.Length == 0 ? entry.Name : $"{below}/{entry.Name}";
            bool isWanted = KindOf(entry.Name) is not null && (Matches(path) || Matches(entry.Name));
            if (entry.LinkTarget is not null)
            {
                if (isWanted || entry is DirectoryInfo)
                {
                    _skips.Add("links", path);
                }
            }
            else if (entry is DirectoryInfo)
            {
                Collect(root, path, paths);
            }
            else if (isWanted)
            {
                paths.Add(path);
            }
            else
            {
                _skips.Add(KindOf(entry.Name) is null ? "of other kinds" : "not matching the glob", path);
            }
        }
    }

    /// <param name="Order">A hash of the seed and the text.</param>
    private sealed record Candidate(string Path, string Text, UInt128 Order);
}
