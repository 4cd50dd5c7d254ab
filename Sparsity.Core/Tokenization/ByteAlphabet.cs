namespace Sparsity.Core.Tokenization;

/// <summary>GPT-2's way of writing bytes as printable characters: printable Latin-1 stands for itself, the other 68 bytes become U+0100 and on.</summary>
internal static class ByteAlphabet
{
    /// <summary>All bytes, those that stand for themselves first: byte tokens get their ids in this order.</summary>
    public static IReadOnlyList<byte> Order { get; } =
        [.. Enumerable.Range(0, 256).OrderBy(b => StandsForItself(b) ? 0 : 1).ThenBy(b => b).Select(b => (byte)b)];

    private static readonly char[] Characters = MakeCharacters();

    public static string ToText(ReadOnlySpan<byte> bytes)
    {
        Span<char> text = bytes.Length <= 256 ? stackalloc char[bytes.Length] : new char[bytes.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            text[i] = Characters[bytes[i]];
        }

        return new string(text);
    }

    private static bool StandsForItself(int b) => b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);

    private static char[] MakeCharacters()
    {
        var characters = new char[256];
        int next = 256;
        for (int b = 0; b < 256; b++)
        {
            characters[b] = StandsForItself(b) ? (char)b : (char)next++;
        }

        return characters;
    }
}
