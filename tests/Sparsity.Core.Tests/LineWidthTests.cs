namespace Sparsity.Core.Tests;

public class LineWidthTests
{
    private const int Widest = 140;

    /// <summary>Raw strings hold text of other languages, whose lines are theirs.</summary>
    [Fact]
    public void SourcesAreNoWiderThan140()
    {
        string root = Path.GetFullPath(Path.Combine(OfficialFixture.Root, "..", "..", ".."));
        string[] sources =
        [
            .. new[] { "Sparsity.Core", "Sparsity.Kernels", "Sparsity.Cli", "tests", "samples" }
                .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(root, folder), "*.cs", SearchOption.AllDirectories))
                .Where(path => !Path.GetRelativePath(root, path).Split('/', '\\').Any(part => part is "obj" or "bin")),
        ];
        List<string> wide = [];
        foreach (string path in sources)
        {
            bool isRaw = false;
            foreach ((int number, string line) in File.ReadLines(path).Index())
            {
                int quotes = line.Split("\"\"\"").Length - 1;
                if (line.Length > Widest && !isRaw && quotes == 0)
                {
                    wide.Add($"{Path.GetRelativePath(root, path)}({number + 1}): {line.Length} characters");
                }

                isRaw ^= quotes % 2 == 1;
            }
        }

        Assert.Empty(wide);
        Assert.True(sources.Length > 400, $"{root} has only {sources.Length} sources.");
    }

    /// <summary>Tables, code and pictures of documents cannot be broken, nor can texts of the pages in JavaScript.</summary>
    [Theory]
    [InlineData("", "*.md", SearchOption.TopDirectoryOnly)]
    [InlineData("docs", "*.md", SearchOption.TopDirectoryOnly)]
    [InlineData("Sparsity.Cli/Viewer/Page", "*.js", SearchOption.AllDirectories)]
    [InlineData("Sparsity.Cli/Viewer/Page", "*.css", SearchOption.AllDirectories)]
    [InlineData("build", "*.sh", SearchOption.AllDirectories)]
    [InlineData(".ci", "run", SearchOption.TopDirectoryOnly)]
    [InlineData("tests/numpy", "*.py", SearchOption.TopDirectoryOnly)]
    public void DocumentsPagesAndScriptsAreNoWiderThan140(string folder, string files, SearchOption depth)
    {
        string root = Path.GetFullPath(Path.Combine(OfficialFixture.Root, "..", "..", "..", folder));
        string[] paths = Directory.GetFiles(root, files, depth);
        Assert.NotEmpty(paths);
        List<string> wide = [];
        foreach (string path in paths)
        {
            bool isCode = false;
            foreach ((int number, string line) in File.ReadLines(path).Index())
            {
                isCode ^= line.StartsWith("```", StringComparison.Ordinal);
                bool isWhole = files switch
                {
                    "*.md" => isCode || IsUnbreakable(line),
                    "*.js" or "*.css" => line.TrimStart().StartsWith('"') || line.Contains('`'),
                    _ => false,
                };
                if (line.Length > Widest && !isWhole)
                {
                    wide.Add($"{Path.GetFileName(path)}({number + 1}): {line.Length} characters");
                }
            }
        }

        Assert.Empty(wide);

        static bool IsUnbreakable(string line) =>
            line.StartsWith('|')
            || line.StartsWith("    ", StringComparison.Ordinal)
            || line.StartsWith("![", StringComparison.Ordinal)
            || line.TrimStart().StartsWith("dotnet ", StringComparison.Ordinal);
    }
}
