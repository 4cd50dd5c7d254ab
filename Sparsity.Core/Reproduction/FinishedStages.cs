using Sparsity.Core.Files;

namespace Sparsity.Core.Reproduction;

/// <summary>stages.json: what a shard of a figure or a sweep has made, written when that is all it has to make.</summary>
/// <param name="Models">Names of folders in models/.</param>
/// <param name="Circuits">Names of folders in circuits/.</param>
internal sealed record FinishedStages(IReadOnlyList<string> Models, IReadOnlyList<string> Circuits)
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>Names of folders in models/ whose training diverged; only a sweep goes on then.</summary>
    public IReadOnlyList<string> Diverged { get; init; } = [];

    /// <summary>In the order in which they were made.</summary>
    public static FinishedStages Of(
        IEnumerable<MeasuredModel> models,
        IEnumerable<ModelCircuits> circuits,
        IEnumerable<DivergedModel> diverged
    ) =>
        new([.. models.Select(model => model.Name)], [.. circuits.Select(entry => ModelCircuits.FolderName(entry.Model, entry.Method))])
        {
            Diverged = [.. diverged.Select(model => model.Name)],
        };

    /// <summary>Reads stages.json.</summary>
    /// <exception cref="BadInputException">It is damaged.</exception>
    public static FinishedStages Load(string path)
    {
        FinishedStages read = JsonText.ReadFile<FinishedStages>(path);
        string? other = read
            .Models.Concat(read.Circuits)
            .Concat(read.Diverged)
            .FirstOrDefault(name => name.Length == 0 || name[0] == '.' || name.IndexOfAny(['/', '\\', ':', '\0']) >= 0);
        return other is null ? read : throw new BadInputException($"{path}: '{other}' is no name of a stage. Run the shard again.");
    }

    /// <summary>Their folders in a shard, and that of the text they were made from, if it was made there too.</summary>
    /// <param name="shard">The shard's folder.</param>
    /// <param name="plan">Of the figure or sweep.</param>
    internal IEnumerable<StageFolder> In(string shard, StagePlan plan)
    {
        string? data = plan.Synthetic?.Name;
        return
        [
            .. data is null ? (StageFolder[])[] : [new StageFolder(shard, data, "train.bin", data)],
            .. Models.Select(name => new StageFolder(shard, Path.Combine("models", name), "model.safetensors", data)),
            .. Diverged.Select(name => new StageFolder(shard, Path.Combine("models", name), DivergedModel.FileName, data)),
            .. Circuits.Select(name => new StageFolder(shard, Path.Combine("circuits", name), "results.json", data)),
        ];
    }
}
