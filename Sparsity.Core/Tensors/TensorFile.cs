using Sparsity.Core.Files;

namespace Sparsity.Core.Tensors;

/// <summary>The named tensors of a file, or of several that belong together, which stay mapped until this is disposed.</summary>
internal sealed class TensorFile : IDisposable
{
    private readonly IReadOnlyList<IDisposable> _files;

    internal TensorFile(MappedFile file, IReadOnlyList<StoredTensor> tensors, IReadOnlyDictionary<string, string> metadata)
        : this(file.Path, [file], tensors, metadata) { }

    /// <param name="path">For messages.</param>
    /// <param name="parts">No two have a tensor of one name; they are disposed with this.</param>
    internal TensorFile(string path, IReadOnlyList<TensorFile> parts)
        : this(path, parts, [.. parts.SelectMany(part => part.Tensors)], new Dictionary<string, string>()) { }

    private TensorFile(
        string path,
        IReadOnlyList<IDisposable> files,
        IReadOnlyList<StoredTensor> tensors,
        IReadOnlyDictionary<string, string> metadata
    )
    {
        _files = files;
        Path = path;
        ByName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        Tensors = tensors;
        Metadata = metadata;
    }

    public string Path { get; }

    public IReadOnlyList<StoredTensor> Tensors { get; }

    /// <summary>Text by name; empty where the format has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    public IReadOnlyDictionary<string, StoredTensor> ByName { get; }

    /// <summary>Checks that there is a tensor of each name and shape wanted, and no other.</summary>
    /// <exception cref="BadInputException">Names those missing, of other shape, or not known.</exception>
    internal static void RequireExactly(
        string path,
        IReadOnlyDictionary<string, StoredTensor> tensors,
        IReadOnlyList<(string Name, IReadOnlyList<int> Shape)> wanted
    )
    {
        const string Advice = "Check that the files belong together.";
        RequireNone(
            "lacks",
            wanted.Select(entry => entry.Name).Where(name => !tensors.ContainsKey(name)),
            "which the configuration asks for"
        );
        RequireNone("has", tensors.Keys.Except(wanted.Select(entry => entry.Name)), "which the configuration knows nothing of");
        foreach ((string name, IReadOnlyList<int> shape) in wanted)
        {
            StoredTensor tensor = tensors[name];
            if (!tensor.Shape.SequenceEqual(shape))
            {
                throw new BadInputException(
                    $"{path}: {name} has shape [{string.Join(", ", tensor.Shape)}], but the configuration asks for "
                        + $"[{string.Join(", ", shape)}]. {Advice}"
                );
            }

            if (!tensor.Type.IsFloatingPoint())
            {
                throw new BadInputException($"{path}: {name} is {tensor.Type}, but must be floating-point. {Advice}");
            }
        }

        void RequireNone(string verb, IEnumerable<string> names, string why)
        {
            string[] all = [.. names.Order(StringComparer.Ordinal)];
            if (all.Length > 0)
            {
                const int Shown = 8;
                string rest = all.Length > Shown ? $" and {all.Length - Shown} more" : "";
                throw new BadInputException($"{path}: {verb} {string.Join(", ", all.Take(Shown))}{rest}, {why}. {Advice}");
            }
        }
    }

    public void Dispose()
    {
        foreach (IDisposable file in _files)
        {
            file.Dispose();
        }
    }
}
