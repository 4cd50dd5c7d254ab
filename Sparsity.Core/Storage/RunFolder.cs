using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Storage;

/// <summary>The files of a run (see docs/formats.md): config.json and model.safetensors are enough for other tools to read the model.</summary>
/// <param name="directory">The run's folder.</param>
public sealed class RunFolder(string directory)
{
    public const int FormatVersion = 1;

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

    /// <summary>Creates the folder, or takes an empty one.</summary>
    /// <exception cref="BadInputException">It holds files already, or cannot be created.</exception>
    public static RunFolder Create(string directory)
    {
        try
        {
            if (File.Exists(directory))
            {
                throw new BadInputException($"{directory}: is a file. Choose another --out.");
            }

            if (System.IO.Directory.Exists(directory) && System.IO.Directory.EnumerateFileSystemEntries(directory).Any())
            {
                throw new BadInputException($"{directory}: already holds files, and nothing is overwritten. Choose another --out, remove the folder, or continue a run with --resume.");
            }

            System.IO.Directory.CreateDirectory(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{directory}: cannot be created ({e.Message}). Choose another --out.", e);
        }

        return new RunFolder(directory);
    }

    /// <summary>Writes config.json and model.safetensors.</summary>
    public void WriteModel(ModelParameters parameters, int step)
    {
        AtomicFile.WriteText(ConfigPath, parameters.Config.ToJson());
        WriteTensors(ModelPath, [.. parameters.All.Select(parameter => (parameter.Spec.Name, parameter.Spec, parameter.Value))], parameters.Engine, step);
    }

    /// <summary>Reads the model of a run into an engine's memory, without gradients.</summary>
    /// <exception cref="BadInputException">A file is missing or damaged, or a tensor has another shape than the configuration says.</exception>
    public ModelParameters ReadModel(IComputeEngine engine)
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

        return ModelConfig.Parse(JsonText.ReadAllText(ConfigPath), ConfigPath);
    }

    /// <summary>Writes train_state.safetensors.</summary>
    public void WriteState(IComputeEngine engine, IReadOnlyList<Parameter> parameters, IReadOnlyList<Training.AdamMoments> moments, int nextStep) =>
        WriteTensors(StatePath, StateTensors(parameters, moments), engine, nextStep);

    /// <summary>Reads train_state.safetensors; returns the step to do next.</summary>
    public int ReadState(IComputeEngine engine, IReadOnlyList<Parameter> parameters, IReadOnlyList<Training.AdamMoments> moments)
    {
        return ReadTensors(StatePath, StateTensors(parameters, moments), engine).TryGetValue("step", out string? text) && int.TryParse(text, out int step) && step >= 0
            ? step
            : throw new BadInputException($"{StatePath}: does not say at which step it was written. Use another checkpoint.");
    }

    /// <summary>Fills tensors from a file that holds just these; returns its metadata.</summary>
    internal static IReadOnlyDictionary<string, string> ReadTensors(
        string path, IReadOnlyList<(string Name, ParameterSpec Spec, WeightTensor Tensor)> tensors, IComputeEngine engine)
    {
        using TensorFile file = OpenTensors(path);
        TensorFile.RequireExactly(path, file.ByName, [.. tensors.Select(entry => (entry.Name, entry.Spec.Shape))]);
        foreach ((string name, _, WeightTensor target) in tensors)
        {
            engine.Write(target, file.ByName[name].Floats());
        }

        return file.Metadata;
    }

    /// <summary>Opens a safetensors file of this or an earlier version of this program, or of any other program.</summary>
    internal static TensorFile OpenTensors(string path)
    {
        TensorFile file = Safetensors.Open(path);
        if (file.Metadata.TryGetValue("format_version", out string? version) && (!int.TryParse(version, out int number) || number > FormatVersion))
        {
            file.Dispose();
            throw new BadInputException($"{path}: has format version {version}, but this program reads up to {FormatVersion}. Use a newer program.");
        }

        return file;
    }

    private static List<(string Name, ParameterSpec Spec, WeightTensor Tensor)> StateTensors(
        IReadOnlyList<Parameter> parameters, IReadOnlyList<Training.AdamMoments> moments) =>
    [
        .. parameters.Select(parameter => (parameter.Spec.Name, parameter.Spec, parameter.Value)),
        .. moments.Select(entry => ("adam_m/" + entry.Parameter.Spec.Name, entry.Parameter.Spec, entry.First)),
        .. moments.Select(entry => ("adam_v/" + entry.Parameter.Spec.Name, entry.Parameter.Spec, entry.Second)),
    ];

    /// <param name="metadata">Text by name, beside the format and the step.</param>
    internal static void WriteTensors(
        string path, IReadOnlyList<(string Name, ParameterSpec Spec, WeightTensor Tensor)> tensors, IComputeEngine engine, int step,
        params IEnumerable<KeyValuePair<string, string>> metadata) =>
        Safetensors.Write(
            path,
            [
                .. tensors.Select(entry => TensorToWrite.Of(entry.Name, entry.Spec.Shape, () =>
                {
                    var values = new float[entry.Tensor.Length];
                    engine.Read(entry.Tensor, values);
                    return values;
                })),
            ],
            new Dictionary<string, string>(metadata) { ["format"] = "pt", ["format_version"] = $"{FormatVersion}", ["step"] = $"{step}" });
}
