using System.Buffers;
using System.Globalization;
using System.Text;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// Text to token ids and back: what every verb uses, whatever the kind of tokenizer (<see cref="BytePairTokenizer"/>,
/// <see cref="WordPieceTokenizer"/>,
/// <see cref="SentencePieceTokenizer"/>, <see cref="TiktokenTokenizer"/>). Immutable; safe for several threads.
/// <see cref="TokenizerFolder"/> opens one.
/// </summary>
public abstract class TextTokenizer
{
    /// <summary>The highest id plus 1.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The id that separates documents.</summary>
    public abstract int EndOfText { get; }

    /// <summary>SHA-256 of all that decides ids, as 64 lower-case hexadecimal digits: of equal ones, text gets the same ids.</summary>
    public abstract string Fingerprint { get; }

    /// <summary>Whether there is a token of this id. A model may have more: padding, and ids in a gap.</summary>
    public virtual bool IsToken(int id) => (uint)id < (uint)VocabularySize;

    /// <summary>The ids of a text, without special tokens before or after it. An unpaired surrogate counts as U+FFFD.</summary>
    public abstract int[] Encode(string text);

    /// <summary>Adds the ids of <paramref name="utf8"/> to <paramref name="into"/>.</summary>
    public virtual void Encode(ReadOnlySpan<byte> utf8, List<int> into) => into.AddRange(Encode(Encoding.UTF8.GetString(utf8)));

    /// <summary>
    /// The text of these ids, as far as they keep it: upper case, for instance, may be lost. Special tokens give their names.
    /// </summary>
    /// <exception cref="BadInputException">An id is not of this vocabulary.</exception>
    public abstract string DecodeText(ReadOnlySpan<int> ids);

    /// <summary>
    /// A token for reports, on one line and unambiguous: in single quotes, with \n, \r, \t, \', \\, \u{...} for what does not print,
    /// and \xNN for bytes that are no whole character. Special tokens have no quotes; an id without a token is "token" and its number.
    /// </summary>
    public abstract string Describe(int id);

    /// <summary>Writes the tokenizer's files into <paramref name="directory"/>, which is made if missing.</summary>
    /// <param name="format">Of a byte-level BPE. Other kinds have one format, that of the file they were read from.</param>
    /// <exception cref="BadInputException">The files cannot be written.</exception>
    public abstract void Save(string directory, TokenizerFormat format = TokenizerFormat.Gpt2);

    /// <summary>True, and its id, if <paramref name="text"/> is exactly one token.</summary>
    public bool TryGetSingleToken(string text, out int id)
    {
        int[] ids = Encode(text);
        id = ids.Length == 1 ? ids[0] : -1;
        return ids.Length == 1;
    }

    /// <summary>
    /// What <paramref name="ids"/> add to the text of the ids before them: with a space where a word begins and the tokens do not hold it.
    /// </summary>
    /// <inheritdoc cref="DecodeText" path="/exception"/>
    public string DecodeAfter(ReadOnlySpan<int> before, ReadOnlySpan<int> ids)
    {
        string first = DecodeText(before);
        string all = DecodeText([.. before, .. ids]);
        return all.StartsWith(first, StringComparison.Ordinal) ? all[first.Length..] : DecodeText(ids);
    }

    /// <exception cref="BadInputException">The id is not of this vocabulary.</exception>
    protected void RequireKnown(int id)
    {
        if (!IsToken(id))
        {
            throw new BadInputException(
                $"Token id {id} is not in the vocabulary; expected 0 to {VocabularySize - 1}. Use the tokenizer "
                    + "the ids were made with."
            );
        }
    }

    /// <summary>What <see cref="Describe"/> says of an id without a token.</summary>
    protected static string Unknown(int id) => FormattableString.Invariant($"token {id}");

    /// <summary>A text in the form of <see cref="Describe"/>.</summary>
    protected static string Quoted(string text) => Quoted(Encoding.UTF8.GetBytes(text));

    /// <summary>The same of bytes, which need be no whole characters.</summary>
    protected static string Quoted(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder("'");
        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out Rune rune, out int size) == OperationStatus.Done)
            {
                AppendEscaped(text, rune);
            }
            else
            {
                size = 1;
                text.Append(CultureInfo.InvariantCulture, $"\\x{bytes[0]:x2}");
            }

            bytes = bytes[size..];
        }

        return text.Append('\'').ToString();
    }

    private static void AppendEscaped(StringBuilder text, Rune rune)
    {
        switch (rune.Value)
        {
            case '\n':
                text.Append("\\n");
                break;
            case '\r':
                text.Append("\\r");
                break;
            case '\t':
                text.Append("\\t");
                break;
            case '\'' or '\\':
                text.Append('\\').Append((char)rune.Value);
                break;
            case ' ':
                text.Append(' ');
                break;
            default:
                bool prints =
                    Rune.GetUnicodeCategory(rune)
                    is not (
                        UnicodeCategory.Control
                        or UnicodeCategory.Format
                        or UnicodeCategory.OtherNotAssigned
                        or UnicodeCategory.PrivateUse
                        or UnicodeCategory.SpaceSeparator
                        or UnicodeCategory.LineSeparator
                        or UnicodeCategory.ParagraphSeparator
                        or UnicodeCategory.NonSpacingMark
                        or UnicodeCategory.EnclosingMark
                    );
                _ = prints ? text.Append(rune.ToString()) : text.Append(CultureInfo.InvariantCulture, $"\\u{{{rune.Value:x}}}");
                break;
        }
    }
}
