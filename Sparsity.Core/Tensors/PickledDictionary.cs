namespace Sparsity.Core.Tensors;

/// <summary>A tensor as a pickle describes it: a strided view of a storage. Offset, shape and strides count numbers, not bytes.</summary>
/// <param name="Attribute">What else is to be done to its numbers: PyTorch's lazy "neg" or "conj"; null for nothing.</param>
internal sealed record PickledTensor(PickledStorage Storage, long Offset, long[] Shape, long[] Strides, string? Attribute = null);

/// <summary>Numbers of one type that lie in the archive's entry <c>data/KEY</c>.</summary>
internal sealed record PickledStorage(ElementType Type, string Key, long Length);

/// <summary>A dict or OrderedDict. A key is text, a number, or a tensor of one number.</summary>
/// <param name="isOrdered">Whether it is an OrderedDict.</param>
internal sealed class PickledDictionary(bool isOrdered)
{
    private readonly HashSet<object> _keys = [];
    private readonly List<(object Key, object? Value)> _items = [];

    public bool IsOrdered { get; } = isOrdered;

    /// <summary>In the order they were set.</summary>
    public IReadOnlyList<(object Key, object? Value)> Items => _items;

    /// <summary>
    /// Adds an entry, unless there is one of an equal key. Tensors are not compared: their numbers lie elsewhere in the file.
    /// </summary>
    public bool TryAdd(object key, object? value)
    {
        object compared = key switch
        {
            bool number => number ? 1.0 : 0.0, // as in Python, where True, 1 and 1.0 are one key
            long number when (long)(double)number == number => (double)number,
            _ => key,
        };
        if (key is not PickledTensor && !_keys.Add(compared))
        {
            return false;
        }

        _items.Add((key, value));
        return true;
    }
}
