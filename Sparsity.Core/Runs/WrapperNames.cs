using Sparsity.Core.Model;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Runs;

/// <summary>What data-parallel training, compilation and modules around a model put into the names of its tensors.</summary>
internal static class WrapperNames
{
    /// <summary>What DistributedDataParallel puts before every name.</summary>
    private const string ParallelPrefix = "module.";

    /// <summary>What torch.compile puts before the names of what it compiled.</summary>
    private const string CompiledPrefix = "_orig_mod.";

    /// <summary>The file's tensors under the official names, and the wrappers' prefixes that were left out of theirs.</summary>
    /// <exception cref="BadInputException">Two tensors have one name then.</exception>
    public static (Dictionary<string, StoredTensor> Tensors, IReadOnlyList<string> Prefixes) Without(TensorFile file, bool isReplication)
    {
        var prefixes = new SortedSet<string>(StringComparer.Ordinal);
        (string Name, StoredTensor Tensor)[] named = [.. file.Tensors.Select(tensor => (WithoutWrappers(tensor.Name, prefixes), tensor))];
        string module = isReplication ? "" : PrefixOfAll([.. named.Select(entry => entry.Name)]);
        _ = module.Length == 0 || prefixes.Add(module);
        var tensors = new Dictionary<string, StoredTensor>(StringComparer.Ordinal);
        foreach ((string given, StoredTensor tensor) in named)
        {
            string name = given[module.Length..];
            if (!tensors.TryAdd(name, tensor))
            {
                throw new BadInputException($"{file.Path}: has {name} twice, as {tensors[name].Name} and as {tensor.Name}. Keep one.");
            }
        }

        return (tensors, [.. prefixes]);
    }

    /// <summary>
    /// A name without what is known to stand before it; that is added to <paramref name="prefixes"/>, but for that of the release.
    /// </summary>
    private static string WithoutWrappers(string name, SortedSet<string> prefixes)
    {
        while (
            new[] { StoredModel.HuggingFacePrefix, ParallelPrefix, CompiledPrefix }.FirstOrDefault(start =>
                name.StartsWith(start, StringComparison.Ordinal)
            )
                is { } prefix
        )
        {
            name = name[prefix.Length..];
            _ = prefix == StoredModel.HuggingFacePrefix || prefixes.Add(prefix);
        }

        // A layer that was compiled by itself has it in the middle.
        if (name.Contains("." + CompiledPrefix, StringComparison.Ordinal))
        {
            name = name.Replace("." + CompiledPrefix, ".", StringComparison.Ordinal);
            prefixes.Add(CompiledPrefix);
        }

        return name;
    }

    /// <summary>What stands before every name because the model was part of another module, such as "model."; empty for nothing.</summary>
    private static string PrefixOfAll(string[] names)
    {
        string prefix = names
            .SelectMany(name =>
                new[] { ParameterNames.Token, ParameterNames.Unembedding }
                    .Where(known => name.EndsWith("." + known, StringComparison.Ordinal))
                    .Select(known => name[..^known.Length])
            )
            .FirstOrDefault("");
        return names.All(name => name.StartsWith(prefix, StringComparison.Ordinal)) ? prefix : "";
    }
}
