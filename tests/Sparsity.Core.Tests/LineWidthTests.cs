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
}
