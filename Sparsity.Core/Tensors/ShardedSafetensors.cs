using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tensors;

/// <summary>
/// A model that Hugging Face's programs wrote in several safetensors files, with an index beside them: {"metadata": ..., "weight_map":
/// {tensor: file}}.
/// </summary>
internal static class ShardedSafetensors
{
    public const string IndexName = "model.safetensors.index.json";

    /// <summary>Maps all files that the index names.</summary>
    /// <exception cref="BadInputException">The index or a file is missing or damaged, or they do not belong together.</exception>
    public static TensorFile Open(string indexPath)
    {
        if (JsonText.ParseObject(JsonText.ReadAllText(indexPath), indexPath)["weight_map"] is not JsonObject { Count: > 0 } map)
        {
            throw new BadInputException($"{indexPath}: has no weight_map that says which file has which tensor. Get the file again.");
        }

        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string tensor, JsonNode? value) in map)
        {
            string file = value?.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : "";
            files[tensor] =
                file.Length > 0 && file == Path.GetFileName(file)
                    ? file
                    : throw new BadInputException($"{indexPath}: weight_map has no file name for {tensor}. Get the file again.");
        }

        var parts = new List<TensorFile>();
        try
        {
            foreach (string file in files.Values.Distinct().Order(StringComparer.Ordinal))
            {
                TensorFile part = Safetensors.Open(Path.Combine(Path.GetDirectoryName(indexPath)!, file));
                parts.Add(part);
                string[] wanted = [.. files.Where(entry => entry.Value == file).Select(entry => entry.Key)];
                if (wanted.Except(part.ByName.Keys).Concat(part.ByName.Keys.Except(wanted)).FirstOrDefault() is { } odd)
                {
                    throw new BadInputException(
                        $"{part.Path}: {(part.ByName.ContainsKey(odd) ? "has" : "lacks")} {odd}, otherwise than {IndexName} says. Get "
                            + $"the files again."
                    );
                }
            }

            return new TensorFile(indexPath, parts);
        }
        catch
        {
            parts.ForEach(part => part.Dispose());
            throw;
        }
    }
}
