using Sparsity.Core.Model;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Circuits;

/// <summary>
/// means.safetensors: the mean activation of every node, a tensor for each location. It stands beside an imported circuit, and in the
/// folder of a model that comes without its text.
/// </summary>
internal static class MeansFile
{
    public const string Name = "means.safetensors";

    private const string FingerprintKey = "model_fingerprint";

    /// <param name="means">One per node of the layout.</param>
    /// <param name="modelFingerprint">Of the model's weights.</param>
    public static void Write(string path, NodeLayout layout, float[] means, string modelFingerprint) =>
        Safetensors.Write(
            path,
            [
                .. layout.Sites.Select(
                    (site, i) => TensorToWrite.Of(site.Name, [layout.Config.ChannelsAt(site.Kind)], () => means[layout.RangeOf(i)])
                ),
            ],
            new Dictionary<string, string> { [FingerprintKey] = modelFingerprint }
        );

    /// <returns>One per node of the layout.</returns>
    /// <param name="modelFingerprint">Of the weights that they must belong to.</param>
    /// <param name="advice">What to do about a wrong file.</param>
    /// <exception cref="BadInputException">The file is missing or damaged, or belongs to another model.</exception>
    public static float[] Read(string path, NodeLayout layout, string modelFingerprint, string advice)
    {
        using TensorFile file = Safetensors.Open(path);
        if (file.Metadata.GetValueOrDefault(FingerprintKey) != modelFingerprint)
        {
            throw new BadInputException($"{path}: belongs to another model. {advice}");
        }

        // A file may also have means of final_resid, which a layout without those nodes does not ask for.
        ModelConfig config = layout.Config;
        NodeLayout stored = file.ByName.ContainsKey(Site.Final.Name) ? new NodeLayout(config, finalResid: true) : layout;
        TensorFile.RequireExactly(
            path,
            file.ByName,
            [.. stored.Sites.Select(site => (site.Name, (IReadOnlyList<int>)[config.ChannelsAt(site.Kind)]))]
        );
        var means = new float[layout.Count];
        for (int i = 0; i < layout.Sites.Count; i++)
        {
            file.ByName[layout.Sites[i].Name].Floats().CopyTo(means.AsSpan(layout.RangeOf(i)));
        }

        int bad = Array.FindIndex(means, mean => !float.IsFinite(mean));
        return bad < 0
            ? means
            : throw new BadInputException($"{path}: the mean of {layout[bad]} is {means[bad]}, but must be a finite number. {advice}");
    }
}
