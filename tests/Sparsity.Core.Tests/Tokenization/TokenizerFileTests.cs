using System.Text.Json.Nodes;
using Sparsity.Core.Tests.Tasks;
using Sparsity.Core.Tokenization;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Tokenization;

public sealed class TokenizerFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private static readonly BytePairTokenizer Tokenizer = SyntheticTokenizers.Large;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(TokenizerFormat.Gpt2)]
    [InlineData(TokenizerFormat.HuggingFace)]
    public void BothFormatsReadBack(TokenizerFormat format)
    {
        Tokenizer.Save(_folder.Path, format);
        BytePairTokenizer copy = BytePairTokenizer.Load(_folder.Path);

        Assert.Equal(Tokenizer.Fingerprint, copy.Fingerprint);
        Assert.Equal(Tokenizer.Merges, copy.Merges);
        Assert.Equal(Tokenizer.VocabularySize, copy.VocabularySize);
        const string Code = "class A(B):\n    def f(self, x=None):\n        return self.x[0] + 'é' * 12345\n";
        Assert.Equal(Tokenizer.Encode(Code), copy.Encode(Code));
    }

    /// <summary>
    /// A vocabulary by hand: "ab", "bc", "abc" (from ab + c, and also a + bc, which other programs list first), " abc". The last is listed
    /// before it can be made.
    /// </summary>
    [Theory]
    [InlineData("""["a b", "b c", "a bc", "ab c", "Ġ abc"]""")]
    [InlineData("""[["a", "b"], ["b", "c"], ["ab", "c"], ["a", "bc"], ["Ġa", "bc"], ["Ġ", "abc"]]""")]
    public void MergesOfHuggingFaceAreReadInBothTheirForms(string merges)
    {
        Write(merges: merges);
        BytePairTokenizer tokenizer = BytePairTokenizer.Load(_folder.Path);

        Assert.Equal(261, tokenizer.VocabularySize);
        Assert.Equal(260, tokenizer.EndOfText);
        Assert.Equal([258], tokenizer.Encode("abc"));
        Assert.Equal([259, 256], [.. tokenizer.Encode(" abc"), .. tokenizer.Encode("ab")]);
    }

    [Theory]
    [InlineData("model", "{\"type\": \"WordPiece\", \"vocab\": {}}", "WordPiece")]
    [InlineData("model", "5", "has no model")]
    [InlineData("model", "{\"vocab\": {}}", "no list of merges")]
    [InlineData("model", "{\"merges\": [], \"vocab\": []}", "no vocabulary")]
    [InlineData("normalizer", "{\"type\": \"NFC\"}", "normalizes")]
    [InlineData("pre_tokenizer", "{\"type\": \"Whitespace\"}", "Whitespace")]
    [InlineData("pre_tokenizer", "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\w+\"}}", "in another way")]
    [InlineData("pre_tokenizer", "null", "does not split text")]
    [InlineData("pre_tokenizer", "{\"type\": \"ByteLevel\", \"add_prefix_space\": false}", "GPT-2's rule (ByteLevel, use_regex true)")]
    [InlineData("pre_tokenizer", "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}", "GPT-2's rule")]
    [InlineData("pre_tokenizer", "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}", "does not split text")]
    [InlineData("pre_tokenizer", "{\"type\": \"Sequence\", \"pretokenizers\": [5]}", "without a type")]
    [InlineData("normalizer", "{\"type\": \"Lowercase\"}", "normalizer Lowercase")]
    [InlineData("truncation", "{\"max_length\": 4}", "truncation")]
    [InlineData("padding", "{\"strategy\": {\"Fixed\": 8}}", "padding")]
    [InlineData("padding", "{\"strategy\": \"BatchLongest\", \"pad_to_multiple_of\": 8}", "padding")]
    [InlineData("post_processor", "{\"type\": \"RobertaProcessing\"}", "post_processor RobertaProcessing")]
    [InlineData(
        "post_processor",
        "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\"}, {\"type\": \"BertProcessing\"}]}",
        "post_processor Sequence"
    )]
    [InlineData(
        "post_processor",
        "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {}}, {\"Sequence\": {}}]}",
        "post_processor TemplateProcessing"
    )]
    [InlineData("decoder", "{\"type\": \"Metaspace\"}", "decoder Metaspace")]
    [InlineData("added_tokens", "[{\"id\": 261, \"content\": \"<pad>\"}]", "adds a token to text that is not special, id 261")]
    [InlineData("added_tokens", "[{\"id\": 261, \"content\": \"ab\", \"special\": true}]", "'ab' is a token of text, and special too")]
    [InlineData("added_tokens", "[{\"id\": 0, \"content\": \"<|endoftext|>\"}]", "has id 0, but special tokens come after")]
    [InlineData("added_tokens", "[{\"id\": 261, \"content\": \"<|endoftext|>\"}]", "has two ids")]
    [InlineData("added_tokens", "[{\"id\": 260, \"content\": \"<pad>\", \"special\": true}]", "which '<|endoftext|>' has too")]
    [InlineData("added_tokens", "[{\"id\": 2000000000, \"content\": \"<pad>\", \"special\": true}]", "to 65535")]
    [InlineData("added_tokens", "[5]", "without a content and an id")]
    public void OtherKindsOfTokenizersAreRefused(string field, string value, string expected)
    {
        JsonObject root = Write();
        root[field] = JsonNode.Parse(value);
        File.WriteAllText(_folder["tokenizer.json"], root.ToJsonString());

        Refused(expected);
    }

    [Theory]
    [InlineData("dropout", "0.1", "dropout is 0.1")]
    [InlineData("end_of_word_suffix", "\"</w>\"", "end_of_word_suffix")]
    [InlineData("continuing_subword_prefix", "\"##\"", "continuing_subword_prefix")]
    public void OtherModelsOfTheSameKindAreRefused(string field, string value, string expected)
    {
        JsonObject root = Write();
        root["model"]![field] = JsonNode.Parse(value);
        File.WriteAllText(_folder["tokenizer.json"], root.ToJsonString());

        Refused(expected);
    }

    /// <summary>Ways to say the same: how other converters write the split, and steps that change no id.</summary>
    [Theory]
    [InlineData("Isolated", false, true)]
    [InlineData("Isolated", true, true)]
    [InlineData("Removed", true, true)]
    [InlineData("Removed", false, false)]
    [InlineData("MergedWithPrevious", false, false)]
    [InlineData("Contiguous", false, false)]
    public void ASplitIsReadOnlyWhereItGivesTheSamePieces(string behavior, bool invert, bool isSame)
    {
        JsonObject root = Write(PreTokenScanner.Pattern, behavior, invert);
        root["post_processor"] = JsonNode.Parse("""{"type": "Sequence", "processors": [{"type": "ByteLevel", "trim_offsets": true}]}""");
        root["decoder"] = JsonNode.Parse("""{"type": "ByteLevel"}""");
        root["padding"] = JsonNode.Parse("""{"strategy": "BatchLongest"}""");
        root["model"]!["dropout"] = 0;
        root["model"]!["end_of_word_suffix"] = "";
        File.WriteAllText(_folder["tokenizer.json"], root.ToJsonString());
        if (isSame)
        {
            Assert.Equal([258], BytePairTokenizer.Load(_folder.Path).Encode("abc"));
        }
        else
        {
            Refused(behavior);
        }

        root["pre_tokenizer"]!["pretokenizers"]![1]!.AsObject().Remove("use_regex");
        File.WriteAllText(_folder["tokenizer.json"], root.ToJsonString());
        Refused(isSame ? "GPT-2's rule" : behavior); // a second split, which is the default there
    }

    [Theory]
    [InlineData("[\"a b c\"]", "merge 0: is no pair")]
    [InlineData("[5]", "merge 0: is no pair")]
    [InlineData("[[\"a\", 5]]", "merge 0: is no pair")]
    [InlineData("[\"a b\"]", "'bc' is no byte and nothing in its merges makes it")]
    [InlineData("[\"b c\", \"a b\", \"ab c\", \"Ġ abc\"]", "by its merges it is")]
    public void MergesThatDoNotMakeTheVocabularyAreRefused(string merges, string expected)
    {
        Write(merges: merges);

        Refused(expected);
    }

    /// <summary>"zzzz" in text is id 300 there, and would be four tokens here.</summary>
    [Fact]
    public void ATokenThatNoMergeMakesIsRefusedWhereTextMayHaveIt()
    {
        JsonObject root = Write();
        root["model"]!["ignore_merges"] = true;
        root["model"]!["vocab"]!["zzzz"] = 300;
        File.WriteAllText(_folder["tokenizer.json"], root.ToJsonString());
        Refused("id 300");

        root["model"]!["ignore_merges"] = false; // nothing makes it there either
        File.WriteAllText(_folder["tokenizer.json"], root.ToJsonString());
        Assert.Equal(4, BytePairTokenizer.Load(_folder.Path).Encode("zzzz").Length);
    }

    [Fact]
    public void AVocabularyWithGapsIsRefused()
    {
        JsonObject root = Write();
        root["model"]!["vocab"]!.AsObject().Remove("abc");
        File.WriteAllText(_folder["tokenizer.json"], root.ToJsonString());

        Refused("no token has id 258");
    }

    [Fact]
    public void GptFilesThatDoNotBelongTogetherAreRefused()
    {
        Refused("holds no tokenizer");
        Tokenizer.Save(_folder.Path);
        string encoder = File.ReadAllText(_folder["encoder.json"]);
        string[] merges = File.ReadAllLines(_folder["vocab.bpe"]);

        Put([.. merges[..5], "a b c", .. merges[6..]], "line 6: has 3 parts");
        Put([.. merges[..5], .. merges[6..]], "vocab.bpe");
        Put([.. merges, merges[^1]], "exists already");
        Put([.. merges[..1], .. merges[1..].Reverse()], "is no single byte");
        Put(merges[..^1], "encoder.json");
        File.WriteAllLines(_folder["vocab.bpe"], merges);
        File.WriteAllText(_folder["encoder.json"], encoder.Replace("\"!\": 0", "\"!\": 0.5", StringComparison.Ordinal));
        Refused("'!' has no id");
        File.Delete(_folder["encoder.json"]);
        Refused("encoder.json");

        void Put(string[] lines, string expected)
        {
            File.WriteAllLines(_folder["vocab.bpe"], lines);
            Refused(expected);
        }
    }

    private JsonObject Write(string pattern, string behavior, bool invert)
    {
        JsonObject root = Write();
        JsonNode split = root["pre_tokenizer"]!["pretokenizers"]![0]!;
        (split["pattern"]!["Regex"], split["behavior"], split["invert"]) = (pattern, behavior, invert);
        return root;
    }

    private JsonObject Write(string merges = """["a b", "b c", "ab c", "Ġ abc"]""")
    {
        var vocabulary = new JsonObject();
        for (int id = 0; id < 256; id++)
        {
            vocabulary.Add(ByteSymbols.ToText([ByteSymbols.ByteOf(id)]), id);
        }

        foreach (string token in new[] { "ab", "bc", "abc", "Ġabc", "<|endoftext|>" })
        {
            vocabulary.Add(token, vocabulary.Count);
        }

        var root = new JsonObject
        {
            ["added_tokens"] = new JsonArray(
                new JsonObject
                {
                    ["id"] = 260,
                    ["content"] = "<|endoftext|>",
                    ["special"] = true,
                }
            ),
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
                    new JsonObject
                    {
                        ["type"] = "ByteLevel",
                        ["add_prefix_space"] = false,
                        ["use_regex"] = false,
                    }
                ),
            },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = vocabulary,
                ["merges"] = JsonNode.Parse(merges),
            },
        };
        File.WriteAllText(_folder["tokenizer.json"], root.ToJsonString());
        return root;
    }

    private void Refused(string expected)
    {
        string message = Assert.Throws<BadInputException>(() => BytePairTokenizer.Load(_folder.Path)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.StartsWith(_folder.Path, message, StringComparison.Ordinal);
    }
}
