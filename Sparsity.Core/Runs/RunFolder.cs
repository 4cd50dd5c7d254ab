using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;
using Sparsity.Core.Training;

namespace Sparsity.Core.Runs;

/// <summary>
/// The files of a run (see docs/formats.md): config.json and model.safetensors are enough for other tools to read the model.
/// </summary>
/// <param name="directory">The run's folder.</param>
public sealed class RunFolder(string directory)
{
    public string Directory { get; } = directory;

    /// <summary>The model's configuration under the official names.</summary>
    public string ConfigPath => Path.Combine(Directory, "config.json");

    /// <summary>The weights under the official names.</summary>
    public string ModelPath => Path.Combine(Directory, "model.safetensors");

    /// <summary>Weights and moments of the last checkpoint: all that resuming needs.</summary>
    public string StatePath => Path.Combine(Directory, "train_state.safetensors");

    /// <summary>Resolved settings, versions and device.</summary>
    public string RunPath => Path.Combine(Directory, "run.json");

    /// <summary>One JSON object per line.</summary>
    public string MetricsPath => Path.Combine(Directory, "metrics.jsonl");

    public string TokenizerPath => Path.Combine(Directory, "tokenizer");

    /// <summary>
    /// Creates the folder of a run, or takes an empty one, or one that a run left which was killed before it began: it writes run.json
    /// last.
    /// </summary>
    /// <exception cref="BadInputException">It holds other files already, or cannot be created.</exception>
    internal static RunFolder Create(string directory) =>
        new(
            OutputFolder.Create(
                directory,
                isLeft: names =>
                    names.Contains(FolderLock.FileName)
                    && names.All(name =>
                        name.StartsWith(FolderLock.FileName, StringComparison.Ordinal)
                        || name is "config.json" or "tokenizer" or "bridge.json"
                    )
            )
        );

    /// <summary>Checks that a run needs the model that is given for it to begin with.</summary>
    /// <param name="given">The folder that is given; null if none is.</param>
    /// <param name="recorded">The folder that the run was to begin with; null for random weights.</param>
    /// <exception cref="BadInputException">It began with random weights, or goes on from a checkpoint.</exception>
    internal void RequireUsesInitial(string? given, string? recorded)
    {
        if (given is not null && (recorded is null || HasState))
        {
            throw new BadInputException(
                $"{Directory}: does not need an initial model: it "
                    + $"{(recorded is null ? "began with random weights" : "has a checkpoint to go on from")}. Leave it out."
            );
        }
    }

    /// <exception cref="BadInputException">The model is another than the run was to begin with.</exception>
    internal void RequireSameInitial(string initial, string fingerprint, string recorded)
    {
        if (fingerprint != recorded)
        {
            throw new BadInputException(
                $"{initial}: has other weights than those that the run in {Directory} was to begin with. Give the right initial model."
            );
        }
    }

    /// <summary>Writes config.json.</summary>
    internal void WriteConfig(ModelConfig config) => AtomicFile.WriteText(ConfigPath, config.ToJson());

    /// <summary>Writes config.json and model.safetensors.</summary>
    internal void WriteModel(ModelParameters parameters, int step)
    {
        WriteConfig(parameters.Config);
        WriteTensors(
            ModelPath,
            [.. parameters.All.Select(parameter => (parameter.Spec.Name, parameter.Spec, parameter.Value))],
            parameters.Engine,
            step
        );
    }

    /// <summary>Reads the model of a run into an engine's memory, without gradients.</summary>
    /// <exception cref="BadInputException">A file is missing or damaged, or a tensor has another shape than the configuration
    /// says.</exception>
    internal ModelParameters ReadModel(IComputeEngine engine)
    {
        using StoredModel stored = StoredModel.Open(Directory);
        return stored.Load(engine);
    }

    /// <summary>Reads config.json.</summary>
    public ModelConfig ReadConfig()
    {
        if (!System.IO.Directory.Exists(Directory))
        {
            throw new BadInputException($"{Directory}: no such folder. Give the folder of a run.");
        }

        return ModelConfig.Parse(JsonText.ReadAllText(ConfigPath), ConfigPath, isStored: true);
    }

    /// <summary>Reads run.json.</summary>
    /// <exception cref="BadInputException">There is none, or it is damaged.</exception>
    public RunRecord ReadRecord() =>
        File.Exists(RunPath)
            ? JsonText.ReadFile<RunRecord>(RunPath)
            : throw new BadInputException(
                $"{Directory}: has no run.json, so it is no run, or one that was stopped before its first step. Give another folder, "
                    + $"or remove it and begin again."
            );

    /// <summary>Whether there is a checkpoint: a run that was stopped before its first has none.</summary>
    public bool HasState => File.Exists(StatePath) || EarlierStates().Count > 0;

    /// <summary>The step that the last checkpoint goes on with; null where there is none that can be read.</summary>
    public int? NextStep => StepOf(StatePath);

    /// <summary>Writes train_state.safetensors.</summary>
    /// <param name="keep">How many checkpoints there are then, this one included; earlier ones are named by their step.</param>
    /// <param name="metadata">What the run needs besides.</param>
    internal void WriteState(
        IComputeEngine engine,
        IReadOnlyList<Parameter> parameters,
        IReadOnlyList<AdamMoments> moments,
        int nextStep,
        int keep = 1,
        params IEnumerable<KeyValuePair<string, string>> metadata
    )
    {
        // One of the same step, written again, has no claim to stay; nor has one that cannot be read.
        string? previous = keep > 1 && StepOf(StatePath) is { } step && step != nextStep ? EarlierStatePath(step) : null;
        WriteTensors(StatePath, StateTensors(parameters, moments), engine, nextStep, previous, metadata);
        foreach (string old in EarlierStates().Skip(keep - 1))
        {
            AtomicFile.Delete(old);
        }
    }

    /// <summary>Reads the newest checkpoint that is whole.</summary>
    /// <exception cref="BadInputException">There is none, or it belongs to another model.</exception>
    internal RestoredState ReadState(IComputeEngine engine, IReadOnlyList<Parameter> parameters, IReadOnlyList<AdamMoments> moments)
    {
        try
        {
            return Read(StatePath, null);
        }
        catch (BadInputException e)
        {
            foreach (string earlier in EarlierStates())
            {
                try
                {
                    return Read(earlier, $"{e.Message} Going on from {Path.GetFileName(earlier)} instead.");
                }
                catch (BadInputException)
                {
                    // Then perhaps the one before; if none can be read, what is wrong with the newest is what to report.
                }
            }

            throw;
        }

        RestoredState Read(string path, string? damage)
        {
            IReadOnlyDictionary<string, string> metadata = ReadTensors(path, StateTensors(parameters, moments), engine);
            return metadata.TryGetValue("step", out string? text) && NumberText.TryParse(text, out int step) && step >= 0
                ? new RestoredState(step, metadata, damage)
                : throw new BadInputException($"{path}: does not say at which step it was written. Use another checkpoint.");
        }
    }

    private string EarlierStatePath(int step) =>
        Path.Combine(Directory, FormattableString.Invariant($"train_state.step-{step}.safetensors"));

    /// <summary>The checkpoints before the last, the newest first.</summary>
    private List<string> EarlierStates()
    {
        if (!System.IO.Directory.Exists(Directory))
        {
            return [];
        }

        IEnumerable<(string Path, int? Step)> found = System
            .IO.Directory.EnumerateFiles(Directory, "train_state.step-*.safetensors")
            .Select(path => (path, NumberIn(path)));
        return [.. found.Where(entry => entry.Step is not null).OrderByDescending(entry => entry.Step).Select(entry => entry.Path)];

        static int? NumberIn(string path) =>
            NumberText.TryParse(Path.GetFileName(path).Split('.')[1].AsSpan("step-".Length), out int step) ? step : null;
    }

    /// <summary>The step at which a checkpoint was written; null for one that cannot be read.</summary>
    private static int? StepOf(string path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            using TensorFile file = OpenTensors(path);
            return file.Metadata.TryGetValue("step", out string? text) && NumberText.TryParse(text, out int step) ? step : null;
        }
        catch (BadInputException)
        {
            return null; // its header is damaged: it is about to be replaced by a good one
        }
    }

    /// <summary>Fills tensors from a file that holds just these; returns its metadata.</summary>
    /// <param name="requireFinite">Whether numbers that are not finite are refused here; training finds them itself, and says what they
    /// do.</param>
    internal static IReadOnlyDictionary<string, string> ReadTensors(
        string path,
        IReadOnlyList<(string Name, ParameterSpec Spec, WeightTensor Tensor)> tensors,
        IComputeEngine engine,
        bool requireFinite = false
    )
    {
        using TensorFile file = OpenTensors(path);
        TensorFile.RequireExactly(path, file.ByName, [.. tensors.Select(entry => (entry.Name, entry.Spec.Shape))]);
        foreach ((string name, _, WeightTensor target) in tensors)
        {
            if (requireFinite)
            {
                NumericalException.RequireFinite(file.ByName[name].Floats(), path, name);
            }

            engine.Write(target, file.ByName[name].Floats());
        }

        return file.Metadata;
    }

    /// <summary>Opens a safetensors file of this or an earlier version of this program, or of any other program.</summary>
    internal static TensorFile OpenTensors(string path)
    {
        TensorFile file = Safetensors.Open(path);
        try
        {
            if (file.Metadata.TryGetValue("format_version", out string? version))
            {
                FileFormat.RequireKnown(version, path);
            }

            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static List<(string Name, ParameterSpec Spec, WeightTensor Tensor)> StateTensors(
        IReadOnlyList<Parameter> parameters,
        IReadOnlyList<AdamMoments> moments
    ) =>
        [
            .. parameters.Select(parameter => (parameter.Spec.Name, parameter.Spec, parameter.Value)),
            .. moments.Select(entry => ("adam_m/" + entry.Parameter.Spec.Name, entry.Parameter.Spec, entry.First)),
            .. moments.Select(entry => ("adam_v/" + entry.Parameter.Spec.Name, entry.Parameter.Spec, entry.Second)),
        ];

    /// <param name="previous">The name that a file already there gets; null to replace it.</param>
    /// <param name="metadata">Text by name, beside the format and the step.</param>
    internal static void WriteTensors(
        string path,
        IReadOnlyList<(string Name, ParameterSpec Spec, WeightTensor Tensor)> tensors,
        IComputeEngine engine,
        int step,
        string? previous = null,
        params IEnumerable<KeyValuePair<string, string>> metadata
    ) =>
        Safetensors.Write(
            path,
            [
                .. tensors.Select(entry =>
                    TensorToWrite.Of(
                        entry.Name,
                        entry.Spec.Shape,
                        () =>
                        {
                            var values = new float[entry.Tensor.Length];
                            engine.Read(entry.Tensor, values);
                            return values;
                        }
                    )
                ),
            ],
            new Dictionary<string, string>(metadata)
            {
                ["format"] = "pt",
                ["format_version"] = $"{FileFormat.Version}",
                ["step"] = $"{step}",
            },
            previous
        );
}

/// <summary>What a checkpoint says beside its tensors.</summary>
/// <param name="NextStep">The step to do next.</param>
/// <param name="Metadata">Text by name.</param>
/// <param name="ResumeWarning">Why it is not the newest one; null if it is.</param>
internal sealed record RestoredState(int NextStep, IReadOnlyDictionary<string, string> Metadata, string? ResumeWarning);
