using Sparsity.Core.Files;
using Sparsity.Core.Runs;

namespace Sparsity.Core.Reproduction;

/// <summary>diverged.json in the folder of a run whose loss or weights stopped being finite: what a sweep has in a model's place.</summary>
/// <param name="Name">Of the folder in models/.</param>
/// <param name="Model">That was trained.</param>
/// <param name="Reason">At which step what was not finite.</param>
internal sealed record DivergedModel(string Name, PlannedModel Model, string Reason)
{
    public const string FileName = "diverged.json";

    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>What an earlier run left; null where it did not diverge.</summary>
    /// <exception cref="BadInputException">The file is damaged.</exception>
    public static DivergedModel? Find(RunFolder folder)
    {
        string path = Path.Combine(folder.Directory, FileName);
        return File.Exists(path) ? JsonText.ReadFile<DivergedModel>(path) : null;
    }

    public void WriteTo(RunFolder folder) => AtomicFile.WriteText(Path.Combine(folder.Directory, FileName), JsonText.Write(this));
}
