using Sparsity.Core.Corpora;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Corpora;

public sealed class CorpusFolderTests : IDisposable
{
    private static readonly CorpusDocument[] Documents =
    [
        new("a.py", "x = 'é\t\"\\'\n", false),
        new("b.py", "y = 1\r\nz = '\u2028'\n", false),
        new("c.py", "v = 1\n", true),
        new("d.py", "", false),
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(64 << 20, 1)]
    [InlineData(1, 3)] // a shard for each document
    public void TextsComeBackAsWrittenFromOneShardOrSeveral(long shardBytes, int trainShards)
    {
        string directory = _folder["corpus"];

        CorpusInfo info = CorpusFolder.Write(
            directory,
            Documents,
            CorpusInfo.Of("test", 4, [new SkippedFiles("copies", 2, ["x.py"])]),
            shardBytes
        );

        Assert.Equal((3, 1, 6), (info.TrainDocuments, info.ValidationDocuments, info.ValidationBytes));
        Assert.Equal(trainShards, Directory.GetFiles(Path.Combine(directory, "text"), "train-*.jsonl").Length);
        Assert.Equal(
            Documents.Where(document => !document.Validation).Select(document => document.Text),
            CorpusFolder.ReadTrain(directory)
        );
        Assert.Equal(["v = 1\n"], CorpusFolder.ReadValidation(directory));
        CorpusInfo read = CorpusFolder.ReadInfo(directory);
        Assert.Equal(("test", 4UL, "copies"), (read.Source, read.Seed, Assert.Single(read.Skipped).Reason));
    }

    [Fact]
    public void SidesGivenApartAreTakenAsGiven()
    {
        string directory = _folder["corpus"];

        CorpusFolder.Write(directory, [Documents[2]], [Documents[0]], CorpusInfo.Of("test", 0));

        Assert.Equal([Documents[2].Text], CorpusFolder.ReadTrain(directory));
        Assert.Equal([Documents[0].Text], CorpusFolder.ReadValidation(directory));
    }

    [Fact]
    public void AFolderThatHoldsAnythingIsRefusedAndLeftAlone()
    {
        File.WriteAllText(_folder["there.txt"], "mine");

        Refused(() => CorpusFolder.Write(_folder.Path, Documents, CorpusInfo.Of("test", 0)), "already");

        Assert.Equal([_folder["there.txt"]], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void DamageIsReported()
    {
        string directory = _folder["corpus"];
        Refused(() => CorpusFolder.ReadInfo(directory), "corpus.json");
        CorpusFolder.Write(directory, Documents, CorpusInfo.Of("test", 0));
        string shard = Path.Combine(directory, "text", "train-00000.jsonl");
        string[] lines = File.ReadAllLines(shard);

        File.WriteAllLines(shard, lines[..^1]);
        Refused(() => CorpusFolder.ReadTrain(directory).Count(), "missing");
        File.WriteAllLines(shard, [.. lines, lines[0]]);
        Refused(() => CorpusFolder.ReadTrain(directory).Count(), "promises");
        File.WriteAllText(shard, "{\"path\": \"a\"}\n");
        Refused(() => CorpusFolder.ReadTrain(directory).Count(), "\"text\"");
        File.WriteAllText(shard, "{");
        Refused(() => CorpusFolder.ReadTrain(directory).Count(), "JSON");
    }

    [Fact]
    public void ACorpusWithNothingToTrainOnIsRefused() =>
        Refused(() => CorpusFolder.Write(_folder["corpus"], [Documents[2]], CorpusInfo.Of("test", 0)), "train");

    private static void Refused(Action action, string expected)
    {
        string message = Assert.Throws<BadInputException>(action).Message;
        Assert.DoesNotContain('\n', message);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }
}
