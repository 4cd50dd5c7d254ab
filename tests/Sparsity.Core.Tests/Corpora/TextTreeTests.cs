using System.Text;
using Sparsity.Core.Corpora;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Corpora;

public sealed class PythonTreeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FilesComeInOrdinalOrderOfPathsWithOtherKindsLeftOut()
    {
        Put("b.py", "b = 1\n");
        Put("a/z.py", "z = 1\n");
        Put("B.py", "c = 1\n");
        Put("a/notes.txt", "no");

        Assert.Equal(["B.py", "a/z.py", "b.py"], PythonTree.Read(_folder.Path).Documents.Select(document => document.Path));
    }

    [Fact]
    public void WhatCannotBeUsedIsReportedByReason()
    {
        Put("good.py", "x = 1\n");
        Put("copy.py", "y = 2\n");
        Put("copy_2.py", "y = 2\n");
        Put("empty.py", "");
        Put("large.py", new string('#', 200));
        File.WriteAllBytes(_folder["latin.py"], [(byte)'#', 0xE9, (byte)'\n']);
        File.WriteAllBytes(_folder["nul.py"], [(byte)'#', 0, (byte)'\n']);

        PythonTreeContent content = PythonTree.Read(_folder.Path, new PythonTreeOptions { MaximumBytes = 100 });

        Assert.Equal(["copy.py", "good.py"], content.Documents.Select(document => document.Path));
        Assert.Equal(
            ["copies 1 copy_2.py", "not UTF-8 1 latin.py", "too large 1 large.py", "too small 1 empty.py", "with NUL bytes 1 nul.py"],
            content.Skipped.Select(entry => $"{entry.Reason} {entry.Count} {string.Join(' ', entry.Examples)}"));
    }

    [Fact]
    public void AByteOrderMarkIsDroppedAlsoForFindingCopies()
    {
        File.WriteAllBytes(_folder["a.py"], [.. Encoding.UTF8.Preamble, .. "x = 'é'\n"u8]);
        Put("b.py", "x = 'é'\n");

        PythonTreeContent content = PythonTree.Read(_folder.Path);

        Assert.Equal("x = 'é'\n", Assert.Single(content.Documents).Text);
        Assert.Equal("copies", Assert.Single(content.Skipped).Reason);
    }

    [Fact]
    public void LinksAreNotFollowed()
    {
        Put("a/x.py", "x = 1\n");
        Directory.CreateSymbolicLink(_folder["a/loop"], _folder.Path);
        File.CreateSymbolicLink(_folder["y.py"], _folder["a/x.py"]);

        PythonTreeContent content = PythonTree.Read(_folder.Path);

        Assert.Equal("a/x.py", Assert.Single(content.Documents).Path);
        Assert.Equal(2, Assert.Single(content.Skipped, entry => entry.Reason == "links").Count);
    }

    [Theory]
    [InlineData(2, 0.05)]
    [InlineData(2, 0.99)]
    [InlineData(3, 0.000001)]
    public void NeitherSideIsEmptyWithTwoFilesOrMore(int files, double share)
    {
        for (int i = 0; i < files; i++)
        {
            Put($"{i}.py", $"x = {i}\n");
        }

        IReadOnlyList<CorpusDocument> documents = PythonTree.Read(_folder.Path, new PythonTreeOptions { ValidationShare = share }).Documents;

        Assert.Contains(documents, document => document.Validation);
        Assert.Contains(documents, document => !document.Validation);
    }

    [Fact]
    public void TheSplitHasTheShareAndDependsOnContentAndSeedNotOnNames()
    {
        for (int i = 0; i < 400; i++)
        {
            Put($"{i}.py", $"x = {i}\n");
        }

        string[] before = Validation(seed: 1);
        for (int i = 0; i < 400; i++)
        {
            File.Move(_folder[$"{i}.py"], _folder[$"moved/{400 - i}.py"]);
        }

        Assert.InRange(before.Length, 20, 60);
        Assert.Equal(before, Validation(seed: 1));
        Assert.NotEqual(before, Validation(seed: 2));

        string[] Validation(ulong seed) => [.. PythonTree.Read(_folder.Path, new PythonTreeOptions { ValidationShare = 0.1, Seed = seed }).Documents
            .Where(document => document.Validation).Select(document => document.Text).Order(StringComparer.Ordinal)];
    }

    [Fact]
    public void FoldersWithoutUsableFilesAreRefusedInOneLine()
    {
        Assert.Contains("no such folder", Refused(() => PythonTree.Read(_folder["missing"])), StringComparison.Ordinal);
        Assert.Contains("no .py files", Refused(() => PythonTree.Read(_folder.Path)), StringComparison.Ordinal);
        Put("empty.py", "");
        Assert.Contains("1 too small", Refused(() => PythonTree.Read(_folder.Path)), StringComparison.Ordinal);
        Put("good.py", "x = 1\n");
        Refused(() => PythonTree.Read(_folder.Path, new PythonTreeOptions { ValidationShare = double.NaN }));
        Refused(() => PythonTree.Read(_folder.Path, new PythonTreeOptions { ValidationShare = 0 }));
        Refused(() => PythonTree.Read(_folder.Path, new PythonTreeOptions { MinimumBytes = 5, MaximumBytes = 4 }));
    }

    private static string Refused(Action action)
    {
        string message = Assert.Throws<BadInputException>(action).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    private void Put(string path, string text) => File.WriteAllText(_folder[path], text);
}
