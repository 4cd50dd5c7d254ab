using System.Text.RegularExpressions;

namespace Sparsity.Core.Tests;

public partial class LayeringTests
{
    /// <summary>
    /// The folders of each project, which are its namespaces, from the ground up: each uses those before it alone. "" is the project's own
    /// folder; in Core and Cli it holds what all others may use. Kernels' chooses among the engines.
    /// </summary>
    private static readonly Dictionary<string, string[]> Folders = new()
    {
        ["Sparsity.Core"] =
        [
            "",
            "Files",
            "Engine",
            "Distributed",
            "Tensors",
            "Model",
            "Tokenization",
            "Corpora",
            "Data",
            "Generation",
            "Tracing",
            "Tasks",
            "Training",
            "Circuits",
            "Runs",
            "Pruning",
            "Released",
            "Bridges",
            "Reproduction",
        ],
        ["Sparsity.Kernels"] = ["Cpu", "Gpu", ""],
        ["Sparsity.Cli"] = ["Mpi", "", "Viewer", "Report", "Verbs"],
    };

    public static TheoryData<string> Projects => [.. Folders.Keys];

    [Fact]
    public void CoreRefersToNoEngineAndNoGpuLibrary()
    {
        string[] references = [.. typeof(BadInputException).Assembly.GetReferencedAssemblies().Select(name => name.Name!)];

        Assert.DoesNotContain(
            references,
            name => name.StartsWith("ILGPU", StringComparison.Ordinal) || name.StartsWith("Sparsity.", StringComparison.Ordinal)
        );
    }

    /// <summary>The build refuses directives that nothing needs, so they are what a file uses of other folders.</summary>
    [Theory]
    [MemberData(nameof(Projects))]
    public void FoldersUseOnlyThoseBelow(string project)
    {
        string root = Path.GetFullPath(Path.Combine(OfficialFixture.Root, "..", "..", "..", project));
        string[] order = Folders[project];
        var wrong = new List<string>();
        int files = 0;
        foreach (string path in Directory.EnumerateFiles(root, "*.cs", SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(root, path).Replace('\\', '/');
            string folder = relative.Contains('/', StringComparison.Ordinal)
                ? relative[..relative.IndexOf('/', StringComparison.Ordinal)]
                : "";
            if (folder is "obj" or "bin" || relative == "Program.cs") // which puts all together
            {
                continue;
            }

            files++;
            string text = File.ReadAllText(path);
            int own = Array.IndexOf(order, folder);
            Assert.True(own >= 0, $"{relative}: its folder is not in the list.");
            if (Namespace().Match(text).Groups[1].Value != (folder.Length == 0 ? project : $"{project}.{folder}"))
            {
                wrong.Add($"{relative} has another namespace than its folder");
            }

            foreach (
                Match match in Using()
                    .Matches(text)
                    .Where(match => match.Groups[1].Value.StartsWith(project + ".", StringComparison.Ordinal))
            )
            {
                string used = match.Groups[1].Value[(project.Length + 1)..].Split('.')[0];
                if (used != folder && Array.IndexOf(order, used) is var place && (place < 0 || place > own))
                {
                    wrong.Add($"{relative} uses {used}");
                }
            }
        }

        Assert.Empty(wrong);
        Assert.True(files > 5, $"{root} has only {files} files.");
    }

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^using (?:static )?([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Using();
}
