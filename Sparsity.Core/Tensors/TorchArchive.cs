using Sparsity.Core.Files;

namespace Sparsity.Core.Tensors;

/// <summary>
/// What torch.save writes, whatever it was given: a zip archive of stored entries under one folder of any name, with a pickle in
/// <c>data.pkl</c> and each storage's
/// numbers in <c>data/KEY</c>. Tensors are located when they are asked for.
/// </summary>
internal sealed class TorchArchive
{
    public const string PickleName = "data.pkl";

    // An expanded tensor repeats numbers of its storage, so its own size is not bounded by the file's.
    private const int LargestExpansion = 1 << 24;

    private readonly MappedFile _file;
    private readonly IReadOnlyDictionary<string, (long Offset, long Length)> _entries;
    private readonly string _root;

    /// <param name="file">Stays mapped as long as this and its tensors are used.</param>
    /// <param name="contents">What the file ought to hold, for messages, such as "a state dict".</param>
    /// <exception cref="BadInputException">The file is damaged, or its pickle holds more than plain data.</exception>
    public TorchArchive(MappedFile file, string contents)
    {
        _file = file;
        if (file.Span<byte>(0, (int)Math.Min(file.Length, MagicOfOldFormat.Length)).SequenceEqual(MagicOfOldFormat))
        {
            throw new BadInputException(
                $"{file.Path}: is in the format of PyTorch before 1.6. Load and save it again with a newer PyTorch."
            );
        }

        _entries = new ZipDirectory(file).Entries;
        string[] pickles =
        [
            .. _entries.Keys.Where(name => name == PickleName || name.EndsWith("/" + PickleName, StringComparison.Ordinal)),
        ];
        if (pickles.Length != 1)
        {
            throw new BadInputException(
                $"{file.Path}: has {pickles.Length} entries called {PickleName}, expected one. Save {contents} with torch.save."
            );
        }

        _root = pickles[0][..^PickleName.Length];
        if (
            _entries.TryGetValue(_root + "byteorder", out (long Offset, long Length) order)
            && !file.Span<byte>(order.Offset, (int)Math.Min(order.Length, 16)).SequenceEqual("little"u8)
        )
        {
            throw new BadInputException(
                $"{file.Path}: was written with another byte order than little-endian. Save it again on another machine."
            );
        }

        (long offset, PickleLength) = _entries[pickles[0]];
        if (PickleLength > int.MaxValue)
        {
            throw new BadInputException(
                $"{file.Path}: its {PickleName} has {PickleLength} bytes, far more than {contents} needs. Use another copy."
            );
        }

        Content = RestrictedPickle.Read(file.Span<byte>(offset, (int)PickleLength), file.Path, contents);
    }

    /// <summary>As <see cref="RestrictedPickle"/> gives it.</summary>
    public object? Content { get; }

    /// <summary>Length of the pickle in bytes.</summary>
    public long PickleLength { get; }

    private static ReadOnlySpan<byte> MagicOfOldFormat => [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9];

    /// <summary>A tensor of the pickle, checked against the file.</summary>
    /// <param name="name">For messages.</param>
    /// <exception cref="BadInputException">It does not lie within its storage, or the storage is missing.</exception>
    public StoredTensor Locate(string name, PickledTensor tensor)
    {
        if (tensor.Attribute is not null)
        {
            throw new BadInputException(
                $"{_file.Path}: {name} has the attribute {tensor.Attribute}, a change of its numbers that is still to be made. Save "
                    + $"it with .resolve_neg().resolve_conj()."
            );
        }

        PickledStorage storage = tensor.Storage;
        if (!_entries.TryGetValue($"{_root}data/{storage.Key}", out (long Offset, long Length) data))
        {
            throw new BadInputException($"{_file.Path}: lacks the numbers of {name} ({_root}data/{storage.Key}). Use another copy.");
        }

        int size = storage.Type.Size();
        if (storage.Length != data.Length / size || data.Length % size != 0)
        {
            throw new BadInputException(
                $"{_file.Path}: {name} should have {storage.Length} numbers of type {storage.Type}, but there are {data.Length} "
                    + $"bytes. Use another copy."
            );
        }

        // The last number's index; in 128 bits, because a damaged file may say anything.
        Int128 last = tensor.Offset;
        for (int i = 0; i < Math.Min(tensor.Shape.Length, tensor.Strides.Length); i++)
        {
            last += (Int128)Math.Max(0, tensor.Shape[i] - 1) * tensor.Strides[i];
        }

        if (
            tensor.Shape.Length != tensor.Strides.Length
            || tensor.Strides.Any(stride => stride < 0)
            || tensor.Offset < 0
            || tensor.Offset > storage.Length
            || !StoredTensor.TryCount(tensor.Shape, out int count)
            || count > Math.Max(storage.Length, LargestExpansion)
            || (count > 0 && last >= storage.Length)
        )
        {
            throw new BadInputException(
                $"{_file.Path}: {name}, shape [{string.Join(", ", tensor.Shape)}], does not fit its storage of {storage.Length} "
                    + $"numbers. Use another copy."
            );
        }

        return new StoredTensor(_file, name, storage.Type, tensor.Shape, data.Offset + (tensor.Offset * size), tensor.Strides);
    }
}
