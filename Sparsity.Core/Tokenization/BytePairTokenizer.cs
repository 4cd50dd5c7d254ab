using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Storage;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// Byte-level byte pair encoding in the manner of GPT-2: every byte is a token, merges join two tokens to a third, the last token is the end-of-text mark.
/// Any bytes encode, and decode to the same bytes. Not safe for several threads at once: encoding keeps a cache.
/// </summary>
public sealed class BytePairTokenizer
{
    public const string EndOfTextName = "<|endoftext|>";

    private const int MostTokens = 65_536; // ids are stored as uint16
    private const int CacheLimit = 1 << 17;
    private const string VocabularyFile = "encoder.json";
    private const string MergesFile = "vocab.bpe";

    private readonly byte[][] _bytes;
    private readonly int[] _idOfByte = new int[256];
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> _ranks = [];
    private readonly Dictionary<string, int[]> _cache = [];
    private readonly Dictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> _cacheBySpan;

    /// <param name="merges">In rank order: ids of the parts, each below that of the token they make: 256 + rank.</param>
    public BytePairTokenizer(IReadOnlyList<(int Left, int Right)> merges)
        : this([.. merges.Select((merge, rank) => (merge.Left, merge.Right, 256 + rank))], [.. ByteAlphabet.Order])
    {
    }

    private BytePairTokenizer(IReadOnlyList<(int Left, int Right, int Id)> merges, byte[] bytesInIdOrder)
    {
        _cacheBySpan = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
        VocabularySize = 256 + merges.Count + 1;
        _bytes = new byte[VocabularySize][];
        for (int id = 0; id < 256; id++)
        {
            _bytes[id] = [bytesInIdOrder[id]];
            _idOfByte[bytesInIdOrder[id]] = id;
        }

        for (int rank = 0; rank < merges.Count; rank++)
        {
            (int left, int right, int id) = merges[rank];
            _bytes[id] = [.. _bytes[left], .. _bytes[right]];
            _ranks.TryAdd((left, right), (rank, id));
        }

        _bytes[EndOfText] = Encoding.UTF8.GetBytes(EndOfTextName);
        Merges = [.. merges.Select(merge => (merge.Left, merge.Right))];
        Fingerprint = ComputeFingerprint();
    }

    /// <summary>Tokens in all, the end-of-text mark included.</summary>
    public int VocabularySize { get; }

    /// <summary>The last id. Never made from text.</summary>
    public int EndOfText => VocabularySize - 1;

    /// <summary>Ids of the two parts, in rank order.</summary>
    public IReadOnlyList<(int Left, int Right)> Merges { get; }

    /// <summary>Hexadecimal SHA-256 over vocabulary and merges: tells whether tokens were made by this tokenizer.</summary>
    public string Fingerprint { get; }

    public int[] Encode(string text)
    {
        var ids = new List<int>();
        Encode(Encoding.UTF8.GetBytes(text), ids);
        return [.. ids];
    }

    /// <param name="utf8">Any bytes.</param>
    /// <param name="into">Tokens are appended here.</param>
    public void Encode(ReadOnlySpan<byte> utf8, List<int> into)
    {
        Span<char> key = stackalloc char[64];
        while (utf8.Length > 0)
        {
            int length = PreTokenizer.FirstLength(utf8);
            ReadOnlySpan<byte> word = utf8[..length];
            utf8 = utf8[length..];
            if (length > key.Length)
            {
                into.AddRange(Merge(word));
                continue;
            }

            Encoding.Latin1.GetChars(word, key);
            if (!_cacheBySpan.TryGetValue(key[..length], out int[]? ids))
            {
                ids = Merge(word);
                if (_cache.Count < CacheLimit)
                {
                    _cacheBySpan[key[..length]] = ids;
                }
            }

            into.AddRange(ids);
        }
    }

    /// <exception cref="BadInputException">An id is not in the vocabulary.</exception>
    public byte[] Decode(ReadOnlySpan<int> ids)
    {
        using var bytes = new MemoryStream();
        foreach (int id in ids)
        {
            bytes.Write(BytesOf(id));
        }

        return bytes.ToArray();
    }

    /// <summary>The same as text; what is no valid UTF-8 becomes the replacement character.</summary>
    public string DecodeText(ReadOnlySpan<int> ids) => Encoding.UTF8.GetString(Decode(ids));

    /// <summary>Whether the text is exactly one token.</summary>
    public bool TryGetSingleToken(string text, out int id)
    {
        int[] ids = Encode(text);
        id = ids.Length == 1 ? ids[0] : -1;
        return ids.Length == 1;
    }

    /// <summary>A token as text on one line: line breaks and other control characters escaped, bytes that are no text as \xNN.</summary>
    public string Describe(int id)
    {
        var text = new StringBuilder();
        ReadOnlySpan<byte> bytes = BytesOf(id);
        while (bytes.Length > 0)
        {
            bool valid = Rune.DecodeFromUtf8(bytes, out Rune rune, out int length) == System.Buffers.OperationStatus.Done;
            text.Append((valid, rune.Value) switch
            {
                (true, '\n') => "\\n",
                (true, '\r') => "\\r",
                (true, '\t') => "\\t",
                (true, '\\') => "\\\\",
                (true, < 32 or 127) => $"\\x{rune.Value:x2}",
                (true, _) => rune.ToString(),
                _ => string.Concat(bytes[..length].ToArray().Select(b => $"\\x{b:x2}")),
            });
            bytes = bytes[length..];
        }

        return text.ToString();
    }

    /// <summary>Writes encoder.json and vocab.bpe into a folder, which is created if need be.</summary>
    public void Save(string directory)
    {
        Directory.CreateDirectory(directory);
        var vocabulary = new JsonObject();
        for (int id = 0; id < VocabularySize; id++)
        {
            vocabulary[id == EndOfText ? EndOfTextName : ByteAlphabet.ToText(_bytes[id])] = id;
        }

        AtomicFile.WriteText(Path.Combine(directory, VocabularyFile), vocabulary.ToJsonString(JsonText.OneLine) + "\n");
        AtomicFile.WriteText(
            Path.Combine(directory, MergesFile),
            "#version: 0.2\n" + string.Concat(Merges.Select(merge => $"{ByteAlphabet.ToText(_bytes[merge.Left])} {ByteAlphabet.ToText(_bytes[merge.Right])}\n")));
    }

    /// <summary>Reads encoder.json and vocab.bpe, this program's or GPT-2 style ones such as tinypython_2k.</summary>
    /// <exception cref="BadInputException">A file is missing or damaged, or they do not fit each other.</exception>
    public static BytePairTokenizer Load(string directory)
    {
        string vocabularyPath = Path.Combine(directory, VocabularyFile);
        string mergesPath = Path.Combine(directory, MergesFile);
        Dictionary<string, int> ids = ReadVocabulary(vocabularyPath);
        if (!ids.TryGetValue(EndOfTextName, out int endOfText) || endOfText != ids.Count - 1)
        {
            throw new BadInputException($"{vocabularyPath}: {EndOfTextName} must be the last of its {ids.Count} tokens. Use a GPT-2 style byte-level vocabulary.");
        }

        var bytes = new byte[256];
        for (int b = 0; b < 256; b++)
        {
            if (!ids.TryGetValue(ByteAlphabet.ToText([(byte)b]), out int id) || id >= 256)
            {
                throw new BadInputException($"{vocabularyPath}: byte {b} is not among the tokens 0 to 255. Use a byte-level vocabulary.");
            }

            bytes[id] = (byte)b;
        }

        var merges = new List<(int, int, int)>();
        var made = new HashSet<int>(Enumerable.Range(0, 256));
        string[] lines = JsonText.ReadAllText(mergesPath).Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].TrimEnd('\r');
            if (line.Length == 0 || (i == 0 && line.StartsWith("#version", StringComparison.Ordinal)))
            {
                continue;
            }

            string[] parts = line.Split(' ');
            if (parts.Length != 2 || !ids.TryGetValue(parts[0], out int left) || !ids.TryGetValue(parts[1], out int right)
                || !made.Contains(left) || !made.Contains(right) || !ids.TryGetValue(parts[0] + parts[1], out int id) || !made.Add(id) || id == endOfText)
            {
                throw new BadInputException($"{mergesPath}: line {i + 1} is no merge of two earlier tokens to a new one of {VocabularyFile}. Check that the files belong together.");
            }

            merges.Add((left, right, id));
        }

        if (made.Count != ids.Count - 1)
        {
            throw new BadInputException($"{mergesPath}: makes {made.Count} tokens, but {VocabularyFile} has {ids.Count - 1} beside {EndOfTextName}. Check that the files belong together.");
        }

        return new BytePairTokenizer(merges, bytes);
    }

    private static Dictionary<string, int> ReadVocabulary(string path)
    {
        var ids = new Dictionary<string, int>();
        JsonObject json = JsonText.ParseObject(JsonText.ReadAllText(path), path);
        if (json.Count is < 257 or > MostTokens)
        {
            throw new BadInputException($"{path}: has {json.Count} tokens, but a tokenizer has 257 to {MostTokens}.");
        }

        var seen = new bool[json.Count];
        foreach ((string token, JsonNode? node) in json)
        {
            if (node?.GetValueKind() != JsonValueKind.Number || !node.AsValue().TryGetValue(out int id) || id < 0 || id >= seen.Length || seen[id])
            {
                throw new BadInputException($"{path}: the id of '{token}' is not a number of its own from 0 to {seen.Length - 1}.");
            }

            seen[id] = true;
            ids[token] = id;
        }

        return ids;
    }

    private byte[] BytesOf(int id) => id >= 0 && id < VocabularySize
        ? _bytes[id]
        : throw new BadInputException($"Token {id} is not in the vocabulary of {VocabularySize}. Use tokens of this tokenizer.");

    /// <summary>Joins, again and again, the neighbouring pair of lowest rank.</summary>
    private int[] Merge(ReadOnlySpan<byte> word)
    {
        var ids = new List<int>(word.Length);
        foreach (byte b in word)
        {
            ids.Add(_idOfByte[b]);
        }

        while (true)
        {
            (int Rank, int Id) best = (int.MaxValue, 0);
            for (int i = 0; i + 1 < ids.Count; i++)
            {
                if (_ranks.TryGetValue((ids[i], ids[i + 1]), out (int Rank, int Id) found) && found.Rank < best.Rank)
                {
                    best = found;
                }
            }

            if (best.Rank == int.MaxValue)
            {
                return [.. ids];
            }

            (int left, int right) = Merges[best.Rank];
            int kept = 0;
            for (int i = 0; i < ids.Count; i++)
            {
                bool joins = i + 1 < ids.Count && ids[i] == left && ids[i + 1] == right;
                ids[kept++] = joins ? best.Id : ids[i];
                i += joins ? 1 : 0;
            }

            ids.RemoveRange(kept, ids.Count - kept);
        }
    }

    private string ComputeFingerprint()
    {
        var text = new StringBuilder();
        foreach (byte[] token in _bytes)
        {
            text.Append(Convert.ToHexString(token)).Append('\n');
        }

        foreach ((int left, int right) in Merges)
        {
            text.Append(left).Append(' ').Append(right).Append('\n');
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(text.ToString())));
    }
}
