using System.Globalization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Released;

/// <summary>
/// mean_baseline_pretrain.pt of the official release: the mean activation of every channel over pretraining text, one file per model,
/// beside its tasks. Nothing published reads
/// it; a dictionary of location to numbers is what is taken for its form.
/// </summary>
internal static class ReleasedMeans
{
    public const string FileName = "mean_baseline_pretrain.pt";

    private const int FoldersAbove = 4; // the file lies three above a circuit: model / task / sweep / k

    /// <summary>The nearest such file in the folders above a circuit; null if there is none.</summary>
    public static string? FindAbove(string circuit)
    {
        string? folder = Path.GetDirectoryName(Path.GetFullPath(circuit));
        for (int i = 0; i <= FoldersAbove && folder is not null; i++, folder = Path.GetDirectoryName(folder))
        {
            string path = Path.Combine(folder, FileName);
            if (File.Exists(path))
            {
                return path;
            }
        }

        return null;
    }

    /// <returns>One per node of the layout.</returns>
    /// <exception cref="BadInputException">The file is damaged, or lacks a location.</exception>
    public static float[] Read(string path, NodeLayout layout) =>
        ReleasedFile.Read(
            path,
            "mean activations",
            root =>
            {
                var means = new float[layout.Count];
                string[] missing = [.. layout.Sites.Select(site => site.Name).Where(name => root.TryField(name) is null)];
                if (missing.Length > 0)
                {
                    string more = missing.Length > 4 ? $" and {missing.Length - 4} more locations" : "";
                    throw new BadInputException(
                        $"{path}: has no means of {string.Join(", ", missing.Take(4))}{more}. Give a data folder to measure them."
                    );
                }

                for (int i = 0; i < layout.Sites.Count; i++)
                {
                    Site site = layout.Sites[i];
                    PickledValue value = root.Field(site.Name);
                    IReadOnlyList<double> numbers = value.Numbers();
                    Span<float> target = means.AsSpan(layout.RangeOf(i));
                    if (numbers.Count != target.Length)
                    {
                        throw new BadInputException(
                            $"{path}: {site} has {numbers.Count} means, but the model {target.Length} channels. Give a data folder to "
                                + $"measure them."
                        );
                    }

                    for (int channel = 0; channel < target.Length; channel++)
                    {
                        target[channel] = double.IsFinite(numbers[channel])
                            ? (float)numbers[channel]
                            : throw value.Wrong(
                                string.Create(
                                    CultureInfo.InvariantCulture,
                                    $"has {numbers[channel]} for channel {channel}, but must have finite numbers"
                                )
                            );
                    }
                }

                return means;
            }
        );
}
