using System.Buffers;
using System.Text;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// Splits UTF-8 text into the pieces within which tokens are merged, as <see cref="Pattern"/> does. Characters outside the basic plane
/// count as the one character they are (the .NET Regex sees two surrogates); a byte that is not valid UTF-8 counts as a symbol: no letter,
/// digit or white space.
/// </summary>
internal static class PreTokenScanner
{
    /// <summary>The rule as a regular expression; the alternatives are tried in this order.</summary>
    public const string Pattern = @"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>What the pattern tells apart. None: the end of the text.</summary>
    private enum Kind : byte
    {
        None,
        Letter,
        Digit,
        Newline,
        Space,
        Symbol,
    }

    private static readonly Kind[] Ascii = [.. Enumerable.Range(0, 128).Select(c => Classify(new Rune(c)))];

    /// <summary>The number of bytes of the first piece; at least 1 unless <paramref name="text"/> is empty.</summary>
    public static int NextLength(ReadOnlySpan<byte> text)
    {
        Kind first = KindAt(text, 0, out int size);
        switch (first)
        {
            case Kind.None:
                return 0;
            case Kind.Letter:
                return EndOfLetters(text, size);
            case Kind.Digit:
                return EndOfDigits(text, size);
        }

        if (first != Kind.Newline)
        {
            Kind second = KindAt(text, size, out int secondSize);
            if (second == Kind.Letter)
            {
                return EndOfLetters(text, size + secondSize);
            }

            if (first == Kind.Symbol || (second == Kind.Symbol && text[0] == (byte)' '))
            {
                return EndOfSymbols(text, size);
            }
        }

        return EndOfWhiteSpace(text);
    }

    private static int EndOfLetters(ReadOnlySpan<byte> text, int at)
    {
        while (KindAt(text, at, out int size) == Kind.Letter)
        {
            at += size;
        }

        return at;
    }

    private static int EndOfDigits(ReadOnlySpan<byte> text, int at)
    {
        for (int count = 1; count < 3 && KindAt(text, at, out int size) == Kind.Digit; count++)
        {
            at += size;
        }

        return at;
    }

    private static int EndOfSymbols(ReadOnlySpan<byte> text, int at)
    {
        while (KindAt(text, at, out int size) == Kind.Symbol)
        {
            at += size;
        }

        while (at < text.Length && text[at] is (byte)'\r' or (byte)'\n' or (byte)'/')
        {
            at++;
        }

        return at;
    }

    /// <summary>
    /// A run of white space ends after its last line break if it has one, else at the end of the text, else before its last character
    /// (which may belong to what follows), or after it if it is the only one.
    /// </summary>
    private static int EndOfWhiteSpace(ReadOnlySpan<byte> text)
    {
        int end = 0,
            afterNewline = 0,
            beforeLast = 0;
        while (true)
        {
            Kind kind = KindAt(text, end, out int size);
            if (kind is not (Kind.Newline or Kind.Space))
            {
                return afterNewline > 0 ? afterNewline
                    : kind == Kind.None || beforeLast == 0 ? end
                    : beforeLast;
            }

            beforeLast = end;
            end += size;
            if (kind == Kind.Newline)
            {
                afterNewline = end;
            }
        }
    }

    /// <summary>Kind and number of bytes of the character at <paramref name="at"/>.</summary>
    private static Kind KindAt(ReadOnlySpan<byte> text, int at, out int size)
    {
        size = 1;
        if ((uint)at >= (uint)text.Length)
        {
            return Kind.None;
        }

        byte b = text[at];
        if (b < 128)
        {
            return Ascii[b];
        }

        if (Rune.DecodeFromUtf8(text[at..], out Rune rune, out int consumed) != OperationStatus.Done)
        {
            return Kind.Symbol;
        }

        size = consumed;
        return Classify(rune);
    }

    private static Kind Classify(Rune rune) =>
        rune.Value is '\r' or '\n' ? Kind.Newline
        : Rune.IsLetter(rune) ? Kind.Letter
        : Rune.IsNumber(rune) ? Kind.Digit
        : Rune.IsWhiteSpace(rune) ? Kind.Space
        : Kind.Symbol;
}
