using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Files;
using MicrosoftTokenizers = Microsoft.ML.Tokenizers;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// WordPiece as Hugging Face's <c>tokenizer.json</c> has it: text is normalised, split into words (<see cref="WordSplit"/>), and each word
/// is cut into the longest
/// pieces of the vocabulary; a word that cannot be cut is one unknown token. Microsoft.ML.Tokenizers cuts the words; its own normalisers
/// and splits give other ids
/// than Hugging Face's, so those are here. Names of special tokens in text give their ids, as there; the post-processor is left out, which
/// only adds special tokens.
/// </summary>
internal sealed class WordPieceTokenizer : TextTokenizer
{
    private const string ModelKind = "WordPiece";

    /// <summary>Names of the end of text, where no post-processor says it.</summary>
    private static readonly string[] EndNames = ["[EOS]", "<|endoftext|>", "</s>", "<eos>", "[SEP]"];

    private readonly byte[] _file;
    private readonly string[] _tokens;
    private readonly (string Name, int Id)[] _added;
    private readonly Func<string, string> _normalise;
    private readonly MicrosoftTokenizers.WordPieceTokenizer _words;
    private readonly string _prefix;
    private readonly bool _cleansUp;

    private WordPieceTokenizer(string path, byte[] file, JsonObject root)
    {
        _file = file;
        JsonObject model = Object(root["model"], path, "model");
        _tokens = Vocabulary(model, path);
        TokenizerFolder.RequireSize(path, _tokens.Length);
        _added = Added(root, _tokens, path);
        _normalise = TextNormaliser.Read(root["normalizer"], path);
        _prefix = Text(model["continuing_subword_prefix"]) ?? throw Unsupported(path, "has no continuing_subword_prefix");
        string unknown = Text(model["unk_token"]) ?? "";
        int longest =
            model["max_input_chars_per_word"] is JsonValue number && number.TryGetValue(out int value) && value > 0
                ? value
                : throw Unsupported(path, "has no max_input_chars_per_word");
        EndOfText = EndId(root, path);
        var lines = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', _tokens)));
        if (!_tokens.Contains(unknown) || Array.Exists(_tokens, token => token.AsSpan().ContainsAny('\r', '\n') || token.Length == 0))
        {
            throw Unsupported(path, $"has no token for its unk_token '{unknown}', or a token with a line break in it");
        }

        _words = MicrosoftTokenizers.WordPieceTokenizer.Create(
            lines,
            new MicrosoftTokenizers.WordPieceOptions
            {
                PreTokenizer = new WordSplit(root["pre_tokenizer"], path),
                UnknownToken = unknown,
                ContinuingSubwordPrefix = _prefix,
                MaxInputCharsPerWord = longest,
            }
        );
        _cleansUp = root["decoder"]?["cleanup"]?.GetValueKind() != JsonValueKind.False;
        var decisive = new JsonArray(
            new[] { "added_tokens", "normalizer", "pre_tokenizer", "model" }.Select(name => root[name]?.DeepClone()).ToArray()
        );
        Fingerprint = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(decisive.ToJsonString(JsonText.OneLine))));
    }

    public override int VocabularySize => _tokens.Length;

    public override int EndOfText { get; }

    public override string Fingerprint { get; }

    /// <summary>Whether a tokenizer.json is of this kind.</summary>
    public static bool IsOne(string path) =>
        Text((JsonText.ParseObject(JsonText.ReadAllText(path), path)["model"] as JsonObject)?["type"]) == ModelKind;

    /// <summary>Reads tokenizer.json.</summary>
    /// <exception cref="BadInputException">It is damaged, or has a step that this program does not know to do right; the step is
    /// named.</exception>
    public static WordPieceTokenizer Load(string path)
    {
        byte[] file = TokenizerFolder.Read(path);
        return new WordPieceTokenizer(path, file, JsonText.ParseObject(Encoding.UTF8.GetString(file), path));
    }

    public override int[] Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>((text.Length / 4) + 4);
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            foreach ((string name, int id) in _added)
            {
                if (text.AsSpan(i).StartsWith(name, StringComparison.Ordinal))
                {
                    AddWords(text[start..i]);
                    ids.Add(id);
                    start = i + name.Length;
                    i = start - 1;
                    break;
                }
            }
        }

        AddWords(start == 0 ? text : text[start..]);
        return [.. ids];

        void AddWords(string part)
        {
            if (part.Length > 0)
            {
                ids.AddRange(_words.EncodeToIds(_normalise(part), considerPreTokenization: true, considerNormalization: false));
            }
        }
    }

    public override string DecodeText(ReadOnlySpan<int> ids)
    {
        var text = new StringBuilder();
        foreach (int id in ids)
        {
            RequireKnown(id);
            string token = _tokens[id];
            string piece =
                text.Length == 0 ? token
                : token.StartsWith(_prefix, StringComparison.Ordinal) ? token[_prefix.Length..]
                : " " + token;
            text.Append(_cleansUp && piece is [' ', '.' or '?' or '!' or ',', ..] ? piece[1..] : piece);
        }

        return text.ToString();
    }

    public override string Describe(int id) =>
        !IsToken(id) ? Unknown(id)
        : Array.Exists(_added, token => token.Id == id) ? _tokens[id]
        : Quoted(_tokens[id]);

    public override void Save(string directory, TokenizerFormat format = TokenizerFormat.Gpt2) =>
        TokenizerFolder.Write(directory, TokenizerJson.FileName, _file);

    private static string[] Vocabulary(JsonObject model, string path)
    {
        JsonObject vocabulary = Object(model["vocab"], path, "model.vocab");
        var tokens = new string[vocabulary.Count];
        foreach ((string token, JsonNode? value) in vocabulary)
        {
            if (
                value is not JsonValue number
                || !number.TryGetValue(out int id)
                || (uint)id >= (uint)tokens.Length
                || tokens[id] is not null
            )
            {
                throw Unsupported(path, $"gives '{token}' an id that is not 0 to {tokens.Length - 1}, or that another token has too");
            }

            tokens[id] = token;
        }

        return tokens;
    }

    /// <summary>The special tokens, longest first.</summary>
    private static (string Name, int Id)[] Added(JsonObject root, string[] tokens, string path)
    {
        var added = new List<(string, int)>();
        foreach (JsonNode? node in root["added_tokens"] as JsonArray ?? [])
        {
            string name = Text(node?["content"]) ?? throw Unsupported(path, "has an added token without content");
            int id = node!["id"] is JsonValue number && number.TryGetValue(out int value) ? value : -1;
            if ((uint)id >= (uint)tokens.Length || tokens[id] != name)
            {
                throw Unsupported(path, $"adds the token '{name}' with an id that its vocabulary does not give it");
            }

            foreach (string flag in new[] { "single_word", "lstrip", "rstrip", "normalized" })
            {
                if (node[flag]?.GetValueKind() == JsonValueKind.True)
                {
                    throw Unsupported(path, $"adds the token '{name}' with {flag}");
                }
            }

            added.Add((name, id));
        }

        return [.. added.OrderByDescending(token => token.Item1.Length)];
    }

    /// <summary>The token that the post-processor puts behind a text, or else one that is usually called so.</summary>
    private int EndId(JsonObject root, string path)
    {
        string? last = Text(((root["post_processor"]?["single"] as JsonArray)?.LastOrDefault() as JsonObject)?["SpecialToken"]?["id"]);
        string name =
            EndNames
                .Prepend(last)
                .FirstOrDefault(candidate => candidate is not null && Array.Exists(_added, token => token.Name == candidate))
            ?? throw Unsupported(
                path,
                $"names no token for the end of a text; expected a post_processor that adds one, or one of "
                    + $"{string.Join(", ", EndNames)} among added_tokens"
            );
        return Array.Find(_added, token => token.Name == name).Id;
    }

    private static JsonObject Object(JsonNode? node, string path, string name) =>
        node as JsonObject ?? throw Unsupported(path, $"has no {name}");

    private static string? Text(JsonNode? node) => node?.GetValueKind() == JsonValueKind.String ? node.GetValue<string>() : null;

    private static BadInputException Unsupported(string path, string what) =>
        new($"{path}: {what}. Use a WordPiece tokenizer of another " + "file, or report this one.");
}
