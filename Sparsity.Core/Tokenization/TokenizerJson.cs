using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Storage;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// Hugging Face's <c>tokenizer.json</c> of a byte-level BPE. That format merges only the pairs it lists, while here, as in tiktoken, any two neighbours whose
/// bytes together are a token merge: so all pairs are listed on writing, and on reading the first counts whose parts have lower ids.
/// </summary>
internal static class TokenizerJson
{
    public const string FileName = "tokenizer.json";
    private const string ModelKind = "BPE";
    private const string ByteLevel = "ByteLevel";

    public static void Save(BytePairTokenizer tokenizer, string directory)
    {
        JsonObject vocabulary = BytePairFiles.Vocabulary(tokenizer);
        var root = new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray(new JsonObject
            {
                ["id"] = tokenizer.EndOfText,
                ["content"] = BytePairTokenizer.EndOfTextName,
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = true,
            }),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = PreTokenScanner.Pattern }, ["behavior"] = "Isolated", ["invert"] = false },
                    ByteLevelStep()),
            },
            ["post_processor"] = null,
            ["decoder"] = ByteLevelStep(),
            ["model"] = new JsonObject
            {
                ["type"] = ModelKind,
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["ignore_merges"] = true, // a piece that is a token is that token, as in tiktoken
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. Merges(tokenizer, vocabulary).Select(merge => (JsonNode)merge)]),
            },
        };
        AtomicFile.WriteText(Path.Combine(directory, FileName), JsonText.Write(root));
    }

    public static BytePairTokenizer Load(string directory)
    {
        string path = Path.Combine(directory, FileName);
        JsonObject root = JsonText.ParseObject(JsonText.ReadAllText(path), path);
        JsonObject model = root["model"] as JsonObject ?? throw Unsupported(path, "has no model");
        if (Text(model["type"]) is { } kind && kind != ModelKind)
        {
            throw Unsupported(path, $"is of type {kind}, expected {ModelKind}");
        }

        if (root["normalizer"] is not null)
        {
            throw Unsupported(path, "normalizes text before it is split");
        }

        CheckSplit(root["pre_tokenizer"], path);
        var builder = new VocabularyBuilder();
        JsonArray merges = model["merges"] as JsonArray ?? throw Unsupported(path, "has no list of merges");
        for (int i = 0; i < merges.Count; i++)
        {
            string where = $"{path}: merge {i}";
            (string left, string right) = Pair(merges[i]) ?? throw new BadInputException($"{where}: is no pair of tokens. The file is damaged: get it again.");
            builder.Merge(left, right, where, isOneOfSeveral: true);
        }

        builder.CheckIds(model["vocab"] as JsonObject ?? throw Unsupported(path, "has no vocabulary"), path, "its merges");
        BytePairTokenizer tokenizer = builder.Build();
        foreach (JsonNode? added in root["added_tokens"] as JsonArray ?? [])
        {
            if (added is not JsonObject token || Text(token["content"]) != BytePairTokenizer.EndOfTextName || token["id"] is not JsonValue number || !number.TryGetValue(out int id) || id != tokenizer.EndOfText)
            {
                throw Unsupported(path, $"adds tokens other than {BytePairTokenizer.EndOfTextName} at the end, id {tokenizer.EndOfText}");
            }
        }

        return tokenizer;
    }

    private static JsonObject ByteLevelStep() => new() { ["type"] = ByteLevel, ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false };

    private static IEnumerable<string> Merges(BytePairTokenizer tokenizer, JsonObject vocabulary)
    {
        for (int id = 256; id < tokenizer.EndOfText; id++)
        {
            string whole = ByteSymbols.ToText(tokenizer.BytesOf(id));
            int first = tokenizer.BytesOf(tokenizer.Merges[id - 256].Left).Length;
            yield return $"{whole[..first]} {whole[first..]}";
            for (int cut = 1; cut < whole.Length; cut++)
            {
                if (cut != first && vocabulary.ContainsKey(whole[..cut]) && vocabulary.ContainsKey(whole[cut..]))
                {
                    yield return $"{whole[..cut]} {whole[cut..]}";
                }
            }
        }
    }

    /// <summary>Older files have "LEFT RIGHT", newer ones ["LEFT", "RIGHT"].</summary>
    private static (string Left, string Right)? Pair(JsonNode? merge) => merge switch
    {
        JsonArray { Count: 2 } pair when Text(pair[0]) is { } left && Text(pair[1]) is { } right => (left, right),
        JsonValue when Text(merge)?.Split(' ') is [var left, var right] => (left, right),
        _ => null,
    };

    /// <summary>Text is split here by one pattern. Files that name none, or leave it to the byte-level step, are taken as vocabularies for it.</summary>
    private static void CheckSplit(JsonNode? node, string path)
    {
        JsonArray steps = node is JsonObject sequence && Text(sequence["type"]) == "Sequence" ? sequence["pretokenizers"] as JsonArray ?? [] : node is null ? [] : [node.DeepClone()];
        foreach (JsonNode? step in steps)
        {
            string? kind = Text((step as JsonObject)?["type"]);
            bool isKnown = kind switch
            {
                ByteLevel => step!["add_prefix_space"]?.GetValueKind() != JsonValueKind.True,
                "Split" => Text((step!["pattern"] as JsonObject)?["Regex"]) == PreTokenScanner.Pattern && step["invert"]?.GetValueKind() != JsonValueKind.True,
                _ => false,
            };
            if (!isKnown)
            {
                throw Unsupported(path, $"splits text in another way than by {PreTokenScanner.Pattern} ({kind ?? "a step without a type"})");
            }
        }
    }

    private static string? Text(JsonNode? node) => node?.GetValueKind() == JsonValueKind.String ? node.GetValue<string>() : null;

    private static BadInputException Unsupported(string path, string what) =>
        new($"{path}: {what}. Give the {FileName} of a byte-level BPE like tinypython_2k, or its {BytePairFiles.EncoderName} and {BytePairFiles.MergesName}.");
}
