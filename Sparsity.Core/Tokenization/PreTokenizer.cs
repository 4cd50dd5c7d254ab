using System.Buffers;
using System.Text;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// Splits UTF-8 text where no merge may cross (spec section 6), by hand what this pattern does:
/// <code>[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+</code>
/// Classes are those of whole code points; a byte that is no valid UTF-8 counts as a symbol: no letter, digit or space.
/// </summary>
internal static class PreTokenizer
{
    private enum Class : byte
    {
        Symbol,
        Letter,
        Digit,
        Space,
        NewLine,
    }

    private static readonly Class[] Ascii = [.. Enumerable.Range(0, 128).Select(c => ClassOf(new Rune(c)))];

    /// <summary>Length in bytes of the first pre-token of a text that is not empty.</summary>
    public static int FirstLength(ReadOnlySpan<byte> text)
    {
        Class first = Next(text, 0, out int afterFirst);
        if (first == Class.Letter)
        {
            return SkipWhile(text, afterFirst, Class.Letter);
        }

        if (first == Class.Digit)
        {
            int end = afterFirst;
            for (int digits = 1; digits < 3 && end < text.Length && Next(text, end, out int after) == Class.Digit; digits++)
            {
                end = after;
            }

            return end;
        }

        if (first != Class.NewLine && afterFirst < text.Length && Next(text, afterFirst, out int afterSecond) == Class.Letter)
        {
            return SkipWhile(text, afterSecond, Class.Letter);
        }

        int symbols = text[0] == ' ' ? 1 : 0;
        int symbolsEnd = SkipWhile(text, symbols, Class.Symbol);
        return symbolsEnd > symbols ? SkipNewLinesAndSlashes(text, symbolsEnd) : SpaceLength(text);
    }

    /// <summary>The last three alternatives: space up to its last line break; or up to the last character, which goes with the next word; or all.</summary>
    private static int SpaceLength(ReadOnlySpan<byte> text)
    {
        int end = 0;
        int beforeLast = 0;
        int afterNewLine = 0;
        while (end < text.Length && Next(text, end, out int after) is Class.Space or Class.NewLine)
        {
            beforeLast = end;
            if (text[end] is (byte)'\r' or (byte)'\n')
            {
                afterNewLine = after;
            }

            end = after;
        }

        return afterNewLine > 0 ? afterNewLine : end == text.Length || beforeLast == 0 ? end : beforeLast;
    }

    private static int SkipWhile(ReadOnlySpan<byte> text, int start, Class kind)
    {
        while (start < text.Length && Next(text, start, out int after) == kind)
        {
            start = after;
        }

        return start;
    }

    private static int SkipNewLinesAndSlashes(ReadOnlySpan<byte> text, int start)
    {
        while (start < text.Length && text[start] is (byte)'\r' or (byte)'\n' or (byte)'/')
        {
            start++;
        }

        return start;
    }

    private static Class Next(ReadOnlySpan<byte> text, int start, out int after)
    {
        byte b = text[start];
        if (b < 128)
        {
            after = start + 1;
            return Ascii[b];
        }

        if (Rune.DecodeFromUtf8(text[start..], out Rune rune, out int length) != OperationStatus.Done)
        {
            after = start + 1;
            return Class.Symbol;
        }

        after = start + length;
        return ClassOf(rune);
    }

    private static Class ClassOf(Rune rune) =>
        rune.Value is '\r' or '\n' ? Class.NewLine
        : Rune.IsLetter(rune) ? Class.Letter
        : Rune.IsNumber(rune) ? Class.Digit
        : Rune.IsWhiteSpace(rune) ? Class.Space
        : Class.Symbol;
}
