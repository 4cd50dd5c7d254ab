using VerifyXunit;

namespace Sparsity.VerifyStandIn;

/// <summary>Each test works in a folder of its own, as if its source file lay there.</summary>
public sealed class VerifierTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("verify-stand-in-").FullName;

    private string Source => Path.Combine(_folder, "Reports.cs");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task SnapshotOfThisRepositoryPasses() => await Verifier.Verify("{ \"lines\": [\n  1,\n  2\n] }", extension: "json");

    [Fact]
    public async Task EqualTextPassesAndClearsTheReceivedFile()
    {
        Write("Reports.Table.verified.txt", "a\nb");
        Write("Reports.Table.received.txt", "old");

        await Verifier.Verify("a\nb", sourceFile: Source, method: "Table");

        Assert.False(Exists("Reports.Table.received.txt"));
    }

    [Theory]
    [InlineData("a\r\nb", "a\nb")]
    [InlineData("a\nb", "a\r\nb")]
    [InlineData("a\rb", "a\nb")]
    [InlineData("a\nb\n", "a\nb")]
    [InlineData("\uFEFFa\nb", "a\nb")]
    public async Task LineEndsLastNewlineAndByteOrderMarkAreNoDifference(string verified, string text)
    {
        Write("Reports.Table.verified.txt", verified);

        await Verifier.Verify(text, sourceFile: Source, method: "Table");

        Assert.False(Exists("Reports.Table.received.txt"));
    }

    [Theory]
    [InlineData("a\nb", "a\nc")]
    [InlineData("a\nb\n\n", "a\nb")]
    [InlineData("a\nb", "a\nb\n")]
    [InlineData("a", "A")]
    [InlineData("", "a")]
    public async Task DifferenceWritesTheReceivedFileAndFails(string verified, string text)
    {
        Write("Reports.Table.verified.json", verified);

        VerifyException failure = await Assert.ThrowsAsync<VerifyException>(() =>
            Verifier.Verify(text, extension: "json", Source, "Table")
        );

        Assert.Contains("Reports.Table.verified.json", failure.Message, StringComparison.Ordinal);
        Assert.Equal(text, File.ReadAllText(Path.Combine(_folder, "Reports.Table.received.json")));
        Assert.Equal(verified, File.ReadAllText(Path.Combine(_folder, "Reports.Table.verified.json")));
    }

    [Fact]
    public async Task DifferenceNamesTheLine()
    {
        Write("Reports.Table.verified.txt", "one\ntwo\nthree");

        VerifyException failure = await Assert.ThrowsAsync<VerifyException>(() => Verifier.Verify("one\n2\nthree", "txt", Source, "Table"));

        Assert.Contains("Line 2 differs, expected 'two', received '2'", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MissingSnapshotFails()
    {
        VerifyException failure = await Assert.ThrowsAsync<VerifyException>(() => Verifier.Verify("a", "txt", Source, "Table"));

        Assert.Contains("There is no snapshot", failure.Message, StringComparison.Ordinal);
        Assert.True(Exists("Reports.Table.received.txt"));
        Assert.False(Exists("Reports.Table.verified.txt"));
    }

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(_folder, name), text);

    private bool Exists(string name) => File.Exists(Path.Combine(_folder, name));
}
