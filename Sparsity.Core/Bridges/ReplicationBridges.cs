using System.Text.Json.Nodes;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Bridges;

/// <summary>
/// The bridges of the public replication: bridges.bin beside sparse_model.bin, a linear encoder with AbsTopK and a linear decoder at each
/// of the 2L+1 residuals. The
/// dense model is only named, in config.json. Encoders with learned thresholds are refused, and decoders that read a residual before its
/// AbsTopK.
/// </summary>
internal static class ReplicationBridges
{
    private const string FileName = "bridges.bin";
    private const string Threshold = "threshold";

    /// <summary>Whether a folder holds such bridges.</summary>
    public static bool IsIn(string directory) => File.Exists(Path.Combine(directory, FileName));

    /// <summary>What config.json says of them; the dense model's fingerprint is not known.</summary>
    /// <exception cref="BadInputException">It says nothing, or what bridges here cannot do.</exception>
    public static BridgeRecord ReadRecord(string directory)
    {
        string path = new RunFolder(directory).ConfigPath;
        JsonObject config = JsonText.ParseObject(JsonText.ReadAllText(path), path);
        (double fraction, string dense) =
            ReplicationConfig.Bridges(config, path)
            ?? throw new BadInputException($"{path}: has no bridges_config, which says how {FileName} beside it is read. Get both again.");
        if (ReplicationRecipe.Beside(path)?.BridgeEncoder is { } encoder && encoder == Threshold)
        {
            throw Refused(directory, "its encoders have learned thresholds (bridge_act_fn threshold)");
        }

        return new BridgeRecord
        {
            Dense = dense,
            DenseFingerprint = "",
            Bridge = new BridgeConfig { EncoderFraction = fraction, FinalLocation = true }.Validated($"{path}: bridges_config"),
        };
    }

    /// <summary>Fills bridges from bridges.bin.</summary>
    /// <exception cref="BadInputException">Tensors are missing, unknown or of other shapes, or bridges here cannot do what they
    /// mean.</exception>
    public static void Read(string directory, BridgePairs bridges)
    {
        string[] places =
        [
            .. bridges.SparseConfig.AfracLoctypes.Split(',').Where(place => place is SiteKinds.ResidualBefore or "resid_post_attn"),
        ];
        if (places.Length > 0 && bridges.SparseConfig.Afrac is not null)
        {
            throw Refused(
                directory,
                $"its decoders read the residual before AbsTopK at {string.Join(" and ", places)}, where bridges here read it after"
            );
        }

        using TensorFile file = TorchFile.Open(Path.Combine(directory, FileName));
        string[] thresholds =
        [
            .. file.ByName.Keys.Where(name => name.EndsWith(".log_eps", StringComparison.Ordinal)).Order(StringComparer.Ordinal),
        ];
        if (thresholds.Length > 0)
        {
            throw Refused(directory, $"its encoders have learned thresholds ({string.Join(", ", thresholds)})");
        }

        (string Name, Parameter Parameter)[] tensors =
        [
            .. bridges.All.Select((parameter, i) => (TheirName(parameter.Spec.Name, i / 4), parameter)),
        ];
        TensorFile.RequireExactly(file.Path, file.ByName, [.. tensors.Select(entry => (entry.Name, entry.Parameter.Spec.Shape))]);
        foreach ((string name, Parameter parameter) in tensors)
        {
            ReadOnlySpan<float> values = file.ByName[name].Floats();
            NumericalException.RequireFinite(values, file.Path, name);
            bridges.Engine.Write(parameter.Value, values);
        }
    }

    /// <summary>bridges.SITE.encoder.weight is called bridges.NUMBER.encoder.linear.weight there.</summary>
    private static string TheirName(string ours, int location)
    {
        string[] parts = ours.Split('.');
        return $"bridges.{location}.{parts[^2]}.linear.{parts[^1]}";
    }

    private static BadInputException Refused(string directory, string why) =>
        new($"{Path.Combine(directory, FileName)}: {why}. The model beside it can be used without bridges by every other verb.");
}
