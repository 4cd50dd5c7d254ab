using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Tokenization;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Tokenization;

/// <summary>The tokenizer of the replication's models, against ids that Hugging Face's own library gave (fixtures/replication).</summary>
public sealed class WordPieceTests : IDisposable
{
    private static readonly string Folder = Path.Combine(Path.GetDirectoryName(OfficialFixture.Root)!, "replication", "tokenizer");

    private readonly TemporaryFolder _folder = new();

    /// <summary>vectors.json here and in the folder that SPARSITY_FIXTURES names.</summary>
    public static TheoryData<string> Folders => [.. new[] { Folder, Further }.OfType<string>().Where(Directory.Exists)];

    private static string? Further =>
        Environment.GetEnvironmentVariable("SPARSITY_FIXTURES") is { Length: > 0 } root
            ? Path.Combine(root, "replication", "tokenizer")
            : null;

    [Theory]
    [MemberData(nameof(Folders))]
    [Trait("Category", "OfficialParity")]
    public void IdsAreThoseOfHuggingFace(string folder)
    {
        TextTokenizer tokenizer = TokenizerFolder.Load(File.Exists(Path.Combine(folder, "tokenizer.json")) ? folder : Folder);
        JsonElement vectors = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "vectors.json"))).RootElement.GetProperty("vectors");
        Assert.NotEqual(0, vectors.GetArrayLength());
        foreach (JsonElement vector in vectors.EnumerateArray())
        {
            string text = vector.GetProperty("text").GetString()!;
            int[] expected = [.. vector.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Assert.True(
                expected.SequenceEqual(tokenizer.Encode(text)),
                $"{text}: {string.Join(' ', tokenizer.Encode(text))}, not " + $"{string.Join(' ', expected)}"
            );
        }
    }

    [Fact]
    public void SaysWhatItsTokensAre()
    {
        TextTokenizer tokenizer = TokenizerFolder.Load(Folder);

        Assert.Equal((4096, 1), (tokenizer.VocabularySize, tokenizer.EndOfText));
        Assert.Equal("[EOS]", tokenizer.Describe(1));
        Assert.Equal("'he'", tokenizer.Describe(103));
        Assert.Equal("notices, and he went.", tokenizer.DecodeText([3299, 65, .. tokenizer.Encode(", and he went.")]));
        Assert.Equal(" he", tokenizer.DecodeAfter(tokenizer.Encode("When Leo ran,"), [103]));
        Assert.Equal("s", tokenizer.DecodeAfter([3299], [65]));
        Assert.True(tokenizer.TryGetSingleToken(" she", out int she) && she == 106);
        Assert.False(tokenizer.TryGetSingleToken(" notices", out _));
        Assert.Equal("token 4096", tokenizer.Describe(4096));
        Assert.Throws<BadInputException>(() => tokenizer.DecodeText([-1]));
    }

    [Fact]
    public void CopiesAreTheSameFile()
    {
        TextTokenizer tokenizer = TokenizerFolder.Load(Folder);
        tokenizer.Save(_folder["copy"]);

        Assert.Equal(
            File.ReadAllBytes(Path.Combine(Folder, "tokenizer.json")),
            File.ReadAllBytes(Path.Combine(_folder["copy"], "tokenizer.json"))
        );
        Assert.Equal(tokenizer.Fingerprint, TokenizerFolder.Load(_folder["copy"]).Fingerprint);
    }

    /// <summary>Expected by hand from the steps' meaning.</summary>
    [Theory]
    [InlineData(
        """{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": false, "lowercase": true}""",
        """{"type": "BertPreTokenizer"}""",
        "Abe b你b\u200b-b",
        "a ##b ##e b 你 b - b"
    )]
    [InlineData("null", """{"type": "WhitespaceSplit"}""", "ab-b b", "[UNK] b")]
    [InlineData(
        """{"type": "Replace", "pattern": {"String": "ﬁ"}, "content": "fi"}""",
        """{"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Digits", "individual_digits": false}]}""",
        "ﬁ12 b3",
        "fi 12 b 3"
    )]
    [InlineData("""{"type": "StripAccents"}""", """{"type": "Digits", "individual_digits": true}""", "b\u030112", "b 1 2")]
    public void StepsDoWhatTheirNamesSay(string normalizer, string split, string text, string expected)
    {
        TextTokenizer tokenizer = Tokenizer(root =>
        {
            root["normalizer"] = JsonNode.Parse(normalizer);
            root["pre_tokenizer"] = JsonNode.Parse(split);
        });

        Assert.Equal(expected, string.Join(' ', tokenizer.Encode(text).Select(id => tokenizer.Describe(id).Trim('\''))));
    }

    [Theory]
    [InlineData("normalizer", """{"type": "Precompiled"}""", "Precompiled")]
    [InlineData("normalizer", """{"type": "Replace", "pattern": {"Regex": "a"}, "content": "b"}""", "regular expression")]
    [InlineData("normalizer", """{"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "NFD"}]}""", "NFD")]
    [InlineData("normalizer", """{"type": "BertNormalizer", "lowercase": true}""", "strip_accents")]
    [InlineData("pre_tokenizer", """{"type": "ByteLevel"}""", "ByteLevel")]
    [InlineData("pre_tokenizer", """{"type": "Punctuation", "behavior": "Removed"}""", "Removed")]
    [InlineData("pre_tokenizer", "null", "none")]
    [InlineData("added_tokens", """[{"id": 1, "content": "[EOS]", "lstrip": true}]""", "lstrip")]
    [InlineData("added_tokens", """[{"id": 99, "content": "[EOS]"}]""", "[EOS]")]
    [InlineData("added_tokens", "[]", "end of a text")]
    public void WhatIsNotKnownIsRefusedByName(string field, string value, string named)
    {
        string message = Assert.Throws<BadInputException>(() => Tokenizer(root => root[field] = JsonNode.Parse(value))).Message;

        Assert.Contains(named, message, StringComparison.Ordinal);
        Assert.Contains("tokenizer.json", message, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private TextTokenizer Tokenizer(Action<JsonObject> change)
    {
        string[] tokens = ["[UNK]", "[EOS]", "a", "##b", "##e", "b", "-", "你", "fi", "12", "3", "1", "2"];
        var root = new JsonObject
        {
            ["added_tokens"] = JsonNode.Parse("""[{"id": 1, "content": "[EOS]"}]"""),
            ["normalizer"] = null,
            ["pre_tokenizer"] = JsonNode.Parse("""{"type": "Whitespace"}"""),
            ["model"] = new JsonObject
            {
                ["type"] = "WordPiece",
                ["unk_token"] = "[UNK]",
                ["continuing_subword_prefix"] = "##",
                ["max_input_chars_per_word"] = 100,
                ["vocab"] = new JsonObject(tokens.Select((token, id) => KeyValuePair.Create(token, (JsonNode?)id))),
            },
        };
        change(root);
        Directory.CreateDirectory(_folder["changed"]);
        File.WriteAllText(Path.Combine(_folder["changed"], "tokenizer.json"), root.ToJsonString());
        return TokenizerFolder.Load(_folder["changed"]);
    }
}
