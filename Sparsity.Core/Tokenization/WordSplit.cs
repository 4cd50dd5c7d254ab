using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MicrosoftTokenizers = Microsoft.ML.Tokenizers;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// The pre-tokeniser of a <c>tokenizer.json</c>: a sequence of steps, each of which sorts characters into classes and splits between
/// characters of different ones.
/// Character classes are those of Hugging Face's library: Unicode's, not .NET's regular expressions'.
/// </summary>
internal sealed class WordSplit : MicrosoftTokenizers.PreTokenizer
{
    private const int Dropped = 0;
    private const int Alone = 1;
    private const int Word = 2;
    private const int Other = 3;

    private readonly Func<Rune, int>[] _steps;

    /// <param name="step">The pre_tokenizer of the file.</param>
    /// <param name="path">For messages.</param>
    /// <exception cref="BadInputException">A step is not known; it is named.</exception>
    public WordSplit(JsonNode? step, string path) => _steps = [.. Steps(step, path)];

    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text) => PreTokenize(text.AsSpan());

    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text)
    {
        var words = new List<(int, int)>();
        Span<int> last = stackalloc int[_steps.Length];
        Span<int> now = stackalloc int[_steps.Length];
        int start = -1;
        int at = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            bool isDropped = false;
            bool isAlone = false;
            for (int i = 0; i < _steps.Length; i++)
            {
                now[i] = _steps[i](rune);
                isDropped |= now[i] == Dropped;
                isAlone |= now[i] == Alone;
            }

            if (start >= 0 && (isDropped || isAlone || !now.SequenceEqual(last)))
            {
                words.Add((start, at - start));
                start = -1;
            }

            if (!isDropped)
            {
                start = start < 0 ? at : start;
                now.CopyTo(last);
            }

            at += rune.Utf16SequenceLength;
        }

        if (start >= 0)
        {
            words.Add((start, text.Length - start));
        }

        return words;
    }

    private static IEnumerable<Func<Rune, int>> Steps(JsonNode? step, string path)
    {
        string kind = step?["type"]?.GetValueKind() == JsonValueKind.String ? step["type"]!.GetValue<string>() : "none";
        return kind switch
        {
            "Sequence" when step!["pretokenizers"] is JsonArray steps => steps.SelectMany(inner => Steps(inner, path)),
            "Whitespace" =>
            [
                rune =>
                    IsWord(rune) ? Word
                    : Rune.IsWhiteSpace(rune) ? Dropped
                    : Other,
            ],
            "WhitespaceSplit" => [rune => Rune.IsWhiteSpace(rune) ? Dropped : Word],
            "BertPreTokenizer" =>
            [
                rune =>
                    Rune.IsWhiteSpace(rune) ? Dropped
                    : IsPunctuation(rune) ? Alone
                    : Word,
            ],
            "Punctuation" when Behaviour(step!) is "Isolated" => [rune => IsPunctuation(rune) ? Alone : Word],
            "Digits" => step!["individual_digits"]?.GetValueKind() == JsonValueKind.True
                ? [rune => IsNumeric(rune) ? Alone : Word]
                : [rune => IsNumeric(rune) ? Other : Word],
            _ => throw new BadInputException(
                $"{path}: splits text by {kind}{(kind == "Punctuation" ? $" with behavior {Behaviour(step!)}" : "")}, which this "
                    + $"program does not know for WordPiece; "
                    + "expected a sequence of Whitespace, WhitespaceSplit, BertPreTokenizer, Punctuation (Isolated) and Digits. Use "
                    + "another "
                    + "tokenizer."
            ),
        };
    }

    private static string Behaviour(JsonNode step) =>
        step["behavior"]?.GetValueKind() == JsonValueKind.String ? step["behavior"]!.GetValue<string>() : "Isolated";

    /// <summary>
    /// \w of Unicode's regular expressions: letters and letter-like symbols, marks, decimal digits, connectors, and the two joiners.
    /// </summary>
    private static bool IsWord(Rune rune) =>
        Rune.IsLetter(rune)
        || Rune.GetUnicodeCategory(rune)
            is UnicodeCategory.NonSpacingMark
                or UnicodeCategory.SpacingCombiningMark
                or UnicodeCategory.EnclosingMark
                or UnicodeCategory.DecimalDigitNumber
                or UnicodeCategory.LetterNumber
                or UnicodeCategory.ConnectorPunctuation
        || rune.Value
            is 0x200c
                or 0x200d
                or (>= 0x24b6 and <= 0x24e9)
                or (>= 0x1f130 and <= 0x1f149)
                or (>= 0x1f150 and <= 0x1f169)
                or (>= 0x1f170 and <= 0x1f189);

    private static bool IsNumeric(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    /// <summary>Unicode's punctuation, and ASCII's symbols.</summary>
    private static bool IsPunctuation(Rune rune) =>
        Rune.IsPunctuation(rune) || rune.Value is '$' or '+' or '<' or '=' or '>' or '^' or '`' or '|' or '~';
}
