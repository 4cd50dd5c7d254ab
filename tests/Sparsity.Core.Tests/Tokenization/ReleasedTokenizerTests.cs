using System.Text.Json.Nodes;
using Sparsity.Core.Tests.Tasks;
using Sparsity.Core.Tokenization;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Tokenization;

/// <summary>
/// Tokenizers laid out as the released tinypython_2k: a comment on the first line, special tokens with the highest ids, gaps.
/// </summary>
public sealed class ReleasedTokenizerTests : IDisposable
{
    private const string Code = "for i in range(12):\n    print(' in <|endoftext|>', i)\n";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("# BPE Encoder v3\n")]
    [InlineData("#version: 0.2\n")]
    [InlineData("#\n")]
    [InlineData("")]
    public void AnyCommentOnTheFirstLineIsSkippedAndWithoutOneItIsAMerge(string comment)
    {
        Write(comment, ("<|startoftext|>", 258), ("<|endoftext|>", 259));
        var tokenizer = BytePairTokenizer.Load(_folder.Path);

        Assert.Equal(260, tokenizer.VocabularySize);
        Assert.Equal(259, tokenizer.EndOfText);
        Assert.Equal([256, 257], tokenizer.Encode("in in"));
        Assert.Equal(Code, tokenizer.DecodeText(tokenizer.Encode(Code)));
        Assert.All(tokenizer.Encode(Code), id => Assert.InRange(id, 0, 257)); // special tokens do not come from text
        Assert.Equal("<|startoftext|>in<|endoftext|>", tokenizer.DecodeText([258, 256, 259]));
        Assert.Equal(["<|startoftext|>", "' in'", "<|endoftext|>"], new[] { 258, 257, 259 }.Select(tokenizer.Describe));
    }

    /// <summary>1790 merges, special tokens 2046 and 2047: the layout of the release.</summary>
    [Fact]
    public void TheReleasedSizesReadBackInBothFormats()
    {
        // Any merges do: pairs of letters, until there are as many.
        string[] bytes = [.. Enumerable.Range(0, 256).Select(id => ByteSymbols.ToText([ByteSymbols.ByteOf(id)]))];
        string[] letters = [.. bytes.Where(symbol => char.IsAsciiLetter(symbol[0]))];
        string[] merges = [.. letters.SelectMany(_ => letters, (left, right) => $"{left} {right}").Take(1790)];
        var vocabulary = new JsonObject();
        foreach (
            string token in bytes
                .Concat(merges.Select(merge => merge.Replace(" ", "", StringComparison.Ordinal)))
                .Append("<|startoftext|>")
                .Append("<|endoftext|>")
        )
        {
            vocabulary.Add(token, vocabulary.Count);
        }

        File.WriteAllText(_folder["encoder.json"], vocabulary.ToJsonString());
        File.WriteAllText(_folder["vocab.bpe"], "# tinypython\n" + string.Join('\n', merges) + "\n");
        var tokenizer = BytePairTokenizer.Load(_folder.Path);
        Assert.Equal((2048, 2047, 1790), (tokenizer.VocabularySize, tokenizer.EndOfText, tokenizer.Merges.Count));
        Assert.Equal([2045], tokenizer.Encode(merges[^1].Replace(" ", "", StringComparison.Ordinal)));
        foreach (TokenizerFormat format in Enum.GetValues<TokenizerFormat>())
        {
            tokenizer.Save(_folder[$"{format}"], format);
            var copy = BytePairTokenizer.Load(_folder[$"{format}"]);
            Assert.Equal(tokenizer.Fingerprint, copy.Fingerprint);
            Assert.Equal(tokenizer.Specials, copy.Specials);
            Assert.Equal(tokenizer.Encode(Code), copy.Encode(Code));
        }
    }

    [Fact]
    public void GapsAreNoTokens()
    {
        Write("# x\n", ("<|endoftext|>", 300), ("[PAD]", 280), ("\uff5cstart\uff5c", 270));
        var tokenizer = BytePairTokenizer.Load(_folder.Path);

        Assert.Equal((301, 300), (tokenizer.VocabularySize, tokenizer.EndOfText));
        Assert.Equal([257, 270, 280, 300], Enumerable.Range(257, 100).Where(tokenizer.IsToken));
        Assert.False(tokenizer.IsToken(-1));
        Assert.Equal("token 279", tokenizer.Describe(279));
        Assert.Equal("token 5000", tokenizer.Describe(5000));
        Assert.Contains(
            "Token id 279 is not in the vocabulary",
            Assert.Throws<BadInputException>(() => tokenizer.Decode([279])).Message,
            StringComparison.Ordinal
        );
        tokenizer.Save(_folder["copy"]);
        Assert.Equal(tokenizer.Specials, BytePairTokenizer.Load(_folder["copy"]).Specials);
    }

    /// <summary>Data folders remember fingerprints: those of tokenizers without further special tokens stay what they were.</summary>
    [Fact]
    public void TheFingerprintTellsSpecialTokensApart()
    {
        string[] fingerprints =
        [
            Fingerprint(),
            Fingerprint(("<|endoftext|>", 259)),
            Fingerprint(("<|startoftext|>", 258), ("<|endoftext|>", 259)),
            Fingerprint(("<s>", 258), ("<|endoftext|>", 259)),
        ];
        Assert.Equal(fingerprints.Length, fingerprints.Distinct().Count());
        Assert.Equal(fingerprints[0], Fingerprint(("<|endoftext|>", 258)));

        string Fingerprint(params (string Name, int Id)[] specials)
        {
            Write("#\n", specials);
            return BytePairTokenizer.Load(_folder.Path).Fingerprint;
        }
    }

    [Theory]
    [InlineData("inin", 258, "is no byte and nothing in vocab.bpe makes it")]
    [InlineData("<|endoftext|>", 257, "which 'Ġin' has too")]
    [InlineData("<|endoftext|>", 65536, "258 to 65535")]
    [InlineData("", 258, "1 to 512 characters")]
    public void WhatIsNoSpecialTokenIsRefused(string name, int id, string expected)
    {
        Write("#\n", (name, id));
        Assert.Contains(
            expected,
            Assert.Throws<BadInputException>(() => BytePairTokenizer.Load(_folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void TheTokenizerOfAReleasedModelLiesBesideItsModels()
    {
        string model = Path.GetDirectoryName(_folder["models/csp/beeg_config.json"])!;
        Assert.Null(TokenizerFolder.FolderOf(model));
        SyntheticTokenizers.Large.Save(_folder["tinypython"]);
        Assert.Equal(_folder["tinypython"], TokenizerFolder.FolderOf(model));
        Assert.Equal(_folder["tinypython"], TokenizerFolder.FolderOf(model + "/"));
        Assert.Null(TokenizerFolder.FolderOf(Path.GetDirectoryName(_folder["others/csp/x"])!));
        SyntheticTokenizers.Large.Save(model);
        Assert.Equal(model, TokenizerFolder.FolderOf(model));
    }

    /// <summary>Two merges: "in", " in".</summary>
    private void Write(string comment, params (string Name, int Id)[] specials)
    {
        var vocabulary = new JsonObject();
        for (int id = 0; id < 256; id++)
        {
            vocabulary.Add(ByteSymbols.ToText([ByteSymbols.ByteOf(id)]), id);
        }

        vocabulary.Add("in", 256);
        vocabulary.Add("Ġin", 257);
        foreach ((string name, int id) in specials)
        {
            vocabulary.Add(name, id);
        }

        File.WriteAllText(_folder["encoder.json"], vocabulary.ToJsonString());
        File.WriteAllText(_folder["vocab.bpe"], comment + "i n\nĠ in\n");
    }
}
