using System.Text.RegularExpressions;

namespace Sparsity.Core.Tests;

/// <summary>Links between documents lead to files and headings that are there.</summary>
public partial class DocumentLinkTests
{
    private static readonly string Root = Path.GetFullPath(Path.Combine(OfficialFixture.Root, "..", "..", ".."));

    [Fact]
    public void EveryLinkLeadsSomewhere()
    {
        string[] documents =
        [
            .. Directory.GetFiles(Root, "*.md"),
            .. Directory.GetFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories),
        ];
        var broken = new List<string>();
        int links = 0;
        foreach (string document in documents)
        {
            foreach (Match match in Link().Matches(File.ReadAllText(document)))
            {
                string target = match.Groups[1].Value;
                if (target.Contains("://", StringComparison.Ordinal))
                {
                    continue;
                }

                links++;
                string[] parts = target.Split('#');
                string file = parts[0].Length == 0 ? document : Path.Combine(Path.GetDirectoryName(document)!, parts[0]);
                if (!File.Exists(file) && !Directory.Exists(file))
                {
                    broken.Add($"{Path.GetRelativePath(Root, document)}: {target}: no such file");
                }
                else if (parts.Length > 1 && !Headings(file).Contains(parts[1]))
                {
                    broken.Add($"{Path.GetRelativePath(Root, document)}: {target}: no such heading");
                }
            }
        }

        Assert.True(links > 50, $"only {links} links were found");
        Assert.True(broken.Count == 0, string.Join('\n', broken));
    }

    [Fact]
    public void TheIndexNamesEveryDocument()
    {
        string docs = Path.Combine(Root, "docs");
        string index = File.ReadAllText(Path.Combine(docs, "index.md"));

        Assert.All(
            Directory.GetFiles(docs, "*.md").Select(Path.GetFileName).Where(name => name != "index.md"),
            name => Assert.Contains($"({name})", index, StringComparison.Ordinal)
        );
    }

    /// <summary>Headings as links name them: lower case, punctuation left out, a hyphen for each space.</summary>
    private static HashSet<string> Headings(string file) =>
        [
            .. File.ReadLines(file)
                .Where(line => line.StartsWith('#'))
                .Select(line => Punctuation().Replace(line.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-')),
        ];

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex Punctuation();
}
