using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tokenization;

/// <summary>
/// Hugging Face's <c>tokenizer.json</c> of a byte-level BPE. That format merges only the pairs it lists, while here, as in tiktoken, any
/// two neighbours whose bytes together are a token merge: so all pairs are listed on writing, and on reading the first counts whose parts
/// have lower ids.
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
            ["added_tokens"] = new JsonArray([
                .. tokenizer.Specials.Select(special => new JsonObject
                {
                    ["id"] = special.Key,
                    ["content"] = special.Value,
                    ["single_word"] = false,
                    ["lstrip"] = false,
                    ["rstrip"] = false,
                    ["normalized"] = false,
                    ["special"] = true,
                }),
            ]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject
                    {
                        ["type"] = "Split",
                        ["pattern"] = new JsonObject { ["Regex"] = PreTokenScanner.Pattern },
                        ["behavior"] = "Isolated",
                        ["invert"] = false,
                    },
                    ByteLevelStep()
                ),
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
        RequireOurSteps(root, model, path);
        var builder = new VocabularyBuilder();
        JsonArray merges = model["merges"] as JsonArray ?? throw Unsupported(path, "has no list of merges");
        for (int i = 0; i < merges.Count; i++)
        {
            string where = $"{path}: merge {i}";
            (string left, string right) =
                Pair(merges[i]) ?? throw new BadInputException($"{where}: is no pair of tokens. The file is damaged: get it again.");
            builder.Merge(left, right, where, isOneOfSeveral: true);
        }

        builder.CheckIds(model["vocab"] as JsonObject ?? throw Unsupported(path, "has no vocabulary"), path, "its merges");
        foreach (JsonNode? added in root["added_tokens"] as JsonArray ?? [])
        {
            if (
                added is not JsonObject token
                || Text(token["content"]) is not { } content
                || token["id"] is not JsonValue number
                || !number.TryGetValue(out int id)
            )
            {
                throw new BadInputException($"{path}: adds a token without a content and an id. The file is damaged: get it again.");
            }

            // Tokens that are not special are cut out of text before it is split.
            if (content != BytePairTokenizer.EndOfTextName && token["special"]?.GetValueKind() != JsonValueKind.True)
            {
                throw Unsupported(path, $"adds a token to text that is not special, id {id}");
            }

            builder.AddSpecial(content, id, path, "its merges");
        }

        BytePairTokenizer tokenizer = builder.Build();
        RequireNoWholePieces(tokenizer, root, model, path);
        return tokenizer;
    }

    /// <summary>
    /// With ignore_merges a piece of text that is in the vocabulary is that token, also where no merge makes it: here it would be other
    /// tokens.
    /// </summary>
    private static void RequireNoWholePieces(BytePairTokenizer tokenizer, JsonObject root, JsonObject model, string path)
    {
        if (model["ignore_merges"]?.GetValueKind() != JsonValueKind.True)
        {
            return;
        }

        HashSet<string> added =
        [
            .. (root["added_tokens"] as JsonArray ?? []).OfType<JsonObject>().Select(token => Text(token["content"]) ?? ""),
        ];
        foreach ((int id, string name) in tokenizer.Specials)
        {
            if (
                !added.Contains(name)
                && ByteSymbols.TryToBytes(name, out byte[]? bytes)
                && PreTokenScanner.NextLength(bytes) == bytes.Length
            )
            {
                throw Unsupported(path, $"has a token that no merge makes and that is not among its added_tokens, id {id}");
            }
        }
    }

    private static JsonObject ByteLevelStep() =>
        new()
        {
            ["type"] = ByteLevel,
            ["add_prefix_space"] = false,
            ["trim_offsets"] = false,
            ["use_regex"] = false,
        };

    private static IEnumerable<string> Merges(BytePairTokenizer tokenizer, JsonObject vocabulary)
    {
        for (int id = 256; id < tokenizer.TextTokens; id++)
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
    private static (string Left, string Right)? Pair(JsonNode? merge) =>
        merge switch
        {
            JsonArray { Count: 2 } pair when Text(pair[0]) is { } left && Text(pair[1]) is { } right => (left, right),
            JsonValue when Text(merge)?.Split(' ') is [var left, var right] => (left, right),
            _ => null,
        };

    /// <summary>Checks every step from text to ids: what is not known to give the same ids as here is refused by its name.</summary>
    private static void RequireOurSteps(JsonObject root, JsonObject model, string path)
    {
        if (Text(model["type"]) is { } kind && kind != ModelKind)
        {
            throw Unsupported(path, $"is of type {kind}, expected {ModelKind}");
        }

        foreach (string field in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
        {
            if (model[field] is { } mark && Text(mark) != "")
            {
                throw Unsupported(path, $"marks parts of words ({field} is {mark.ToJsonString()})");
            }
        }

        if (model["dropout"] is { } dropout && !(dropout is JsonValue share && share.TryGetValue(out double value) && value == 0))
        {
            throw Unsupported(path, $"leaves out merges at random (dropout is {dropout.ToJsonString()})");
        }

        if (root["normalizer"] is { } normalizer)
        {
            throw Unsupported(path, $"normalizes text before it is split (normalizer {KindOf(normalizer)})");
        }

        if (root["truncation"] is not null)
        {
            throw Unsupported(path, "cuts off long text (truncation)");
        }

        if (
            root["padding"] is { } padding
            && (Text((padding as JsonObject)?["strategy"]) != "BatchLongest" || (padding as JsonObject)?["pad_to_multiple_of"] is not null)
        )
        {
            throw Unsupported(path, "adds tokens to short text (padding)");
        }

        if (root["post_processor"] is { } processor && !AddsNothing(processor))
        {
            throw Unsupported(path, $"may add tokens to text (post_processor {KindOf(processor)})");
        }

        if (root["decoder"] is { } decoder && !(Steps(decoder, "decoders") is [{ } only] && KindOf(only) == ByteLevel))
        {
            throw Unsupported(path, $"turns tokens into text in another way (decoder {KindOf(decoder)})");
        }

        RequireOurSplit(root["pre_tokenizer"], path);
    }

    /// <summary>Text is split here by one pattern, and then its bytes are written as symbols.</summary>
    private static void RequireOurSplit(JsonNode? node, string path)
    {
        const string Advice = $"; this program splits by {PreTokenScanner.Pattern}";
        switch (Steps(node, "pretokenizers"))
        {
            case []:
                throw Unsupported(path, "does not split text (no pre_tokenizer)" + Advice);
            case [{ } split, { } bytes] when KindOf(split) == "Split" && KindOf(bytes) == ByteLevel:
                bool isEach =
                    (Text(split["behavior"]), split["invert"]?.GetValueKind() == JsonValueKind.True)
                    is
                        ("Isolated", _)
                        or
                        ("Removed", true);
                if (Text((split["pattern"] as JsonObject)?["Regex"]) != PreTokenScanner.Pattern || !isEach)
                {
                    string step = split.ToJsonString(JsonText.OneLine);
                    throw Unsupported(path, $"splits text in another way ({(step.Length <= 200 ? step : step[..200] + "...")})" + Advice);
                }

                RequireBytesOnly(bytes);
                break;
            case [{ } single] when KindOf(single) == ByteLevel:
                RequireBytesOnly(single);
                throw Unsupported(path, $"does not split text ({ByteLevel} without its regex)" + Advice);
            case var steps:
                throw Unsupported(path, $"splits text in another way ({string.Join(", ", steps.Select(KindOf))})" + Advice);
        }

        // A field that is left out counts as true for the programs that read these files.
        void RequireBytesOnly(JsonNode step)
        {
            foreach (
                (string field, string what) in new[]
                {
                    ("use_regex", "splits text in another way, by GPT-2's rule"),
                    ("add_prefix_space", "adds a space before text"),
                }
            )
            {
                if (step[field]?.GetValueKind() != JsonValueKind.False)
                {
                    throw Unsupported(path, $"{what} ({ByteLevel}, {field} {step[field]?.ToJsonString() ?? "true"})" + Advice);
                }
            }
        }
    }

    /// <summary>ByteLevel changes only where tokens are said to lie; a template may do without special tokens.</summary>
    private static bool AddsNothing(JsonNode processor) =>
        KindOf(processor) switch
        {
            ByteLevel => true,
            "Sequence" => Steps(processor, "processors").All(step => step is not null && AddsNothing(step)),
            "TemplateProcessing" => processor["single"] is JsonArray { Count: 1 } single
                && (single[0] as JsonObject)?.ContainsKey("Sequence") == true,
            _ => false,
        };

    /// <summary>The steps of a sequence, or the one step that it is; none for null.</summary>
    private static JsonNode?[] Steps(JsonNode? node, string listName) =>
        node is null ? []
        : KindOf(node) == "Sequence" ? [.. (node as JsonObject)?[listName] as JsonArray ?? []]
        : [node];

    private static string KindOf(JsonNode? step) => Text((step as JsonObject)?["type"]) ?? "without a type";

    private static string? Text(JsonNode? node) => node?.GetValueKind() == JsonValueKind.String ? node.GetValue<string>() : null;

    private static BadInputException Unsupported(string path, string what) =>
        new(
            $"{path}: {what}. Give the {FileName} of a byte-level BPE like tinypython_2k, or its {BytePairFiles.EncoderName} and "
                + $"{BytePairFiles.MergesName}."
        );
}
