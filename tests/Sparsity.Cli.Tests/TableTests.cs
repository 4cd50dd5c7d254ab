using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>Tables in output that is not a terminal: plain text, a line for each row, words left and numbers right.</summary>
public sealed class TableTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ARowIsALineAndColumnsAreTwoSpacesApart()
    {
        string[] lines = CommandLine.Succeed("tasks", "list").TrimEnd().Split('\n');
        Assert.Equal(21, lines.Length); // headings and tasks, no rules
        int column = lines[0].IndexOf("what decides", StringComparison.Ordinal);
        Assert.All(lines, line => Assert.Equal("  ", line[(column - 2)..column]));
        Assert.All(lines, line => Assert.NotEqual(' ', line[column]));
        Assert.All(lines, line => Assert.True(line.StartsWith("  ", StringComparison.Ordinal) && line[2] != ' ', line));
        Assert.All(lines, line => Assert.All(line, letter => Assert.InRange(letter, ' ', '~')));
    }

    [Fact]
    public void NamesWithDigitsAreNoNumbers()
    {
        string release = Path.Combine(OfficialFixture.Root, "official-circuits");
        string model = Path.Combine(release, "models", "csp_tiny");
        string sweep = Path.Combine(release, "viz", "csp_tiny", "single_double_quote", "prune_v2", "24", "viz_data.pt");
        CommandLine.Succeed("circuit", "import", sweep, "--model", model, "--out", _folder["circuits"]);
        string circuit = Directory.GetFiles(_folder["circuits"], "circuit.json", SearchOption.AllDirectories).Single();

        string[] lines = CommandLine.Succeed("circuit", "show", circuit).TrimEnd().Split('\n');
        string[] table = [.. lines.SkipWhile(line => !line.StartsWith("  node ", StringComparison.Ordinal))];
        Assert.Equal(25, table.Length);
        int means = table[0].IndexOf("mean", StringComparison.Ordinal) + "mean".Length;
        Assert.All(table.Skip(1), line => Assert.Matches(@"^  (\d\.(attn|mlp)|final_resid)\.", line));
        Assert.All(table.Skip(1), line => Assert.Matches(@"\d$", line[..means]));
    }
}
