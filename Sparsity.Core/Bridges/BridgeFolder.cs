using System.Globalization;
using System.Text.Json.Serialization;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;

namespace Sparsity.Core.Bridges;

/// <summary>bridge.json: which dense model the bridges of a run lead to, and their settings.</summary>
internal sealed record BridgeRecord
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>The dense model's folder, as an absolute path; of bridges from the public replication its name.</summary>
    public required string Dense { get; init; }

    /// <summary><see cref="ModelParameters.Fingerprint"/> of the dense model.</summary>
    public required string DenseFingerprint { get; init; }

    /// <summary>The folder whose weights the sparse model started from, as an absolute path; null where they were drawn.</summary>
    public string? Init { get; init; }

    /// <summary>
    /// <see cref="ModelParameters.Fingerprint"/> of that model; null where there is none, and in files of earlier versions.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? InitFingerprint { get; init; }

    public required BridgeConfig Bridge { get; init; }
}

/// <summary>
/// The files that a run with bridges has beside those of the sparse model's training: bridge.json, and bridges.safetensors, whose metadata
/// name both models by their fingerprints.
/// </summary>
/// <param name="directory">The run's folder.</param>
internal sealed class BridgeFolder(string directory)
{
    private const string DenseKey = "dense_fingerprint";
    private const string SparseKey = "sparse_fingerprint";

    public string RecordPath => Path.Combine(directory, "bridge.json");

    public string BridgesPath => Path.Combine(directory, "bridges.safetensors");

    /// <summary>Reads bridge.json.</summary>
    /// <exception cref="BadInputException">There is none, or it is damaged.</exception>
    public BridgeRecord ReadRecord()
    {
        if (!Directory.Exists(directory))
        {
            throw new BadInputException(
                $"{directory}: no such folder. Give the folder of a run with bridges, made by 'sparsity bridge train'."
            );
        }

        if (!File.Exists(RecordPath))
        {
            return ReplicationBridges.IsIn(directory)
                ? ReplicationBridges.ReadRecord(directory)
                : throw new BadInputException(
                    $"{directory}: has no bridge.json, so it is no run with bridges. Make one with 'sparsity bridge train'."
                );
        }

        BridgeRecord record = JsonText.ReadFile<BridgeRecord>(RecordPath);
        return record with { Bridge = record.Bridge.Validated(RecordPath) };
    }

    /// <summary>Writes bridges.safetensors.</summary>
    public void WriteBridges(BridgePairs bridges, string denseFingerprint, string sparseFingerprint, int step) =>
        RunFolder.WriteTensors(
            BridgesPath,
            Tensors(bridges),
            bridges.Engine,
            step,
            null,
            new(DenseKey, denseFingerprint),
            new(SparseKey, sparseFingerprint)
        );

    /// <summary>Reads the bridges between two models.</summary>
    /// <exception cref="BadInputException">The file is missing or damaged, or belongs to other models.</exception>
    public BridgePairs ReadBridges(ModelParameters dense, ModelParameters sparse, BridgeConfig config)
    {
        var bridges = new BridgePairs(sparse.Engine, dense.Config, sparse.Config, config, isTrained: false);
        try
        {
            if (!File.Exists(RecordPath) && ReplicationBridges.IsIn(directory))
            {
                ReplicationBridges.Read(directory, bridges); // it does not say which weights they belong to
                return bridges;
            }

            IReadOnlyDictionary<string, string> metadata = RunFolder.ReadTensors(
                BridgesPath,
                Tensors(bridges),
                sparse.Engine,
                requireFinite: true
            );
            RequireSame(metadata, DenseKey, dense, "dense", "Give the dense model they were trained with.");
            RequireSame(metadata, SparseKey, sparse, "sparse", "Resume the run, which writes both anew, or restore model.safetensors.");
            return bridges;
        }
        catch
        {
            bridges.Dispose();
            throw;
        }
    }

    /// <summary>Checks that a model can be the dense side: all but a few entries of its attention and MLP matrices are nonzero.</summary>
    /// <exception cref="BadInputException">It is a sparse model.</exception>
    public static void RequireDense(ModelParameters model, string source)
    {
        const double LeastShare = 0.9;
        double share = Training.ModelStatistics.Of(model).NonzeroFraction;
        if (share < LeastShare)
        {
            throw new BadInputException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{source}: only {100 * share:0.#} % of its attention and MLP weights are nonzero, so it is no dense model. Give "
                        + $"as the dense model one that was trained without weight sparsity."
                )
            );
        }
    }

    private static List<(string Name, ParameterSpec Spec, WeightTensor Tensor)> Tensors(BridgePairs bridges) =>
        [.. bridges.All.Select(parameter => (parameter.Spec.Name, parameter.Spec, parameter.Value))];

    private void RequireSame(IReadOnlyDictionary<string, string> metadata, string key, ModelParameters model, string which, string advice)
    {
        string expected = metadata.GetValueOrDefault(key, "none");
        string given = model.Fingerprint();
        if (expected != given)
        {
            throw new BadInputException(
                $"{BridgesPath}: the bridges belong to another {which} model (fingerprint {Head(expected)}) than the one given "
                    + $"({Head(given)}). {advice}"
            );
        }

        static string Head(string fingerprint) => fingerprint[..Math.Min(12, fingerprint.Length)];
    }
}
