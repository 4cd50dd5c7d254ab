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
    /// A vocabulary by hand: "ab", "bc", "abc" (from ab + c, and also a + bc, which other programs list first), " abc". The last is listed before it can be made.
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
    [InlineData("pre_tokenizer", "{\"type\": \"ByteLevel\", \"add_prefix_space\": true}", "in another way")]
    [InlineData("pre_tokenizer", "{\"type\": \"Sequence\", \"pretokenizers\": [5]}", "without a type")]
    [InlineData("added_tokens", "[{\"id\": 260, \"content\": \"<pad>\"}]", "adds tokens")]
    [InlineData("added_tokens", "[{\"id\": 0, \"content\": \"<|endoftext|>\"}]", "adds tokens")]
    [InlineData("added_tokens", "[5]", "adds tokens")]
    public void OtherKindsOfTokenizersAreRefused(string field, string value, string expected)
    {
        JsonObject root = Write();
        root[field] = JsonNode.Parse(value);
        File.WriteAllText(_folder["tokenizer.json"], root.ToJsonString());

        Refused(expected);
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

        Put(merges[1..], "line 1");
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
            ["added_tokens"] = new JsonArray(new JsonObject { ["id"] = 260, ["content"] = "<|endoftext|>", ["special"] = true }),
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = JsonNode.Parse(merges) },
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
