using System.Text;
using System.Text.Json;
using Sparsity.Core.Tests.Tasks;
using Sparsity.Core.Tokenization;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Tokenization;

/// <summary>SentencePiece against ids of its own program, and tiktoken files.</summary>
public sealed class OtherTokenizerTests : IDisposable
{
    private static readonly string Fixtures = Path.Combine(Path.GetDirectoryName(OfficialFixture.Root)!, "tokenizers");

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("sentencepiece_bpe")]
    [InlineData("sentencepiece_unigram")]
    public void SentencePieceGivesTheIdsOfItsOwnProgram(string folder)
    {
        TextTokenizer tokenizer = TokenizerFolder.Load(Path.Combine(Fixtures, folder));
        foreach (
            JsonElement vector in JsonDocument
                .Parse(File.ReadAllText(Path.Combine(Fixtures, folder, "vectors.json")))
                .RootElement.GetProperty("vectors")
                .EnumerateArray()
        )
        {
            string text = vector.GetProperty("text").GetString()!;
            int[] expected = [.. vector.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Assert.True(
                expected.SequenceEqual(tokenizer.Encode(text)),
                $"{text}: {string.Join(' ', tokenizer.Encode(text))}, not {string.Join(' ', expected)}"
            );
        }

        Assert.Equal((150, 2), (tokenizer.VocabularySize, tokenizer.EndOfText));
        Assert.Equal("</s>", tokenizer.Describe(2));
        Assert.Equal("when Leo felt sad", tokenizer.DecodeText(tokenizer.Encode("when Leo felt sad")));
        Assert.StartsWith("' ", tokenizer.Describe(tokenizer.Encode("when")[0]), StringComparison.Ordinal);
        tokenizer.Save(_folder["copy"]);
        Assert.Equal(tokenizer.Fingerprint, TokenizerFolder.Load(_folder["copy"]).Fingerprint);
    }

    [Fact]
    public void ATiktokenFileGivesTheIdsOfTheSameMergesHere()
    {
        BytePairTokenizer own = SyntheticTokenizers.Large;
        WriteRanks("r50k_base.tiktoken", Enumerable.Range(0, own.EndOfText).Select(id => own.Decode([id])));
        TextTokenizer tokenizer = TokenizerFolder.Load(_folder["ranks"]);

        // Where both rules split in the same way: words behind single spaces, single digits.
        foreach (string text in new[] { "def value in self", "return", "class Node", " a b 1 2", "caf\u00e9 \ud83d\ude00" })
        {
            Assert.Equal(own.Encode(text), tokenizer.Encode(text));
            Assert.Equal(text, tokenizer.DecodeText(tokenizer.Encode(text)));
        }

        Assert.Equal((own.EndOfText + 1, own.EndOfText), (tokenizer.VocabularySize, tokenizer.EndOfText));
        Assert.Equal("<|endoftext|>", tokenizer.Describe(tokenizer.EndOfText));
        Assert.Equal(own.Describe(300), tokenizer.Describe(300));
        // A symbol goes with the word behind it here, and alone there.
        string joined = Enumerable
            .Range(256, own.EndOfText - 256)
            .Select(id => own.DecodeText([id]))
            .First(token => token.Length > 1 && !" \n'".Contains(token[0]) && !char.IsLetter(token[0]) && token[1..].All(char.IsLetter));
        Assert.Single(own.Encode(joined));
        Assert.True(tokenizer.Encode(joined).Length > 1, joined);
        tokenizer.Save(_folder["copy"]);
        Assert.Equal(tokenizer.Fingerprint, TokenizerFolder.Load(_folder["copy"]).Fingerprint);
    }

    [Fact]
    public void DamagedAndUnknownFilesAreRefusedInOneLine()
    {
        Refused("mine.tiktoken", "YQ== 0\n", "files of this name are not known");
        Refused("gpt2.tiktoken", "YQ== 0\nYg== 0\n", "line 2");
        Refused("gpt2.tiktoken", "YQ== zero\n", "line 1");
        Refused("gpt2.tiktoken", "?? 0\n", "line 1");
        Refused("gpt2.tiktoken", "", "holds no tokens");
        Refused(
            "gpt2.tiktoken",
            string.Concat(Enumerable.Range(0, 65536).Select(id => $"{Convert.ToBase64String(BitConverter.GetBytes(id))} {id}\n")),
            "at most 65536"
        );
        Refused("tokenizer.model", "no model at all", "no SentencePiece model");
        Refused("readme.txt", "", "holds no tokenizer");
    }

    public void Dispose() => _folder.Dispose();

    private void Refused(string name, string content, string named)
    {
        string folder = _folder[Guid.NewGuid().ToString()];
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, name), content);
        string message = Assert.Throws<BadInputException>(() => TokenizerFolder.Load(folder)).Message;

        Assert.Contains(named, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    private void WriteRanks(string name, IEnumerable<byte[]> tokens)
    {
        Directory.CreateDirectory(_folder["ranks"]);
        File.WriteAllText(
            Path.Combine(_folder["ranks"], name),
            string.Concat(tokens.Select((token, rank) => $"{Convert.ToBase64String(token)} {rank}\n")),
            new UTF8Encoding(false)
        );
    }
}
