using System.Text;
using System.Text.Json.Nodes;
using Sparsity.Core.Storage;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// GPT-2's two files: <c>vocab.bpe</c>, a version line and then the two parts of each merge in the order of ranks, and <c>encoder.json</c>, the id of each token.
/// The second follows from the first and is checked against it; it may leave out the end of text.
/// </summary>
internal static class BytePairFiles
{
    private const string EncoderName = "encoder.json";
    private const string MergesName = "vocab.bpe";
    private const string VersionLine = "#version: 0.2";

    public static void Save(BytePairTokenizer tokenizer, string directory)
    {
        try
        {
            Directory.CreateDirectory(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BadInputException($"{directory}: the folder cannot be made ({e.Message.ReplaceLineEndings(" ")}). Choose another one.", e);
        }

        var encoder = new JsonObject();
        for (int id = 0; id < tokenizer.EndOfText; id++)
        {
            encoder.Add(ByteSymbols.ToText(tokenizer.BytesOf(id)), id);
        }

        encoder.Add(BytePairTokenizer.EndOfTextName, tokenizer.EndOfText);
        var merges = new StringBuilder(VersionLine).Append('\n');
        foreach ((int left, int right) in tokenizer.Merges)
        {
            merges.Append(ByteSymbols.ToText(tokenizer.BytesOf(left))).Append(' ').Append(ByteSymbols.ToText(tokenizer.BytesOf(right))).Append('\n');
        }

        AtomicFile.WriteText(Path.Combine(directory, MergesName), merges.ToString());
        AtomicFile.WriteText(Path.Combine(directory, EncoderName), JsonText.Write(encoder));
    }

    public static BytePairTokenizer Load(string directory)
    {
        string mergesPath = Existing(directory, MergesName);
        string encoderPath = Existing(directory, EncoderName);
        var tokens = new List<byte[]>();
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int id = 0; id < 256; id++)
        {
            tokens.Add([ByteSymbols.ByteOf(id)]);
            ids.Add(ByteSymbols.ToText(tokens[id]), id);
        }

        var merges = ReadMerges(mergesPath, tokens, ids);
        CheckEncoder(encoderPath, ids);
        return new BytePairTokenizer([.. tokens], merges);
    }

    private static string Existing(string directory, string name)
    {
        string path = Path.Combine(directory, name);
        return File.Exists(path) ? path
            : throw new BadInputException($"{path}: not found. A tokenizer is a folder with {EncoderName} and {MergesName}; check the path.");
    }

    private static (int Left, int Right)[] ReadMerges(string path, List<byte[]> tokens, Dictionary<string, int> ids)
    {
        string[] lines = JsonText.ReadAllText(path).Split('\n');
        if (!lines[0].StartsWith("#version:", StringComparison.Ordinal))
        {
            throw new BadInputException($"{path}, line 1: expected '{VersionLine}'. Give the {MergesName} of a GPT-2 style tokenizer.");
        }

        int count = lines.Length;
        while (count > 1 && lines[count - 1].Trim('\r').Length == 0)
        {
            count--;
        }

        var merges = new (int Left, int Right)[count - 1];
        for (int line = 1; line < count; line++)
        {
            string where = $"{path}, line {line + 1}";
            string[] parts = lines[line].TrimEnd('\r').Split(' ');
            if (parts.Length != 2)
            {
                throw new BadInputException($"{where}: has {parts.Length} parts, expected two with one space between. The file is damaged: get it again.");
            }

            merges[line - 1] = (Part(parts[0], where, ids), Part(parts[1], where, ids));
            string whole = parts[0] + parts[1];
            if (whole.Length > BytePairTokenizer.MaximumTokenBytes)
            {
                throw new BadInputException($"{where}: a token of {whole.Length} bytes; at most {BytePairTokenizer.MaximumTokenBytes} are supported.");
            }

            if (whole == BytePairTokenizer.EndOfTextName || !ByteSymbols.TryToBytes(whole, out byte[]? bytes) || !ids.TryAdd(whole, tokens.Count))
            {
                throw new BadInputException($"{where}: makes a token that exists already. The file is damaged: get it again.");
            }

            tokens.Add(bytes);
        }

        return merges;
    }

    private static int Part(string part, string where, Dictionary<string, int> ids) =>
        ids.TryGetValue(part, out int id) ? id
            : throw new BadInputException($"{where}: '{Shorten(part)}' is no single byte and no earlier line makes it. The file is damaged: get it again.");

    private static void CheckEncoder(string path, Dictionary<string, int> expected)
    {
        JsonObject encoder = JsonText.ParseObject(JsonText.ReadAllText(path), path);
        var tokenOfId = new Dictionary<int, string>();
        foreach ((string token, JsonNode? value) in encoder)
        {
            string where = $"{path}: '{Shorten(token)}'";
            if (value is not JsonValue number || !number.TryGetValue(out int id) || id < 0)
            {
                throw new BadInputException($"{where} has no id that is a whole number from 0. The file is damaged: get it again.");
            }

            if (!tokenOfId.TryAdd(id, token))
            {
                throw new BadInputException($"{where} has id {id}, which '{Shorten(tokenOfId[id])}' has too. The file is damaged: get it again.");
            }

            int right = token == BytePairTokenizer.EndOfTextName ? expected.Count
                : expected.TryGetValue(token, out int found) ? found
                : throw new BadInputException($"{where} is no byte and no line of {MergesName} makes it. Take both files from the same tokenizer.");
            if (id != right)
            {
                throw new BadInputException($"{where} has id {id}, but by {MergesName} it is {right}. Take both files from the same tokenizer.");
            }
        }

        foreach ((string token, int id) in expected)
        {
            if (!tokenOfId.ContainsKey(id))
            {
                throw new BadInputException($"{path}: no token has id {id}; by {MergesName} it is '{Shorten(token)}'. Take both files from the same tokenizer.");
            }
        }
    }

    private static string Shorten(string text) =>
        string.Concat((text.Length <= 40 ? text : text[..40] + "...").Select(c => char.IsControl(c) || char.IsSurrogate(c) || c is '\u2028' or '\u2029' ? '?' : c));
}
