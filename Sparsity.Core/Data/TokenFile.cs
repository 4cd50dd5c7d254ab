using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Sparsity.Core.Files;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Data;

/// <summary>
/// Tokenized text for training: <c>NAME.bin</c>, the ids as little-endian 16-bit numbers and nothing else, and beside it <c>NAME.json</c>,
/// which says how many there are and which tokenizer made them. Every document is followed by the end-of-text token.
/// </summary>
internal sealed class TokenFile
{
    private TokenFile(ReadOnlyMemory<ushort> tokens, SideFile side)
    {
        Tokens = tokens;
        VocabularySize = side.VocabularySize;
        TokenizerFingerprint = side.TokenizerFingerprint;
        Documents = side.Documents;
    }

    /// <summary>All ids in order, each less than <see cref="VocabularySize"/>.</summary>
    public ReadOnlyMemory<ushort> Tokens { get; }

    public int VocabularySize { get; }

    /// <summary><see cref="TextTokenizer.Fingerprint"/> of the tokenizer that made the ids.</summary>
    public string TokenizerFingerprint { get; }

    public long Documents { get; }

    /// <summary>
    /// Encodes <paramref name="documents"/> one after the other into <paramref name="path"/> (<c>NAME.bin</c>) and its side file.
    /// </summary>
    /// <exception cref="BadInputException">The path does not end with .bin, the vocabulary is too large for 16 bits, or a file cannot be
    /// written.</exception>
    public static void Write(string path, TextTokenizer tokenizer, IEnumerable<string> documents)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(documents);
        string sidePath = SidePath(path);
        if (tokenizer.VocabularySize > BytePairTrainer.MaximumVocabulary)
        {
            throw new BadInputException(
                $"A vocabulary of {tokenizer.VocabularySize} tokens does not fit a token file; at most "
                    + $"{BytePairTrainer.MaximumVocabulary} do. Use a smaller tokenizer."
            );
        }

        long tokens = 0,
            count = 0;
        AtomicFile.Write(
            path,
            stream =>
            {
                var ids = new List<int>();
                foreach (string document in documents)
                {
                    ids.Clear();
                    tokenizer.Encode(Encoding.UTF8.GetBytes(document), ids);
                    ids.Add(tokenizer.EndOfText);
                    WriteIds(stream, CollectionsMarshal.AsSpan(ids));
                    tokens += ids.Count;
                    count++;
                }

                // From here until the new side file is there, the pair reads as incomplete rather than as the old counts with the new ids.
                AtomicFile.Delete(sidePath);
            }
        );
        AtomicFile.WriteText(
            sidePath,
            JsonText.Write(new SideFile(FileFormat.Version, tokens, count, tokenizer.VocabularySize, tokenizer.Fingerprint))
        );
    }

    /// <summary>Reads and checks a token file.</summary>
    /// <param name="path"><c>NAME.bin</c>.</param>
    /// <param name="expected">The tokenizer that must have made it; null for any.</param>
    /// <exception cref="BadInputException">A file is missing or damaged, of a newer version, or made by another tokenizer.</exception>
    public static TokenFile Open(string path, TextTokenizer? expected = null)
    {
        string sidePath = SidePath(path);
        if (!File.Exists(path))
        {
            throw new BadInputException($"{path}: not found. Check the path, or make the file from texts first.");
        }

        if (!File.Exists(sidePath))
        {
            throw new BadInputException($"{path}: its side file {sidePath} is missing. Copy it too, or make both again from the texts.");
        }

        SideFile side = ReadSide(sidePath);
        if (expected is not null && side.TokenizerFingerprint != expected.Fingerprint)
        {
            throw new BadInputException(
                $"{path}: was made by another tokenizer (fingerprint {Head(side.TokenizerFingerprint)}, expected "
                    + $"{Head(expected.Fingerprint)}). Use that tokenizer or make the file again."
            );
        }

        ushort[] ids = ReadIds(path);
        if (ids.Length != side.Tokens)
        {
            throw new BadInputException(
                $"{path}: holds {ids.Length} tokens, but {sidePath} says {side.Tokens}. One of the two is damaged or from elsewhere: "
                    + $"make both again."
            );
        }

        int wrong =
            side.VocabularySize > ushort.MaxValue ? -1 : ids.AsSpan().IndexOfAnyInRange((ushort)side.VocabularySize, ushort.MaxValue);
        if (wrong >= 0)
        {
            throw new BadInputException(
                $"{path}: token {wrong} has id {ids[wrong]}; expected 0 to {side.VocabularySize - 1} as {sidePath} says. The file is "
                    + $"damaged or from elsewhere: make it again."
            );
        }

        return new TokenFile(ids, side);
    }

    private static string SidePath(string path) =>
        path.EndsWith(".bin", StringComparison.Ordinal)
            ? path[..^4] + ".json"
            : throw new BadInputException($"{path}: a token file's name ends with .bin. Rename it or check the path.");

    private static SideFile ReadSide(string path)
    {
        SideFile side = JsonText.ReadFile<SideFile>(path);
        string? fault =
            side.Tokens < 0 ? $"tokens is {side.Tokens}, expected 0 or more"
            : side.Documents < 0 || side.Documents > side.Tokens
                ? $"documents is {side.Documents}, expected 0 to the number of tokens, {side.Tokens}"
            : side.VocabularySize is < BytePairTrainer.MinimumVocabulary or > BytePairTrainer.MaximumVocabulary
                ? $"vocabulary_size is {side.VocabularySize}, expected {BytePairTrainer.MinimumVocabulary} to "
                    + $"{BytePairTrainer.MaximumVocabulary}"
            : side.TokenizerFingerprint is not { Length: 64 } || !side.TokenizerFingerprint.All(char.IsAsciiHexDigitLower)
                ? "tokenizer_fingerprint is not 64 lower-case hexadecimal digits"
            : null;
        return fault is null ? side : throw new BadInputException($"{path}: {fault}. The file is damaged: make it and its .bin again.");
    }

    private static ushort[] ReadIds(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
            if (stream.Length % 2 != 0 || stream.Length / 2 > Array.MaxLength)
            {
                throw new BadInputException(
                    $"{path}: has {stream.Length} bytes; expected an even number up to {2L * Array.MaxLength}. The file is damaged or "
                        + $"too large: make it again."
                );
            }

            var ids = new ushort[stream.Length / 2];
            Span<ushort> rest = ids;
            while (!rest.IsEmpty)
            {
                // In parts, because a span of bytes cannot be longer than 2 GiB.
                Span<ushort> part = rest[..Math.Min(rest.Length, 1 << 24)];
                stream.ReadExactly(MemoryMarshal.AsBytes(part));
                rest = rest[part.Length..];
            }

            if (!BitConverter.IsLittleEndian)
            {
                BinaryPrimitives.ReverseEndianness(ids, ids);
            }

            return ids;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{path}: cannot be read ({e.Message}). Check the path and its permissions.", e);
        }
    }

    private static void WriteIds(Stream stream, ReadOnlySpan<int> ids)
    {
        Span<byte> buffer = stackalloc byte[4096];
        while (!ids.IsEmpty)
        {
            int count = Math.Min(ids.Length, buffer.Length / 2);
            for (int i = 0; i < count; i++)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(buffer[(2 * i)..], (ushort)ids[i]);
            }

            stream.Write(buffer[..(2 * count)]);
            ids = ids[count..];
        }
    }

    private static string Head(string fingerprint) => fingerprint[..12];

    /// <summary><c>NAME.json</c>.</summary>
    private sealed record SideFile(int FormatVersion, long Tokens, long Documents, int VocabularySize, string TokenizerFingerprint);
}
