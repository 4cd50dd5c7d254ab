using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Sparsity.Core.Storage;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Data;

/// <summary>A stream of tokens: NAME.bin, little-endian uint16 without a header, and NAME.json, which says whose tokens they are.</summary>
public sealed class TokenFile
{
    private const int CurrentFormatVersion = 1;

    private TokenFile(ReadOnlyMemory<ushort> tokens, Description description)
    {
        Tokens = tokens;
        VocabularySize = description.VocabularySize;
        TokenizerFingerprint = description.TokenizerFingerprint;
        Documents = description.Documents;
    }

    public ReadOnlyMemory<ushort> Tokens { get; }

    public int VocabularySize { get; }

    public string TokenizerFingerprint { get; }

    public long Documents { get; }

    /// <summary>Encodes documents, each followed by the end-of-text token.</summary>
    public static void Write(string path, BytePairTokenizer tokenizer, IEnumerable<string> documents)
    {
        long count = 0;
        long tokens = 0;
        AtomicFile.Write(path, stream =>
        {
            var ids = new List<int>();
            foreach (string document in documents)
            {
                ids.Clear();
                tokenizer.Encode(Encoding.UTF8.GetBytes(document), ids);
                ids.Add(tokenizer.EndOfText);
                var bytes = new byte[2 * ids.Count];
                for (int i = 0; i < ids.Count; i++)
                {
                    BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i), (ushort)ids[i]);
                }

                stream.Write(bytes);
                count++;
                tokens += ids.Count;
            }
        });
        AtomicFile.WriteText(
            SidePath(path),
            JsonText.Write(new Description(CurrentFormatVersion, tokens, count, tokenizer.VocabularySize, tokenizer.Fingerprint)));
    }

    /// <param name="path">NAME.bin.</param>
    /// <param name="expected">The tokenizer whose tokens are wanted; null for any.</param>
    /// <exception cref="BadInputException">A file is missing or damaged, or the tokens are another tokenizer's.</exception>
    public static TokenFile Open(string path, BytePairTokenizer? expected = null)
    {
        string sidePath = SidePath(path);
        Description description = JsonText.ReadFile<Description>(sidePath);
        if (description.FormatVersion > CurrentFormatVersion)
        {
            throw new BadInputException($"{sidePath}: has format version {description.FormatVersion}, but this program reads up to {CurrentFormatVersion}. Use a newer program.");
        }

        if (expected is not null && description.TokenizerFingerprint != expected.Fingerprint)
        {
            throw new BadInputException($"{path}: was made by another tokenizer. Make it anew with 'sparsity corpus', or use the model and tokenizer it belongs to.");
        }

        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{path}: cannot be read ({e.Message}). Check the path.", e);
        }

        if (bytes.Length != 2 * description.Tokens)
        {
            throw new BadInputException($"{path}: has {bytes.Length} bytes, but its .json says {description.Tokens} tokens of 2 bytes. Make it anew.");
        }

        ushort[] tokens = MemoryMarshal.Cast<byte, ushort>(bytes).ToArray();
        if (!BitConverter.IsLittleEndian)
        {
            BinaryPrimitives.ReverseEndianness(tokens, tokens);
        }

        int index = Array.FindIndex(tokens, token => token >= description.VocabularySize);
        if (index >= 0)
        {
            throw new BadInputException($"{path}: token {index} is {tokens[index]}, outside the vocabulary of {description.VocabularySize}. Make it anew.");
        }

        return new TokenFile(tokens, description);
    }

    private static string SidePath(string path) => Path.ChangeExtension(path, ".json");

    private sealed record Description(int FormatVersion, long Tokens, long Documents, int VocabularySize, string TokenizerFingerprint);
}
