using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Runs;

/// <summary>The kinds of folders that hold a model.</summary>
public enum ModelFolderKind
{
    /// <summary>config.json + model.safetensors + tokenizer/.</summary>
    Run,

    /// <summary>beeg_config.json + final_model.pt, with encoder.json + vocab.bpe beside them.</summary>
    Official,

    /// <summary>config.json + model.safetensors with prefixed names + tokenizer.json.</summary>
    HuggingFace,

    /// <summary>The public replication's config.json of three sections + pytorch_model.bin.</summary>
    Replication,

    /// <summary>As <see cref="Run"/>, but matrices have only their nonzero weights, in 16 bits each: a few percent of the size.</summary>
    Packed,
}

/// <summary>
/// A model as a folder holds it: a configuration, and a mapped file with a tensor for each entry of its list of parameters. Four kinds of
/// folders are read: the official beeg_config.json + final_model.pt, the Hugging Face release's config.json + model.safetensors, the public
/// replication's config.json + pytorch_model.bin, and a run's.
/// </summary>
public sealed class StoredModel : IDisposable
{
    /// <summary>The configuration of the official folder.</summary>
    public const string OfficialConfigName = "beeg_config.json";

    /// <summary>The weights of the official folder.</summary>
    public const string OfficialTensorsName = "final_model.pt";

    /// <summary>What the Hugging Face release puts before every tensor's name.</summary>
    public const string HuggingFacePrefix = "circuit_model.";

    private readonly TensorFile _file;
    private readonly Dictionary<string, StoredTensor> _tensors;

    private StoredModel(string directory, ModelConfig config, TensorFile file, Dictionary<string, StoredTensor> tensors)
    {
        Directory = directory;
        Config = config;
        _file = file;
        _tensors = tensors;
    }

    public string Directory { get; }

    public ModelConfig Config { get; }

    /// <summary>Fields of a Hugging Face configuration that are not the model's own.</summary>
    public IReadOnlyList<string> IgnoredFields { get; private init; } = [];

    /// <summary>
    /// Those of <see cref="IgnoredFields"/> that Hugging Face's programs do not write into every configuration: they may mean something.
    /// </summary>
    public IEnumerable<string> UnknownFields => IgnoredFields.Where(name => !HuggingFaceFields.Contains(name));

    /// <summary>What data-parallel training and compilation put into the tensors' names, and was left out of them.</summary>
    public IReadOnlyList<string> WrapperPrefixes { get; private init; } = [];

    /// <summary>What whoever uses the model has to know: what its files leave open and was taken from elsewhere.</summary>
    public IReadOnlyList<string> Notes { get; private init; } = [];

    /// <summary>What was read otherwise than it stands in the files, and what they leave open: a sentence each.</summary>
    public IEnumerable<string> Remarks =>
        [
            .. WrapperPrefixes.Count > 0
                ? [$"{Directory}: left out of the tensors' names: {string.Join(", ", WrapperPrefixes)}"]
                : (string[])[],
            .. UnknownFields.Any()
                ? [$"{Directory}: passed over in its configuration, as no fields of the model: {string.Join(", ", UnknownFields)}"]
                : (string[])[],
            .. Notes.Select(note => $"{Directory}: {note}"),
        ];

    /// <summary>Whether a folder holds a model of any kind.</summary>
    public static bool IsIn(string directory) =>
        (File.Exists(Path.Combine(directory, OfficialConfigName)) || File.Exists(new RunFolder(directory).ConfigPath))
        && (FindTensors(directory, false) is not null || ReplicationFolder.IsIn(directory));

    /// <summary>Maps the folder's files and checks that they belong together.</summary>
    /// <exception cref="BadInputException">A file is missing or damaged, or tensors are missing, unknown, or of other shapes than the
    /// configuration says.</exception>
    public static StoredModel Open(string directory)
    {
        if (!System.IO.Directory.Exists(directory))
        {
            throw new BadInputException($"{directory}: no such folder. Give the folder of a run or of a released model.");
        }

        var run = new RunFolder(directory);
        string officialConfig = Path.Combine(directory, OfficialConfigName);
        bool isOfficial = File.Exists(officialConfig) && !(File.Exists(run.ModelPath) && File.Exists(run.ConfigPath));
        string configPath = isOfficial ? officialConfig : run.ConfigPath;
        if (!File.Exists(configPath))
        {
            throw new BadInputException(
                $"{directory}: holds no model; expected config.json or {OfficialConfigName}, and weights beside it. Give the folder "
                    + $"of a run or of a released model.{ModelsBelow(directory)}"
            );
        }

        JsonObject fields = JsonText.ParseObject(JsonText.ReadAllText(configPath), configPath);
        bool isReplication = ReplicationConfig.IsOne(fields);
        var notes = new List<string>();
        bool hasPositions = true;
        ModelConfig config;
        IReadOnlyList<string> ignored = [];
        if (isReplication)
        {
            (config, hasPositions) = ReplicationConfig.Read(fields, configPath, notes);
        }
        else
        {
            (config, ignored) = ReadConfig(fields, configPath);
        }

        TensorFile file = isReplication ? TorchFile.Open(ReplicationFolder.TensorsPath(directory)) : OpenTensors(directory, configPath);
        try
        {
            (Dictionary<string, StoredTensor> tensors, IReadOnlyList<string> prefixes) = WrapperNames.Without(file, isReplication);
            tensors = isReplication
                ? ReplicationFolder.ParametersOf(tensors, file.Path, config, hasPositions)
                : ParametersOf(tensors, file.Path, config);
            return new StoredModel(directory, config, file, tensors)
            {
                IgnoredFields = ignored,
                WrapperPrefixes = prefixes,
                Notes = notes,
            };
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>" Below it: a, b." of the folders with models in a folder; empty where there are none.</summary>
    private static string ModelsBelow(string directory)
    {
        const int Shown = 4;
        string[] below = [.. System.IO.Directory.GetDirectories(directory).Where(IsIn).Order(StringComparer.Ordinal).Take(Shown)];
        return below.Length == 0 ? "" : $" Below it: {string.Join(", ", below)}.";
    }

    /// <summary>The values of a parameter, in row-major order; valid until this is disposed.</summary>
    /// <exception cref="NumericalException">One of them is not finite.</exception>
    public ReadOnlySpan<float> Values(ParameterSpec spec)
    {
        ReadOnlySpan<float> values = _tensors.TryGetValue(spec.Name, out StoredTensor? tensor) ? tensor.Floats() : new float[spec.Length];
        NumericalException.RequireFinite(values, _file.Path, spec.Name);
        return values;
    }

    /// <summary>SHA-256 of the weights, as <see cref="ModelParameters.Fingerprint"/> of the loaded model.</summary>
    public string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (ParameterSpec spec in ParameterSpec.ListFor(Config))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(spec.Name));
            hash.AppendData(MemoryMarshal.AsBytes(Values(spec)));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Copies all parameters into an engine's memory, without gradients.</summary>
    public ModelParameters Load(IComputeEngine engine)
    {
        var parameters = new ModelParameters(engine, Config);
        try
        {
            foreach (Parameter parameter in parameters.All)
            {
                engine.Write(parameter.Value, Values(parameter.Spec));
            }
        }
        catch
        {
            parameters.Dispose();
            throw;
        }

        return parameters;
    }

    /// <summary>Writes the model's files into a folder of the kind asked for, as float32; a packed one's matrices in 16 bits.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="kind">What is written.</param>
    /// <param name="smallestBigram">Of a packed folder: entries of the bigram table that are nearer to zero are left out.</param>
    /// <exception cref="BadInputException">A file cannot be written.</exception>
    public void Save(string directory, ModelFolderKind kind, double smallestBigram = 0)
    {
        var run = new RunFolder(directory);
        switch (kind)
        {
            case ModelFolderKind.Official:
                AtomicFile.WriteText(Path.Combine(directory, OfficialConfigName), Config.ForOfficialCode().ToJson());
                TorchFile.Write(Path.Combine(directory, OfficialTensorsName), ToWrite("", isTiedStoredTwice: true));
                break;
            case ModelFolderKind.HuggingFace:
                var config = new JsonObject { ["architectures"] = new JsonArray("CircuitGPTForCausalLM"), ["model_type"] = "circuitgpt" };
                foreach ((string name, JsonNode? value) in JsonText.ParseObject(Config.ForOfficialCode().ToJson(), directory))
                {
                    config[name] = value?.DeepClone();
                }

                AtomicFile.WriteText(run.ConfigPath, JsonText.Write(config));
                Safetensors.Write(run.ModelPath, ToWrite(HuggingFacePrefix), new Dictionary<string, string> { ["format"] = "pt" });
                break;
            case ModelFolderKind.Replication:
                ReplicationFolder.Write(this, directory);
                break;
            case ModelFolderKind.Packed:
                WritePacked(run, smallestBigram);
                break;
            default:
                AtomicFile.WriteText(run.ConfigPath, Config.ToJson());
                Safetensors.Write(run.ModelPath, ToWrite(""), new Dictionary<string, string> { ["format"] = "pt" });
                break;
        }
    }

    private void WritePacked(RunFolder run, double smallestBigram)
    {
        var tensors = new List<TensorToWrite>();
        var metadata = new Dictionary<string, string> { ["format"] = "pt" };
        foreach (ParameterSpec spec in ParameterSpec.ListFor(Config))
        {
            if (spec.Shape.Count < 2)
            {
                tensors.Add(new TensorToWrite(spec.Name, spec.Shape, ElementType.F32, () => MemoryMarshal.AsBytes(Values(spec))));
                continue;
            }

            float[] values = Values(spec).ToArray();
            if (spec.Name == ParameterNames.Bigram)
            {
                values = Array.ConvertAll(values, value => Math.Abs(value) < smallestBigram ? 0 : value);
            }

            (TensorToWrite[] packed, (string key, string shape)) = PackedTensors.Pack(spec.Name, spec.Shape, values, run.ModelPath);
            tensors.AddRange(packed);
            metadata[key] = shape;
        }

        AtomicFile.WriteText(run.ConfigPath, Config.ToJson());
        Safetensors.Write(run.ModelPath, tensors, metadata);
    }

    public void Dispose() => _file.Dispose();

    /// <summary>People keep the weights of either kind of configuration in any of these.</summary>
    private static string? FindTensors(string directory, bool isOfficial)
    {
        string[] names = ["model.safetensors", ShardedSafetensors.IndexName, OfficialTensorsName, "pytorch_model.bin"];
        return names
            .OrderBy(name => isOfficial && name == OfficialTensorsName ? 0 : 1)
            .Select(name => Path.Combine(directory, name))
            .FirstOrDefault(File.Exists);
    }

    private static TensorFile OpenTensors(string directory, string configPath)
    {
        string path =
            FindTensors(directory, Path.GetFileName(configPath) == OfficialConfigName)
            ?? throw new BadInputException(
                $"{directory}: has {Path.GetFileName(configPath)}, but no weights; expected model.safetensors (or "
                    + $"{ShardedSafetensors.IndexName} and its parts), {OfficialTensorsName} or pytorch_model.bin. Add the file."
            );
        return Path.GetFileName(path) switch
        {
            "model.safetensors" => RunFolder.OpenTensors(path),
            ShardedSafetensors.IndexName => ShardedSafetensors.Open(path),
            _ => TorchFile.Open(path),
        };
    }

    /// <param name="isTiedStoredTwice">Whether a tied lm_head is written too: PyTorch lists it among the state, although it is wte.</param>
    private List<TensorToWrite> ToWrite(string prefix, bool isTiedStoredTwice = false)
    {
        List<TensorToWrite> tensors = [.. ParameterSpec.ListFor(Config).Select(spec => Of(spec.Name, spec))];
        if (isTiedStoredTwice && Config.TiedUnembed)
        {
            tensors.Add(Of(ParameterNames.Unembedding, ParameterSpec.ListFor(Config).Single(spec => spec.Name == ParameterNames.Token)));
        }

        return tensors;

        TensorToWrite Of(string name, ParameterSpec spec) =>
            new(prefix + name, spec.Shape, ElementType.F32, () => MemoryMarshal.AsBytes(Values(spec)));
    }

    /// <summary>A configuration that names its kind of model for Hugging Face's programs may have further fields of theirs.</summary>
    private static (ModelConfig Config, IReadOnlyList<string> Ignored) ReadConfig(JsonObject fields, string path)
    {
        var ignored = new List<string>();
        if (fields.ContainsKey("model_type") || fields.ContainsKey("architectures"))
        {
            ignored.AddRange(fields.Select(field => field.Key).Where(name => !ModelConfig.IsStoredField(name)));
            ignored.ForEach(name => fields.Remove(name));
        }

        return (ModelConfig.Parse(fields, path, isStored: true), ignored);
    }

    /// <summary>Drops what other programs store besides, and checks the rest against the list of parameters.</summary>
    private static Dictionary<string, StoredTensor> ParametersOf(Dictionary<string, StoredTensor> tensors, string path, ModelConfig config)
    {
        for (int layer = 0; layer < config.NLayer; layer++)
        {
            tensors.Remove(ParameterNames.Layer(layer) + "attn.bias"); // the causal mask of programs without fused attention
        }

        RemoveTied(path, config, tensors, ParameterNames.Token);
        IEnumerable<ParameterSpec> wanted = ParameterSpec.ListFor(config);
        if (!tensors.ContainsKey(ParameterNames.LogitsBias))
        {
            wanted = wanted.Where(spec => spec.Name != ParameterNames.LogitsBias); // older files lack it; it is zero then
        }

        TensorFile.RequireExactly(path, tensors, [.. wanted.Select(spec => (spec.Name, spec.Shape))]);
        return tensors;
    }

    /// <summary>
    /// Takes the unembedding out of a tied model's tensors. Some writers store the pair twice, others once under either name.
    /// </summary>
    /// <param name="embeddingName">The embedding's name in this file.</param>
    /// <exception cref="BadInputException">The two differ.</exception>
    internal static void RemoveTied(string path, ModelConfig config, Dictionary<string, StoredTensor> tensors, string embeddingName)
    {
        if (
            config.TiedUnembed
            && tensors.Remove(ParameterNames.Unembedding, out StoredTensor? unembedding)
            && !tensors.TryAdd(embeddingName, unembedding)
            && tensors[embeddingName] is var embedding
            && !(unembedding.Shape.SequenceEqual(embedding.Shape) && unembedding.Floats().SequenceEqual(embedding.Floats()))
        )
        {
            throw new BadInputException(
                $"{path}: {ParameterNames.Unembedding} differs from {embeddingName}, but the configuration says tied_unembed. Set "
                    + $"tied_unembed to false, or use the right files."
            );
        }
    }
}
