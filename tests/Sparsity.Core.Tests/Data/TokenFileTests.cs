using Sparsity.Core.Corpora;
using Sparsity.Core.Data;
using Sparsity.Core.Tests.Tasks;
using Sparsity.Core.Tokenization;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Data;

public sealed class TokenFileTests : IDisposable
{
    private static readonly BytePairTokenizer Tokenizer = SyntheticTokenizers.Small;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void DocumentsComeBackEachFollowedByTheEndOfText()
    {
        string[] documents = ["def f(x):\n    return x\n", "", "größe = '" + new string('x', 9000) + "'\n"];
        string path = _folder["a.bin"];
        TokenFile.Write(path, Tokenizer, documents);
        TokenFile file = TokenFile.Open(path, Tokenizer);

        int[] ids = [.. file.Tokens.ToArray().Select(id => (int)id)];
        Assert.Equal(string.Concat(documents.Select(text => text + "<|endoftext|>")), Tokenizer.DecodeText(ids));
        Assert.Equal(3, file.Documents);
        Assert.Equal(3, ids.Count(id => id == Tokenizer.EndOfText));
        Assert.Equal(Tokenizer.VocabularySize, file.VocabularySize);
        Assert.Equal(2 * ids.Length, new FileInfo(path).Length);
        byte[] bytes = File.ReadAllBytes(path);
        Assert.Equal(ids[0], bytes[0] + (256 * bytes[1])); // little-endian
    }

    [Fact]
    public void FilesThatDoNotBelongTogetherAreRefused()
    {
        string path = _folder["a.bin"];
        TokenFile.Write(path, Tokenizer, ["def f(x):\n    return x\n"]);
        byte[] tokens = File.ReadAllBytes(path);
        string side = File.ReadAllText(_folder["a.json"]);

        Refused("another tokenizer", () => TokenFile.Open(path, SyntheticTokenizers.Large));
        Refused("ends with .bin", () => TokenFile.Open(_folder["a.tokens"]));
        Refused("ends with .bin", () => TokenFile.Write(_folder["a.tokens"], Tokenizer, []));
        Refused("not found", () => TokenFile.Open(_folder["b.bin"]));
        Damaged("even number", tokens[..^1], side);
        Damaged("tokens, but", tokens[..^2], side);
        Damaged("token 0 has id 65535", [255, 255, .. tokens[2..]], side);
        Damaged("format_version is 2", tokens, side.Replace("\"format_version\": 1", "\"format_version\": 2", StringComparison.Ordinal));
        Damaged("documents is 99999", tokens, side.Replace("\"documents\": 1", "\"documents\": 99999", StringComparison.Ordinal));
        Damaged(
            "vocabulary_size is 5",
            tokens,
            side.Replace($"\"vocabulary_size\": {Tokenizer.VocabularySize}", "\"vocabulary_size\": 5", StringComparison.Ordinal)
        );
        Damaged("hexadecimal", tokens, side.Replace(Tokenizer.Fingerprint, "abc", StringComparison.Ordinal));
        Damaged("papers", tokens, side.Replace("\"documents\"", "\"papers\"", StringComparison.Ordinal));
        File.Delete(_folder["a.json"]);
        Refused("side file", () => TokenFile.Open(path));

        void Damaged(string expected, byte[] bin, string json)
        {
            Assert.True(!bin.AsSpan().SequenceEqual(tokens) || json != side, "nothing was damaged");
            File.WriteAllBytes(path, bin);
            File.WriteAllText(_folder["a.json"], json);
            Refused(expected, () => TokenFile.Open(path));
        }
    }

    [Fact]
    public void ADataFolderHoldsTheTokensOfBothSides()
    {
        CorpusDocument[] documents =
        [
            new("a.py", "x = 1\n", Validation: false),
            new("b.py", "y = 2\n", Validation: true),
            new("c.py", "z = 3\n", Validation: false),
        ];
        CorpusFolder.Write(_folder["data"], documents, CorpusInfo.Of("test", 1));
        DataFolder made = DataFolder.Tokenize(_folder["data"], Tokenizer, vocabularySize: 0);
        DataFolder data = DataFolder.Open(_folder["data"]);

        Assert.Equal(made.Tokenizer.Fingerprint, data.Tokenizer.Fingerprint);
        Assert.Equal("x = 1\n<|endoftext|>z = 3\n<|endoftext|>", Text(data.Training));
        Assert.Equal("y = 2\n<|endoftext|>", Text(data.Validation));
        SyntheticTokenizers.Large.Save(_folder["data/tokenizer"]);
        Refused("another tokenizer", () => _ = DataFolder.Open(_folder["data"]).Training);
        Refused("no such data folder", () => DataFolder.Open(_folder["nowhere"]));

        static string Text(ReadOnlyMemory<ushort> tokens) => Tokenizer.DecodeText([.. tokens.ToArray().Select(id => (int)id)]);
    }

    [Fact]
    public void ATokenizerIsTrainedWhereNoneIsGiven()
    {
        CorpusFolder.Write(_folder["data"], SyntheticPython.Documents(1, 50_000), CorpusInfo.Of("synthetic", 1));
        DataFolder data = DataFolder.Tokenize(_folder["data"], null, 300);

        Assert.Equal(300, data.Tokenizer.VocabularySize);
        Assert.Equal(
            CorpusFolder.ReadTrain(_folder["data"]).First(),
            data.Tokenizer.DecodeText([.. data.Training.ToArray().TakeWhile(id => id != data.Tokenizer.EndOfText).Select(id => (int)id)])
        );
    }

    private static void Refused(string expected, Action action)
    {
        string message = Assert.Throws<BadInputException>(action).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }
}
