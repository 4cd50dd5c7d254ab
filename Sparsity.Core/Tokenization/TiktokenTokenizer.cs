using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using MicrosoftTokenizers = Microsoft.ML.Tokenizers;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// A tiktoken file: each line a token's bytes in base64 and its rank. Such a file says neither how text is split nor which tokens are
/// special: its name does, so
/// only files of known names are read. Microsoft.ML.Tokenizers merges.
/// </summary>
internal sealed class TiktokenTokenizer : TextTokenizer
{
    internal const string Extension = ".tiktoken";

    private const string Gpt2Pattern = @"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>The files whose tokens fit 16 bits.</summary>
    private static readonly string[] KnownNames = ["gpt2", "r50k_base", "p50k_base"];

    private readonly byte[] _file;
    private readonly string _name;
    private readonly byte[]?[] _tokens;
    private readonly MicrosoftTokenizers.TiktokenTokenizer _merger;

    private TiktokenTokenizer(string path, byte[] file)
    {
        const int EndOfGpt2 = 50256;
        _file = file;
        _name = Path.GetFileName(path);
        if (!KnownNames.Contains(Path.GetFileNameWithoutExtension(path)))
        {
            throw new BadInputException(
                $"{path}: a tiktoken file does not say how text is split, and files of this name are not known; expected one of "
                    + $"{string.Join(", ", KnownNames.Select(name => name + Extension))}. "
                    + "Rename it if it splits text as those do, or use the tokenizer's tokenizer.json."
            );
        }

        Dictionary<int, byte[]> ranks = Ranks(path, file);
        EndOfText = ranks.ContainsKey(EndOfGpt2) ? ranks.Keys.Max() + 1 : Math.Min(EndOfGpt2, ranks.Keys.Max() + 1);
        int size = Math.Max(EndOfText, ranks.Keys.Max()) + 1;
        TokenizerFolder.RequireSize(path, size);
        _tokens = new byte[]?[size];
        foreach ((int rank, byte[] bytes) in ranks)
        {
            _tokens[rank] = bytes;
        }

        var split = new MicrosoftTokenizers.RegexPreTokenizer(
            new Regex(Gpt2Pattern, RegexOptions.Compiled | RegexOptions.CultureInvariant),
            null
        );
        _merger = MicrosoftTokenizers.TiktokenTokenizer.Create(new MemoryStream(file), split, normalizer: null);
        Fingerprint = Convert.ToHexStringLower(SHA256.HashData(file));
    }

    public override int VocabularySize => _tokens.Length;

    public override int EndOfText { get; }

    public override string Fingerprint { get; }

    /// <exception cref="BadInputException">The file is damaged, of a name that is not known, or has too many tokens.</exception>
    public static TiktokenTokenizer Load(string path) => new(path, TokenizerFolder.Read(path));

    public override bool IsToken(int id) => id == EndOfText || ((uint)id < (uint)_tokens.Length && _tokens[id] is not null);

    public override int[] Encode(string text) => [.. _merger.EncodeToIds(text)];

    public override string DecodeText(ReadOnlySpan<int> ids)
    {
        var bytes = new ArrayBufferWriter<byte>((ids.Length * 4) + 1);
        foreach (int id in ids)
        {
            RequireKnown(id);
            bytes.Write(id == EndOfText ? "<|endoftext|>"u8 : (ReadOnlySpan<byte>)_tokens[id]);
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    public override string Describe(int id) =>
        id == EndOfText ? BytePairTokenizer.EndOfTextName
        : IsToken(id) ? Quoted(_tokens[id])
        : Unknown(id);

    public override void Save(string directory, TokenizerFormat format = TokenizerFormat.Gpt2) =>
        TokenizerFolder.Write(directory, _name, _file);

    private static Dictionary<int, byte[]> Ranks(string path, byte[] file)
    {
        var ranks = new Dictionary<int, byte[]>();
        int number = 0;
        foreach (string line in Encoding.UTF8.GetString(file).Split('\n'))
        {
            number++;
            string[] parts = line.TrimEnd('\r').Split(' ');
            if (parts is [""])
            {
                continue;
            }

            byte[] bytes = new byte[parts[0].Length];
            if (
                parts.Length != 2
                || !Convert.TryFromBase64String(parts[0], bytes, out int length)
                || length == 0
                || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int rank)
                || !ranks.TryAdd(rank, bytes[..length])
            )
            {
                throw new BadInputException(
                    $"{path}, line {number}: expected a token in base64, a space, and a rank that no other line "
                        + "has. The file is damaged: get it again."
                );
            }
        }

        return ranks.Count > 0 ? ranks : throw new BadInputException($"{path}: holds no tokens. Get it again.");
    }
}
