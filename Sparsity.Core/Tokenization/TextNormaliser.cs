using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// The normaliser of a <c>tokenizer.json</c>: what happens to text before it is split. Steps that decompose or compose characters (NFC,
/// NFD, NFKC, NFKD, accents of BERT)
/// are refused: the program runs without a culture's data (InvariantGlobalization), where .NET leaves such text as it is.
/// </summary>
internal static class TextNormaliser
{
    /// <param name="node">The normalizer of the file; null for none.</param>
    /// <param name="path">For messages.</param>
    /// <exception cref="BadInputException">A step is not known; it is named.</exception>
    public static Func<string, string> Read(JsonNode? node, string path)
    {
        if (node is null)
        {
            return text => text;
        }

        string kind = node["type"]?.GetValueKind() == JsonValueKind.String ? node["type"]!.GetValue<string>() : "none";
        switch (kind)
        {
            case "Sequence" when node["normalizers"] is JsonArray steps:
                Func<string, string>[] all = [.. steps.Select(step => Read(step, path))];
                return text => all.Aggregate(text, (current, step) => step(current));
            case "Lowercase":
                return Lower;
            case "Replace" when Text(node, "pattern", "String") is { } from && Text(node, "content") is { } to:
                if (from.Length == 0)
                {
                    throw Unknown("Replace of an empty text");
                }

                return text => text.Replace(from, to, StringComparison.Ordinal);
            case "StripAccents":
                return WithoutMarks;
            case "BertNormalizer" when (node["strip_accents"] ?? node["lowercase"])?.GetValueKind() == JsonValueKind.False:
                return Bert(node);
            default:
                throw Unknown(
                    kind switch
                    {
                        "Replace" => "Replace by a regular expression",
                        "BertNormalizer" => "BertNormalizer with strip_accents",
                        _ => kind,
                    }
                );
        }

        BadInputException Unknown(string what) =>
            new(
                $"{path}: normalizes text by {what}, which this program does not know; expected a sequence of Lowercase, Replace (of a "
                    + "text), StripAccents and BertNormalizer (with strip_accents false). "
                    + "Use another tokenizer."
            );
    }

    private static string? Text(JsonNode node, params ReadOnlySpan<string> path)
    {
        JsonNode? at = node;
        foreach (string name in path)
        {
            at = (at as JsonObject)?[name];
        }

        return at?.GetValueKind() == JsonValueKind.String ? at.GetValue<string>() : null;
    }

    private static Func<string, string> Bert(JsonNode node)
    {
        bool cleans = IsNot(node["clean_text"], JsonValueKind.False);
        bool spaces = IsNot(node["handle_chinese_chars"], JsonValueKind.False);
        bool lowers = IsNot(node["lowercase"], JsonValueKind.False);
        return text =>
        {
            var result = new StringBuilder(text.Length);
            foreach (Rune rune in text.EnumerateRunes())
            {
                if (cleans && (rune.Value is 0 or 0xfffd || IsControl(rune)))
                {
                    continue;
                }

                string shown = cleans && Rune.IsWhiteSpace(rune) ? " " : rune.ToString();
                result.Append(spaces && IsChinese(rune.Value) ? $" {shown} " : shown);
            }

            return lowers ? Lower(result.ToString()) : result.ToString();
        };

        static bool IsNot(JsonNode? value, JsonValueKind kind) => value?.GetValueKind() != kind;
    }

    /// <summary>Each character's own lower case; the one character whose lower case is two is not .NET's.</summary>
    private static string Lower(string text) => text.ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);

    private static string WithoutMarks(string text) =>
        string.Concat(
            text.EnumerateRunes()
                .Where(rune => Rune.GetUnicodeCategory(rune) != UnicodeCategory.NonSpacingMark)
                .Select(rune => rune.ToString())
        );

    private static bool IsControl(Rune rune) =>
        rune.Value is not ('\t' or '\n' or '\r')
        && Rune.GetUnicodeCategory(rune)
            is UnicodeCategory.Control
                or UnicodeCategory.Format
                or UnicodeCategory.OtherNotAssigned
                or UnicodeCategory.PrivateUse
                or UnicodeCategory.Surrogate;

    private static bool IsChinese(int character) =>
        character
            is (>= 0x4e00 and <= 0x9fff)
                or (>= 0x3400 and <= 0x4dbf)
                or (>= 0x20000 and <= 0x2a6df)
                or (>= 0x2a700 and <= 0x2b73f)
                or (>= 0x2b740 and <= 0x2b81f)
                or (>= 0x2b920 and <= 0x2ceaf)
                or (>= 0xf900 and <= 0xfaff)
                or (>= 0x2f800 and <= 0x2fa1f);
}
