using System.Diagnostics;
using System.IO.Compression;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>What <c>dotnet pack</c> makes, from the build that the tests run on.</summary>
public sealed class PackageTests : IDisposable
{
    private static readonly string Root = Path.GetFullPath(Path.Combine(OfficialFixture.Root, "..", "..", ".."));

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void LibrariesAndToolArePackedAndTheToolIsInstalledFromAFolder()
    {
        string configuration = Path.GetFileName(Path.GetDirectoryName(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar)))!;
        foreach (string project in new[] { "Sparsity.Core", "Sparsity.Kernels", "Sparsity.Cli" })
        {
            Dotnet("pack", Path.Combine(Root, project), "-c", configuration, "--no-build", "-o", _folder["feed"]);
        }

        foreach (string library in new[] { "Sparsity.Core", "Sparsity.Kernels" })
        {
            string[] entries = Entries(library, ".nupkg");
            Assert.Contains("README.md", entries);
            Assert.Contains($"lib/net10.0/{library}.dll", entries);
            Assert.Contains($"lib/net10.0/{library}.xml", entries);
            Assert.Contains($"lib/net10.0/{library}.pdb", Entries(library, ".snupkg"));
            Assert.Contains(">Apache-2.0</license>", Text(library, $"{library}.nuspec"), StringComparison.Ordinal);
        }

        Dotnet("tool", "install", "sparsity", "--source", _folder["feed"], "--tool-path", _folder["tool"]);
        Assert.Contains("single_double_quote", Run(_folder["tool/sparsity"], "tasks", "list"), StringComparison.Ordinal);
    }

    private static void Dotnet(params string[] arguments) => Run("dotnet", arguments);

    private static string Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(
            process.ExitCode == 0,
            $"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {output}{errors.Result}"
        );
        return output;
    }

    private string[] Entries(string package, string kind)
    {
        using ZipArchive archive = Open(package, kind);
        return [.. archive.Entries.Select(entry => entry.FullName)];
    }

    private string Text(string package, string entry)
    {
        using ZipArchive archive = Open(package, ".nupkg");
        using var reader = new StreamReader(archive.GetEntry(entry)!.Open());
        return reader.ReadToEnd();
    }

    private ZipArchive Open(string package, string kind) =>
        ZipFile.OpenRead(
            Directory.EnumerateFiles(_folder["feed"], package + ".*" + kind).Single(path => path.EndsWith(kind, StringComparison.Ordinal))
        );
}
