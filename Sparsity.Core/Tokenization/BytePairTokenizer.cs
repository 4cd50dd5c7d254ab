using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sparsity.Core.Tokenization;

/// <summary>Files that a tokenizer is written to.</summary>
public enum TokenizerFormat
{
    /// <summary>encoder.json + vocab.bpe.</summary>
    Gpt2,

    /// <summary>tokenizer.json.</summary>
    HuggingFace,
}

/// <summary>
/// Byte-level byte-pair encoding as in GPT-2: ids 0 to 255 are the single bytes in the order of GPT-2's files, then one id for each merge
/// in the order of its rank, then, with gaps or without, the special tokens. Every sequence of bytes, valid UTF-8 or not, comes back from
/// its ids exactly. Immutable; safe for several threads.
/// </summary>
internal sealed class BytePairTokenizer : TextTokenizer
{
    /// <summary>The special token that separates documents. None is ever produced from text, not even from its own name.</summary>
    public const string EndOfTextName = "<|endoftext|>";

    /// <summary>The longest token, in bytes, that a file may define or training makes.</summary>
    public const int MaximumTokenBytes = 512;

    private const int CacheSlots = 1 << 15;
    private const int CachedPieceBytes = 64;
    private readonly byte[][] _tokens;
    private readonly SortedDictionary<int, string> _specials;
    private readonly BytePairMerger _merger;
    private readonly Lazy<string> _fingerprint;

    // Each slot holds the latest piece whose hash fell there. Entries are immutable and replaced whole, so threads need no lock.
    private readonly CacheEntry?[] _cache = new CacheEntry?[CacheSlots];

    /// <param name="tokens">The bytes of every token that is not special, no two equal; the first 256 in the order of
    /// <see cref="ByteSymbols"/>.</param>
    /// <param name="merges">The two ids that token 256 + i was made of, both lower than it.</param>
    /// <param name="specials">Names of special tokens by id, above all others. The end of text gets the next id where it is not among
    /// them.</param>
    internal BytePairTokenizer(byte[][] tokens, (int Left, int Right)[] merges, IReadOnlyDictionary<int, string>? specials = null)
    {
        _tokens = tokens;
        _specials = new SortedDictionary<int, string>(specials?.ToDictionary() ?? []);
        if (!_specials.ContainsValue(EndOfTextName))
        {
            _specials.Add(Math.Max(tokens.Length - 1, _specials.Keys.LastOrDefault()) + 1, EndOfTextName);
        }

        EndOfText = _specials.First(special => special.Value == EndOfTextName).Key;
        VocabularySize = _specials.Keys.Last() + 1;
        _merger = new BytePairMerger(tokens);
        Merges = Array.AsReadOnly(merges);
        _fingerprint = new Lazy<string>(ComputeFingerprint);
    }

    /// <summary>Number of ids, special tokens and gaps included: the highest id plus 1.</summary>
    public override int VocabularySize { get; }

    /// <summary>The id of the end-of-text token, above those of all that are not special.</summary>
    public override int EndOfText { get; }

    /// <summary>Names of the special tokens by id, the end of text among them.</summary>
    public IReadOnlyDictionary<int, string> Specials => _specials;

    /// <summary>Number of tokens that are not special; their ids come first.</summary>
    internal int TextTokens => _tokens.Length;

    /// <summary>The two parts of token 256 + i, at i.</summary>
    public IReadOnlyList<(int Left, int Right)> Merges { get; }

    /// <summary>Whether opening brackets and quotes are tokens of their own, as <see cref="BytePairTrainer"/> can make them.</summary>
    public bool HasSeparateBrackets => Array.TrueForAll(_tokens, token => BytePairTrainer.KeepsBracketsSeparate(token));

    /// <summary>SHA-256 of the vocabulary, as 64 lower-case hexadecimal digits: equal if and only if text gets the same ids.</summary>
    public override string Fingerprint => _fingerprint.Value;

    /// <inheritdoc/>
    public override bool IsToken(int id) => (uint)id < (uint)_tokens.Length || _specials.ContainsKey(id);

    /// <summary>The ids of a text. An unpaired surrogate, which UTF-8 cannot express, counts as U+FFFD.</summary>
    public override int[] Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>((text.Length / 3) + 4);
        byte[] utf8 = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        try
        {
            Encode(utf8.AsSpan(0, Encoding.UTF8.GetBytes(text, utf8)), ids);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(utf8);
        }

        return [.. ids];
    }

    /// <summary>
    /// Adds the ids of <paramref name="utf8"/> to <paramref name="into"/>. Bytes that are no valid UTF-8 are kept as they are.
    /// </summary>
    public override void Encode(ReadOnlySpan<byte> utf8, List<int> into)
    {
        ArgumentNullException.ThrowIfNull(into);
        while (!utf8.IsEmpty)
        {
            int length = PreTokenScanner.NextLength(utf8);
            into.AddRange(IdsOfPiece(utf8[..length]));
            utf8 = utf8[length..];
        }
    }

    /// <summary>The bytes of these ids; special tokens give their names.</summary>
    /// <exception cref="BadInputException">An id is not of this vocabulary.</exception>
    public byte[] Decode(ReadOnlySpan<int> ids)
    {
        var bytes = new ArrayBufferWriter<byte>((ids.Length * 3) + 1);
        foreach (int id in ids)
        {
            bytes.Write(BytesOf(id));
        }

        return bytes.WrittenSpan.ToArray();
    }

    /// <summary>The text of these ids; bytes that are no valid UTF-8, such as half a character, show as U+FFFD.</summary>
    /// <inheritdoc cref="Decode" path="/exception"/>
    public override string DecodeText(ReadOnlySpan<int> ids) => Encoding.UTF8.GetString(Decode(ids));

    /// <inheritdoc/>
    public override string Describe(int id) =>
        (uint)id < (uint)_tokens.Length ? Quoted(_tokens[id])
        : _specials.TryGetValue(id, out string? name) ? name
        : Unknown(id);

    /// <summary>
    /// Writes <c>encoder.json</c> and <c>vocab.bpe</c>, as GPT-2 has them, or <c>tokenizer.json</c>, as Hugging Face has it, into
    /// <paramref name="directory"/>, which is made if missing.
    /// </summary>
    /// <exception cref="BadInputException">The files cannot be written.</exception>
    public override void Save(string directory, TokenizerFormat format = TokenizerFormat.Gpt2)
    {
        try
        {
            Directory.CreateDirectory(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BadInputException($"{directory}: the folder cannot be made ({e.Message}). Choose another one.", e);
        }

        if (format == TokenizerFormat.Gpt2)
        {
            BytePairFiles.Save(this, directory);
        }
        else
        {
            TokenizerJson.Save(this, directory);
        }
    }

    /// <summary>Reads <c>encoder.json</c> and <c>vocab.bpe</c>, or else <c>tokenizer.json</c>, from <paramref name="directory"/>.</summary>
    /// <exception cref="BadInputException">A file is missing or damaged, or is of a tokenizer of another kind.</exception>
    public static BytePairTokenizer Load(string directory) =>
        File.Exists(Path.Combine(directory, BytePairFiles.MergesName)) ? BytePairFiles.Load(directory)
        : File.Exists(Path.Combine(directory, TokenizerJson.FileName)) ? TokenizerJson.Load(directory)
        : throw new BadInputException(
            $"{directory}: holds no tokenizer; expected {BytePairFiles.EncoderName} and {BytePairFiles.MergesName}, or "
                + $"{TokenizerJson.FileName}. Check the path."
        );

    /// <exception cref="BadInputException">The id is not of this vocabulary.</exception>
    internal ReadOnlySpan<byte> BytesOf(int id) =>
        (uint)id < (uint)_tokens.Length ? _tokens[id]
        : _specials.TryGetValue(id, out string? name) ? Encoding.UTF8.GetBytes(name)
        : throw new BadInputException(
            $"Token id {id} is not in the vocabulary; expected 0 to {VocabularySize - 1}. Use the tokenizer the ids were made with."
        );

    private int[] IdsOfPiece(ReadOnlySpan<byte> piece)
    {
        if (piece.Length > CachedPieceBytes)
        {
            return _merger.Merge(piece);
        }

        ref CacheEntry? slot = ref _cache[ByteSequenceComparer.Hash(piece) & (CacheSlots - 1)];
        CacheEntry? entry = Volatile.Read(ref slot);
        if (entry is null || !piece.SequenceEqual(entry.Piece))
        {
            entry = new CacheEntry(piece.ToArray(), _merger.Merge(piece));
            Volatile.Write(ref slot, entry);
        }

        return entry.Ids;
    }

    private string ComputeFingerprint()
    {
        var text = new StringBuilder();
        foreach (byte[] token in _tokens)
        {
            text.Append(ByteSymbols.ToText(token)).Append('\n');
        }

        // No token has a space as the files write it, so lines with one cannot be mistaken for tokens.
        foreach ((int id, string name) in _specials)
        {
            _ =
                _specials.Count == 1 && id == _tokens.Length
                    ? text.Append(name).Append('\n')
                    : text.Append(CultureInfo.InvariantCulture, $"{id} {name}\n");
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    private sealed record CacheEntry(byte[] Piece, int[] Ids);
}
