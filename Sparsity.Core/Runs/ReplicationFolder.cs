using System.Runtime.InteropServices;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Runs;

/// <summary>
/// The tensors of a folder of the public replication: pytorch_model.bin, or sparse_model.bin beside bridges.bin. Its names are those of the
/// official code but for the
/// prefixes and the sinks; wpe is missing where no positions are added, and there is no final_logits_bias.
/// </summary>
internal static class ReplicationFolder
{
    private const string TensorsName = "pytorch_model.bin";
    private const string TensorsBesideBridgesName = "sparse_model.bin";
    private const string OurPrefix = "transformer.";
    private const string OurLayerPrefix = "transformer.h.";
    private const string TheirLayerPrefix = "blocks.";
    private const string OurSink = "attn.attn_imp.sink_logit";
    private const string TheirSink = "attn.attn_fn.sink_logit";

    /// <summary>Whether a folder holds such weights.</summary>
    public static bool IsIn(string directory) => FindTensors(directory) is not null;

    /// <summary>The file of weights.</summary>
    /// <exception cref="BadInputException">There is none.</exception>
    public static string TensorsPath(string directory) =>
        FindTensors(directory)
        ?? throw new BadInputException(
            $"{directory}: its config.json is of the public replication, but there is neither {TensorsName} "
                + $"nor {TensorsBesideBridgesName}. Add the file."
        );

    /// <summary>The file's tensors under the names of the list of parameters.</summary>
    /// <param name="tensors">By their names in the file, without wrappers' prefixes; changed.</param>
    /// <param name="path">For messages.</param>
    /// <param name="config">What config.json says.</param>
    /// <param name="hasPositions">Whether there is a wpe.</param>
    /// <exception cref="BadInputException">Tensors are missing, of another shape, or such that config.json knows nothing of.</exception>
    public static Dictionary<string, StoredTensor> ParametersOf(
        Dictionary<string, StoredTensor> tensors,
        string path,
        ModelConfig config,
        bool hasPositions
    )
    {
        for (int layer = 0; layer < config.NLayer; layer++)
        {
            tensors.Remove($"{TheirLayerPrefix}{layer}.attn.causal_mask"); // a buffer of models without fused attention
            if (!config.Sink)
            {
                tensors.Remove($"{TheirLayerPrefix}{layer}.{TheirSink}"); // there, but read by nothing
            }
        }

        string embedding = TheirName(ParameterNames.Token);
        StoredModel.RemoveTied(path, config, tensors, embedding);
        ParameterSpec[] wanted =
        [
            .. ParameterSpec
                .ListFor(config)
                .Where(spec => spec.Name != ParameterNames.LogitsBias && (hasPositions || spec.Name != ParameterNames.Position)),
        ];
        TensorFile.RequireExactly(path, tensors, [.. wanted.Select(spec => (TheirName(spec.Name), spec.Shape))]);
        return wanted.ToDictionary(spec => spec.Name, spec => tensors[TheirName(spec.Name)]);
    }

    /// <summary>Writes config.json and pytorch_model.bin, as float32.</summary>
    /// <exception cref="BadInputException">The replication's model cannot compute this one, or a file cannot be written.</exception>
    public static void Write(StoredModel model, string directory)
    {
        IReadOnlyList<ParameterSpec> specs = ParameterSpec.ListFor(model.Config);
        if (!IsZero(ParameterNames.LogitsBias))
        {
            throw new BadInputException(
                $"The replication's files cannot hold this model: it has a {ParameterNames.LogitsBias} that is "
                    + "not zero. Convert to run or official instead."
            );
        }

        bool hasPositions = model.Config.DPosEmb is null && !IsZero(ParameterNames.Position);
        AtomicFile.WriteText(new RunFolder(directory).ConfigPath, JsonText.Write(ReplicationConfig.Write(model.Config, hasPositions)));
        var tensors = new List<TensorToWrite>();
        foreach (
            ParameterSpec spec in specs.Where(spec =>
                spec.Name != ParameterNames.LogitsBias && (hasPositions || spec.Name != ParameterNames.Position)
            )
        )
        {
            Add(spec.Name, spec);
            if (!model.Config.RmsNorm && !model.Config.LnBias && spec.Name.Contains("ln_", StringComparison.Ordinal))
            {
                // The replication's LayerNorm always has one.
                tensors.Add(TensorToWrite.Of(TheirName(Path.ChangeExtension(spec.Name, "bias")), spec.Shape, () => new float[spec.Length]));
            }
        }

        if (model.Config.TiedUnembed)
        {
            Add(ParameterNames.Unembedding, specs.Single(spec => spec.Name == ParameterNames.Token));
        }

        TorchFile.Write(Path.Combine(directory, TensorsName), tensors);

        bool IsZero(string name) => model.Values(specs.Single(spec => spec.Name == name)).IndexOfAnyExcept(0f) < 0;

        void Add(string name, ParameterSpec spec) =>
            tensors.Add(new TensorToWrite(TheirName(name), spec.Shape, ElementType.F32, () => MemoryMarshal.AsBytes(model.Values(spec))));
    }

    private static string? FindTensors(string directory) =>
        new[] { TensorsName, TensorsBesideBridgesName }.Select(name => Path.Combine(directory, name)).FirstOrDefault(File.Exists);

    /// <summary>The replication's name of a parameter of ours.</summary>
    private static string TheirName(string ours) =>
        ours.StartsWith(OurLayerPrefix, StringComparison.Ordinal)
            ? TheirLayerPrefix + ours[OurLayerPrefix.Length..].Replace(OurSink, TheirSink, StringComparison.Ordinal)
        : ours.StartsWith(OurPrefix, StringComparison.Ordinal) ? ours[OurPrefix.Length..]
        : ours;
}
