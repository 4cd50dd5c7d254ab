using Sparsity.Core;
using Sparsity.Core.Runs;

namespace Sparsity.Cli.Viewer;

/// <summary>
/// What a folder holds that the viewer shows: models and circuits, in the folder and those below. Symbolic links are not followed: nothing
/// outside the folder becomes visible, whatever lies in it.
/// </summary>
internal sealed class RunFiles
{
    private const int DeepestFolder = 8;

    private static readonly string[] ReportKinds = ["faithfulness", "steering"];

    /// <exception cref="BadInputException">There is no such folder, or nothing to show in it.</exception>
    public RunFiles(string directory)
    {
        if (!Directory.Exists(directory))
        {
            throw new BadInputException($"{directory}: no such folder. Give the folder of a run, or one with runs in it.");
        }

        Root = Path.GetFullPath(directory);
        var options = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            MaxRecursionDepth = DeepestFolder,
            AttributesToSkip = FileAttributes.ReparsePoint,
            IgnoreInaccessible = true,
        };
        string[] files = [.. Directory.EnumerateFiles(Root, "*", options).Order(StringComparer.Ordinal)];
        Models =
        [
            .. files
                .Where(file => Path.GetFileName(file) is "metrics.jsonl" or "model.safetensors" or StoredModel.OfficialTensorsName)
                .Select(file => Path.GetDirectoryName(file)!)
                .Distinct()
                .Where(folder =>
                    files.Contains(new RunFolder(folder).ConfigPath) || files.Contains(Path.Combine(folder, StoredModel.OfficialConfigName))
                ),
        ];
        Circuits =
        [
            .. files.Where(file =>
                Path.GetFileName(file) is var name
                && name.StartsWith("circuit", StringComparison.Ordinal)
                && name.EndsWith(".json", StringComparison.Ordinal)
            ),
        ];
        Results = [.. files.Where(file => Path.GetFileName(file) == "results.json")];
        Reports =
        [
            .. files.Where(file =>
                ReportKinds.Any(kind => Path.GetFileName(file).StartsWith(kind, StringComparison.Ordinal))
                && file.EndsWith(".json", StringComparison.Ordinal)
            ),
        ];
        if (Models.Count == 0 && Circuits.Count == 0)
        {
            throw new BadInputException(
                $"{directory}: holds neither a model (config.json with metrics.jsonl or model.safetensors, or beeg_config.json with "
                    + $"final_model.pt) nor a circuit.json, in it or below. Give the folder of a run."
            );
        }
    }

    public string Root { get; }

    /// <summary>Folders with a model, trained or in training.</summary>
    public IReadOnlyList<string> Models { get; }

    /// <summary>Files that ought to hold circuits.</summary>
    public IReadOnlyList<string> Circuits { get; }

    /// <summary>Files that ought to hold results of pruning several tasks.</summary>
    public IReadOnlyList<string> Results { get; }

    /// <summary>Reports that are shown as they are: of faithfulness, and of steering over a bridge.</summary>
    public IReadOnlyList<string> Reports { get; }

    /// <summary>The name of a file or folder inside the run, with slashes; the run's own name for itself.</summary>
    public string NameOf(string path)
    {
        string relative = Path.GetRelativePath(Root, path).Replace('\\', '/');
        return relative == "." ? Path.GetFileName(Root) : relative;
    }

    /// <summary>The path itself.</summary>
    /// <exception cref="BadInputException">The file has become a symbolic link since the folder was looked through.</exception>
    public static string NoLink(string path) =>
        new FileInfo(path).LinkTarget is null
            ? path
            : throw new BadInputException($"{path}: is a symbolic link, which the viewer does not follow.");

    /// <summary>A circuit is known by its folder, or by its file where that has another name than circuit.json.</summary>
    public string IdOf(string circuit) =>
        Path.GetFileName(circuit) == "circuit.json" && Path.GetDirectoryName(circuit) is { } folder && folder != Root
            ? NameOf(folder)
            : NameOf(circuit)[..^".json".Length];
}
