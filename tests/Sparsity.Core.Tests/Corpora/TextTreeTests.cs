using System.Text;
using Sparsity.Core.Corpora;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Corpora;

public sealed class TextTreeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FilesComeInOrdinalOrderOfPathsWithOtherKindsLeftOut()
    {
        Put("b.py", "b = 1\n");
        Put("a/z.py", "z = 1\n");
        Put("B.py", "c = 1\n");
        Put("a/notes.md", "yes");
        Put("a/data.csv", "no");

        Content content = Read(_folder.Path);

        Assert.Equal(["B.py", "a/notes.md", "a/z.py", "b.py"], content.Documents.Select(document => document.Path));
        Assert.Equal("of other kinds 1 a/data.csv", Line(Assert.Single(content.Skipped)));
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
        Put("pointer.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1675264\n");

        Content content = Read(_folder.Path, new TextTreeOptions { MaximumBytes = 100 });

        Assert.Equal(["copy.py", "good.py"], content.Documents.Select(document => document.Path));
        Assert.Equal(
            [
                "copies 1 copy_2.py",
                "not UTF-8 1 latin.py",
                "that are Git LFS pointers ('git lfs pull' fetches the files) 1 pointer.txt",
                "too large 1 large.py",
                "too small 1 empty.py",
                "with NUL bytes 1 nul.py",
            ],
            content.Skipped.Select(Line)
        );
    }

    /// <summary>Whoever opens a pipe that nobody writes to waits for ever.</summary>
    [Fact]
    public void PipesAreNotOpened()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        Put("good.txt", "x\n");
        foreach (string name in new[] { "pipe.txt", "pipe.jsonl", "pipe.parquet", "pipe.py" })
        {
            using var made = System.Diagnostics.Process.Start("mkfifo", [_folder[name]]);
            made.WaitForExit();
            Assert.Equal(0, made.ExitCode);
        }

        Content content = Read(_folder.Path);

        Assert.Equal("good.txt:1", Assert.Single(content.Documents).Path);
        Assert.Equal(4, Assert.Single(content.Skipped).Count);
    }

    [Fact]
    public void AColumnIsOnlyOfRows()
    {
        Put("a.txt", "x\n");

        Assert.Contains(
            "column body",
            Refused(() => Read(_folder.Path, new TextTreeOptions { Column = "body" })),
            StringComparison.Ordinal
        );
        Put("b.jsonl", "{\"body\": \"y\"}\n");
        Assert.Equal(2, Read(_folder.Path, new TextTreeOptions { Column = "body" }).Documents.Count);
    }

    [Fact]
    public void AByteOrderMarkIsDroppedAlsoForFindingCopies()
    {
        File.WriteAllBytes(_folder["a.py"], [.. Encoding.UTF8.Preamble, .. "x = 'é'\n"u8]);
        Put("b.py", "x = 'é'\n");

        Content content = Read(_folder.Path);

        Assert.Equal("x = 'é'\n", Assert.Single(content.Documents).Text);
        Assert.Equal("copies", Assert.Single(content.Skipped).Reason);
    }

    [Fact]
    public void LinksAreNotFollowed()
    {
        Put("a/x.py", "x = 1\n");
        Directory.CreateSymbolicLink(_folder["a/loop"], _folder.Path);
        File.CreateSymbolicLink(_folder["y.py"], _folder["a/x.py"]);

        Content content = Read(_folder.Path);

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

        IReadOnlyList<CorpusDocument> documents = Read(_folder.Path, new TextTreeOptions { ValidationShare = share }).Documents;

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

        string[] Validation(ulong seed) =>
            [
                .. Read(_folder.Path, new TextTreeOptions { ValidationShare = 0.1, Seed = seed })
                    .Documents.Where(document => document.Validation)
                    .Select(document => document.Text)
                    .Order(StringComparer.Ordinal),
            ];
    }

    [Fact]
    public void FoldersWithoutUsableFilesAreRefusedInOneLine()
    {
        Assert.Contains("no such file or folder", Refused(() => Read(_folder["missing"])), StringComparison.Ordinal);
        Assert.Contains("none of its kinds", Refused(() => Read(_folder.Path)), StringComparison.Ordinal);
        Put("empty.py", "");
        Assert.Contains("1 too small", Refused(() => Read(_folder.Path)), StringComparison.Ordinal);
        Put("good.py", "x = 1\n");
        Refused(() => Read(_folder.Path, new TextTreeOptions { ValidationShare = double.NaN }));
        Refused(() => Read(_folder.Path, new TextTreeOptions { ValidationShare = 0 }));
        Refused(() => Read(_folder.Path, new TextTreeOptions { MinimumBytes = 5, MaximumBytes = 4 }));
    }

    [Fact]
    public void ATextFileIsDividedAtLinesOfTheEndOfTextToken()
    {
        Put("stories.txt", "one\n<|endoftext|>\ntwo\r\nlines <|endoftext|> inside\r\n<|endoftext|>\r\n<|endoftext|>\nthree");

        Assert.Equal(
            ["stories.txt:1 one\n", "stories.txt:2 two\r\nlines <|endoftext|> inside\r\n", "stories.txt:3 three"],
            Read(_folder["stories.txt"]).Documents.Select(document => $"{document.Path} {document.Text}")
        );
    }

    [Fact]
    public void ALongTextByItselfIsCutInTwoAtALine()
    {
        string text = string.Concat(Enumerable.Range(0, 2000).Select(i => $"line {i}\n"));
        Put("input.txt", text);

        IReadOnlyList<CorpusDocument> documents = Read(_folder["input.txt"], new TextTreeOptions { ValidationShare = 0.1 }).Documents;

        Assert.Equal([false, true], documents.Select(document => document.Validation));
        Assert.Equal(text, documents[0].Text + documents[1].Text);
        Assert.EndsWith("\n", documents[0].Text, StringComparison.Ordinal);
        Assert.InRange((double)documents[1].Text.Length / text.Length, 0.099, 0.102);
    }

    [Fact]
    public void RowsOfJsonLinesAreDocumentsAndBadOnesAreCounted()
    {
        File.WriteAllBytes(
            _folder["rows.jsonl"],
            [
                .. "{\"id\": 1, \"content\": \"x = 'é'\\n\"}\n\n"u8,
                .. "{\"content\": null}\n"u8,
                .. "{\"content\": 5}\n"u8,
                .. "{\"body\": \"b\"}\n"u8,
                .. "[1]\n{\"content\": \"\\ud800\"}\n"u8,
                .. "{\"content\": \""u8,
                0xE9,
                .. "\"}\n"u8,
                .. "{\"content\": \"\"}\n"u8,
                .. "{\"n\": 1e999, \"content\": \"c\"}\n"u8,
                .. "{\"content\": \"last\"}"u8,
            ]
        );
        File.WriteAllText(
            _folder["long.jsonl"],
            $"{{\"content\": \"{new string('a', 1000)}\"}}\n{{\"content\": \"{new string('b', 50)}\"}}\n"
        );

        Content content = Read(_folder.Path, new TextTreeOptions { MaximumBytes = 100 });

        Assert.Equal(["long.jsonl:2", "rows.jsonl:1", "rows.jsonl:11"], content.Documents.Select(document => document.Path));
        Assert.Equal("x = 'é'\n", content.Documents[1].Text);
        Assert.Equal(
            [
                "not UTF-8 1 rows.jsonl:8",
                "rows that are no JSON object 3 rows.jsonl:6 rows.jsonl:7 rows.jsonl:10",
                "rows whose 'content' is no text 1 rows.jsonl:4",
                "rows whose 'content' is null 1 rows.jsonl:3",
                "rows without text, content or code 1 rows.jsonl:5",
                "too large 1 long.jsonl:1",
                "too small 1 rows.jsonl:9",
            ],
            content.Skipped.Select(Line)
        );
        Assert.Equal("b", Assert.Single(Read(_folder["rows.jsonl"], new TextTreeOptions { Column = "body" }).Documents).Text);
        Assert.Contains(
            "6 rows without 'none'",
            Refused(() => Read(_folder["rows.jsonl"], new TextTreeOptions { Column = "none" })),
            StringComparison.Ordinal
        );
    }

    /// <summary>
    /// Files that Apache Arrow's C++ library wrote (tests/fixtures/parquet/README.md): two groups of 12 rows, one null and one empty in
    /// each.
    /// </summary>
    [Theory]
    [InlineData("snappy")]
    [InlineData("zstd-v2")]
    [InlineData("gzip-plain")]
    [InlineData("brotli")]
    [InlineData("lz4")]
    [InlineData("none-v1")]
    public void ParquetOfAnotherLibrary(string name)
    {
        Content content = Read(Parquet(name));

        Assert.Equal(20, content.Documents.Count);
        Assert.Equal("def f(x):\n    return x + 1\n# 0 0\n", content.Documents[0].Text);
        Assert.Equal($"{name}.parquet:10", content.Documents[7].Path);
        Assert.Equal("s = \"é 漢字 🎉\"\nprint(s)\n# 0 9\n", content.Documents[7].Text);
        Assert.Equal("import os\nprint(os.getcwd())\n# 1 11\n", content.Documents[^1].Text);
        Assert.Equal(
            [$"rows whose 'text' is null 2 {name}.parquet:5 {name}.parquet:17", $"too small 2 {name}.parquet:6 {name}.parquet:18"],
            content.Skipped.Select(Line)
        );
    }

    [Fact]
    public void ColumnsOfParquetThatCannotBe()
    {
        Content raw = Read(Parquet("snappy"), new TextTreeOptions { Column = "raw" });

        Assert.Equal(22, raw.Documents.Count);
        Assert.Equal("not UTF-8 2 snappy.parquet:4 snappy.parquet:16", Line(Assert.Single(raw.Skipped)));
        Assert.Equal(["ok = 1\n", "ok = 2\n"], Read(Parquet("bad-utf8")).Documents.Select(document => document.Text));
        Assert.Contains(
            "column 'id' is nested or holds no text",
            Refused(() => Read(Parquet("snappy"), new TextTreeOptions { Column = "id" })),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "column 'tags' is nested",
            Refused(() => Read(Parquet("snappy"), new TextTreeOptions { Column = "tags" })),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "without 'body' (columns: id, text, lang, raw, tags)",
            Refused(() => Read(Parquet("snappy"), new TextTreeOptions { Column = "body" })),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void ParquetThatIsCutOffIsNamed()
    {
        byte[] whole = File.ReadAllBytes(Parquet("snappy"));
        File.WriteAllBytes(_folder["cut.parquet"], whole[..^20]);
        Assert.Contains("1 that are no whole Parquet files", Refused(() => Read(_folder.Path)), StringComparison.Ordinal);
    }

    [Fact]
    public void AGlobChoosesFilesOfFolders()
    {
        Put("src/a.py", "a = 1\n");
        Put("src/b.md", "b\n");
        Put("doc/c.py", "c = 1\n");

        Assert.Equal(
            ["doc/c.py", "src/a.py"],
            Read(_folder.Path, new TextTreeOptions { Glob = "*.py" }).Documents.Select(document => document.Path)
        );
        Assert.Equal(
            ["src/a.py", "src/b.md"],
            Read(_folder.Path, new TextTreeOptions { Glob = "src/*" }).Documents.Select(document => document.Path)
        );
        Assert.Contains(
            "3 not matching the glob",
            Refused(() => Read(_folder.Path, new TextTreeOptions { Glob = "x*" })),
            StringComparison.Ordinal
        );
    }

    private static string Parquet(string name) => Path.Combine(OfficialFixture.Root, "..", "parquet", name + ".parquet");

    private static string Line(SkippedFiles entry) => $"{entry.Reason} {entry.Count} {string.Join(' ', entry.Examples)}";

    private static Content Read(string source, TextTreeOptions? options = null)
    {
        var tree = new TextTree([source], options);
        CorpusDocument[] documents = [.. tree.Documents];
        return new Content(documents, tree.Skipped);
    }

    private static string Refused(Action action)
    {
        string message = Assert.Throws<BadInputException>(action).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    private void Put(string path, string text) => File.WriteAllText(_folder[path], text);

    private sealed record Content(IReadOnlyList<CorpusDocument> Documents, IReadOnlyList<SkippedFiles> Skipped);
}
