using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Files;

namespace Sparsity.Core.Corpora;

/// <summary>What one file has for a corpus: a document's bytes, or why there is none.</summary>
/// <param name="Place">Where in the file, such as ":12" for a line or row; empty for a whole file.</param>
/// <param name="Bytes">The text, not checked yet.</param>
/// <param name="Limit">Most bytes of it.</param>
/// <param name="Reason">Why it cannot be used; null where it may be.</param>
internal readonly record struct TextPiece(string Place, ReadOnlyMemory<byte> Bytes, long Limit, string? Reason = null);

/// <summary>
/// Reads the documents of one file, by its kind. No file is held in memory whole but .py and .md, and of .parquet a group of rows.
/// </summary>
internal static class TextPieces
{
    /// <summary>Where no column is asked for, the first of these that there is.</summary>
    internal static readonly string[] UsualColumns = ["text", "content", "code"];

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private const long LongestText = 256L << 20;
    private const int LineOverText = 8; // JSON's escapes and other fields beside the text

    /// <param name="path">The file.</param>
    /// <param name="kind">Its ending, in lower case.</param>
    internal static IEnumerable<TextPiece> Of(string path, string kind, TextTreeOptions options)
    {
        using IEnumerator<TextPiece> pieces = (
            kind switch
            {
                _ when IsEmpty(path) => [new TextPiece("", default, 0, "too small")],
                _ when IsPointer(path) => [new TextPiece("", default, 0, "that are Git LFS pointers ('git lfs pull' fetches the files)")],
                ".txt" => Texts(path),
                ".jsonl" => JsonRows(path, options),
                ".parquet" => ParquetRows.Of(path, options),
                _ => Whole(path, options),
            }
        ).GetEnumerator();
        while (true)
        {
            TextPiece piece;
            try
            {
                if (!pieces.MoveNext())
                {
                    yield break;
                }

                piece = pieces.Current;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                piece = new TextPiece("", default, 0, "that cannot be read");
            }

            yield return piece;
            if (piece.Reason == "that cannot be read")
            {
                yield break;
            }
        }
    }

    /// <summary>What is said of rows whose field or column is not there.</summary>
    internal static string Lacking(string? column) =>
        column is null ? $"rows without {string.Join(", ", UsualColumns[..^1])} or {UsualColumns[^1]}" : $"rows without '{column}'";

    /// <summary>Pipes are empty too: to open one may take for ever.</summary>
    private static bool IsEmpty(string path)
    {
        try
        {
            return new FileInfo(path).Length == 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // whoever reads it says so
        }
    }

    private static bool IsPointer(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            var beginning = new byte[GitLfsPointer.Length];
            return GitLfsPointer.Is(beginning.AsSpan(0, file.ReadAtLeast(beginning, beginning.Length, throwOnEndOfStream: false)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // whoever reads it says so
        }
    }

    private static IEnumerable<TextPiece> Whole(string path, TextTreeOptions options)
    {
        long length = new FileInfo(path).Length;
        yield return length > options.MaximumBytes
            ? new TextPiece("", default, 0, "too large")
            : new TextPiece("", File.ReadAllBytes(path), options.MaximumBytes);
    }

    /// <summary>The texts between lines that are the end-of-text token; each keeps its line ends.</summary>
    private static IEnumerable<TextPiece> Texts(string path)
    {
        using var text = new MemoryStream();
        bool isTooLong = false;
        int pieces = 0;
        foreach ((ReadOnlyMemory<byte> line, bool isWhole) in Lines(path, LongestText))
        {
            if (line.Span.TrimEnd("\r\n"u8).SequenceEqual("<|endoftext|>"u8))
            {
                if (text.Length > 0)
                {
                    yield return Piece();
                }

                text.SetLength(0);
                isTooLong = false;
                continue;
            }

            isTooLong |= !isWhole || text.Length + line.Length > LongestText;
            if (!isTooLong)
            {
                text.Write(line.Span);
            }
        }

        if (text.Length > 0 || isTooLong || pieces == 0)
        {
            yield return Piece();
        }

        TextPiece Piece()
        {
            pieces++;
            return isTooLong
                ? new TextPiece($":{pieces}", default, 0, "too large")
                : new TextPiece($":{pieces}", text.ToArray(), LongestText);
        }
    }

    private static IEnumerable<TextPiece> JsonRows(string path, TextTreeOptions options)
    {
        int number = 0;
        foreach ((ReadOnlyMemory<byte> line, bool isWhole) in Lines(path, LineOverText * options.MaximumBytes))
        {
            number++;
            if (!isWhole)
            {
                yield return new TextPiece($":{number}", default, 0, "too large");
            }
            else if (line.Span.ContainsAnyExcept(" \t\r\n"u8))
            {
                yield return Row(line.Span, number, options);
            }
        }
    }

    private static TextPiece Row(ReadOnlySpan<byte> line, int number, TextTreeOptions options)
    {
        string place = $":{number}";
        try
        {
            bool isMarked = number == 1 && line.StartsWith(Encoding.UTF8.Preamble);
            string json = StrictUtf8.GetString(isMarked ? line[Encoding.UTF8.Preamble.Length..] : line);
            JsonObject row = JsonText.ParseObject(json, place);
            string? column = options.Column ?? UsualColumns.FirstOrDefault(row.ContainsKey);
            if (column is null || !row.TryGetPropertyValue(column, out JsonNode? value))
            {
                return Skip(Lacking(options.Column));
            }

            return value is null ? Skip($"rows whose '{column}' is null")
                : value.GetValueKind() != JsonValueKind.String ? Skip($"rows whose '{column}' is no text")
                : new TextPiece(place, Encoding.UTF8.GetBytes(value.GetValue<string>()), options.MaximumBytes);
        }
        catch (DecoderFallbackException)
        {
            return Skip("not UTF-8");
        }
        catch (BadInputException)
        {
            return Skip("rows that are no JSON object");
        }

        TextPiece Skip(string reason) => new(place, default, 0, reason);
    }

    /// <summary>Lines with their ends, valid until the next; of one longer than the limit only that it was.</summary>
    private static IEnumerable<(ReadOnlyMemory<byte> Line, bool IsWhole)> Lines(string path, long longest)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
        using var line = new MemoryStream();
        bool isWhole = true;
        var buffer = new byte[1 << 16];
        while (stream.Read(buffer) is > 0 and int read)
        {
            for (int start = 0; start < read; )
            {
                int end = buffer.AsSpan(start, read - start).IndexOf((byte)'\n');
                int length = end < 0 ? read - start : end + 1;
                isWhole &= line.Length + length <= longest;
                if (isWhole)
                {
                    line.Write(buffer, start, length);
                }

                start += length;
                if (end >= 0)
                {
                    yield return (line.GetBuffer().AsMemory(0, (int)line.Length), isWhole);
                    line.SetLength(0);
                    isWhole = true;
                }
            }
        }

        if (line.Length > 0 || !isWhole)
        {
            yield return (line.GetBuffer().AsMemory(0, (int)line.Length), isWhole);
        }
    }
}
