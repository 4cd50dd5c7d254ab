namespace Sparsity.Kernels.Tests.Official;

/// <summary>
/// The fixtures of this repository, and those of the directory that the environment variable SPARSITY_FIXTURES names, laid out in the same
/// way.
/// </summary>
internal static class OfficialFolders
{
    /// <summary>What a folder of each kind holds; a file that is not listed would be numbers nobody compares.</summary>
    private static readonly Dictionary<string, string[]> FilesOf = new()
    {
        ["forward"] = ["beeg_config.json", "expected.bin", "expected.json", "final_model.pt"],
        ["train"] = ["expected.bin", "expected.json"],
        ["single"] = ["expected.bin", "expected.json"],
        ["replication"] = ["config.json", "expected.bin", "expected.json"],
    };

    /// <summary>What it may hold besides.</summary>
    private static readonly Dictionary<string, string[]> FurtherFilesOf = new()
    {
        ["replication"] = ["as_torch2_cuda.bin", "bridges.bin", "pytorch_model.bin", "sparse_model.bin", "training_config.yaml"],
    };

    /// <summary>Every folder of a kind.</summary>
    /// <param name="kind">forward, train, single or replication.</param>
    public static string[] Of(string kind) =>
        [.. Entries(kind, Directory.GetDirectories).Where(folder => kind != "replication" || Path.GetFileName(folder) != "tokenizer")];

    /// <summary>Every file of the units folders.</summary>
    public static IEnumerable<string> UnitFiles => Entries("units", Directory.GetFileSystemEntries);

    /// <summary>Fails if the folder lacks a file or has one that is not known.</summary>
    /// <returns>The numbers in it.</returns>
    public static OfficialFixture Open(string folder)
    {
        string kind = Path.GetFileName(Path.GetDirectoryName(folder)!);
        IEnumerable<string> found = Directory
            .GetFileSystemEntries(folder)
            .Select(path => Path.GetFileName(path)!)
            .Order(StringComparer.Ordinal);
        Assert.Equal(FilesOf[kind], found.Except(FurtherFilesOf.GetValueOrDefault(kind, [])));
        return OfficialFixture.At(Path.Combine(folder, "expected"));
    }

    private static IEnumerable<string> Entries(string kind, Func<string, string[]> list) =>
        OfficialFixture
            .Roots.Append(Path.GetDirectoryName(OfficialFixture.Root)!) // replication/ stands beside official/
            .Select(root => Path.Combine(root, kind))
            .Where(Directory.Exists)
            .SelectMany(list)
            .Order(StringComparer.Ordinal);
}
