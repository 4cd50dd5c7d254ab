using System.Diagnostics.CodeAnalysis;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// GPT-2's table of one printable character for each of the 256 bytes, with which its files write tokens as text. Printable Latin-1 bytes
/// stand for themselves and come first, in order; the others follow as U+0100, U+0101, ... (so a space is 'Ġ'). This order is also that of
/// the ids 0 to 255.
/// </summary>
internal static class ByteSymbols
{
    private static readonly byte[] IdToByte = Order();
    private static readonly byte[] ByteToIdTable = Invert(IdToByte);
    private static readonly char[] ByteToChar = Symbols();
    private static readonly Dictionary<char, byte> CharToByte = ByteToChar
        .Select((symbol, value) => (symbol, value))
        .ToDictionary(p => p.symbol, p => (byte)p.value);

    /// <summary>Id (0 to 255) of each byte.</summary>
    public static ReadOnlySpan<byte> ByteToId => ByteToIdTable;

    /// <summary>The byte with this id (0 to 255).</summary>
    public static byte ByteOf(int id) => IdToByte[id];

    /// <summary>A token as the files write it.</summary>
    public static string ToText(ReadOnlySpan<byte> token)
    {
        Span<char> text = token.Length <= 512 ? stackalloc char[token.Length] : new char[token.Length];
        for (int i = 0; i < token.Length; i++)
        {
            text[i] = ByteToChar[token[i]];
        }

        return new string(text);
    }

    /// <summary>The bytes of a token as the files write it; false if a character stands for no byte.</summary>
    public static bool TryToBytes(string text, [NotNullWhen(true)] out byte[]? bytes)
    {
        bytes = new byte[text.Length];
        for (int i = 0; i < text.Length; i++)
        {
            if (!CharToByte.TryGetValue(text[i], out bytes[i]))
            {
                bytes = null;
                return false;
            }
        }

        return true;
    }

    private static bool StandsForItself(int value) => value is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;

    private static byte[] Order() =>
        [
            .. Enumerable
                .Range(0, 256)
                .Where(StandsForItself)
                .Concat(Enumerable.Range(0, 256).Where(b => !StandsForItself(b)))
                .Select(b => (byte)b),
        ];

    private static byte[] Invert(byte[] order)
    {
        var inverse = new byte[256];
        for (int id = 0; id < 256; id++)
        {
            inverse[order[id]] = (byte)id;
        }

        return inverse;
    }

    private static char[] Symbols()
    {
        var symbols = new char[256];
        int next = 256;
        for (int value = 0; value < 256; value++)
        {
            symbols[value] = StandsForItself(value) ? (char)value : (char)next++;
        }

        return symbols;
    }
}
