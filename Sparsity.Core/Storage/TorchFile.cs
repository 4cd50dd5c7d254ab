using System.IO.Compression;

namespace Sparsity.Core.Storage;

/// <summary>
/// PyTorch's file of a state dict, as torch.save has written it since version 1.6: a zip archive of stored entries under one folder of any name, with the
/// dictionary as a pickle in <c>data.pkl</c> and each storage's numbers in <c>data/KEY</c>. Several tensors may be views of one storage.
/// </summary>
public static class TorchFile
{
    private const string PickleName = "data.pkl";

    // An expanded tensor repeats numbers of its storage, so its own size is not bounded by the file's.
    private const int LargestExpansion = 1 << 24;

    private static ReadOnlySpan<byte> MagicOfOldFormat => [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9];

    /// <summary>Maps a file and reads its pickle; tensors come in the order of the dictionary.</summary>
    /// <exception cref="BadInputException">The file is missing, damaged, or holds anything but a state dict.</exception>
    public static TensorFile Open(string path)
    {
        var file = new MappedFile(path);
        try
        {
            return Read(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes a state dict that torch.load reads, with weights_only or without; the same tensors give the same bytes.</summary>
    /// <param name="path">Replaced atomically.</param>
    public static void Write(string path, IReadOnlyList<TensorToWrite> tensors)
    {
        string root = Path.GetFileNameWithoutExtension(path) + "/";
        AtomicFile.Write(path, stream =>
        {
            using var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
            Add(PickleName, entry => entry.Write(StateDictPickleWriter.Write(tensors)));
            Add("byteorder", entry => entry.Write("little"u8));
            for (int i = 0; i < tensors.Count; i++)
            {
                Add($"data/{i}", entry => tensors[i].CopyTo(entry));
            }

            Add("version", entry => entry.Write("3\n"u8));

            void Add(string name, Action<Stream> write)
            {
                ZipArchiveEntry entry = archive.CreateEntry(root + name, CompressionLevel.NoCompression);
                entry.LastWriteTime = new DateTimeOffset(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);
                using Stream content = entry.Open();
                write(content);
            }
        });
    }

    private static TensorFile Read(MappedFile file)
    {
        if (file.Span<byte>(0, (int)Math.Min(file.Length, MagicOfOldFormat.Length)).SequenceEqual(MagicOfOldFormat))
        {
            throw new BadInputException($"{file.Path}: is in the format of PyTorch before 1.6. Load and save it again with a newer PyTorch.");
        }

        IReadOnlyDictionary<string, (long Offset, long Length)> entries = new ZipDirectory(file).Entries;
        string[] pickles = [.. entries.Keys.Where(name => name == PickleName || name.EndsWith("/" + PickleName, StringComparison.Ordinal))];
        if (pickles.Length != 1)
        {
            throw new BadInputException($"{file.Path}: has {pickles.Length} entries called {PickleName}, expected one. Save the model with torch.save(model.state_dict(), ...).");
        }

        string root = pickles[0][..^PickleName.Length];
        if (entries.TryGetValue(root + "byteorder", out (long Offset, long Length) order) && !file.Span<byte>(order.Offset, (int)Math.Min(order.Length, 16)).SequenceEqual("little"u8))
        {
            throw new BadInputException($"{file.Path}: was written with another byte order than little-endian. Save it again on another machine.");
        }

        (long pickleOffset, long pickleLength) = entries[pickles[0]];
        if (pickleLength > int.MaxValue)
        {
            throw new BadInputException($"{file.Path}: its {PickleName} has {pickleLength} bytes, far more than a state dict's names need. Use another copy.");
        }

        var tensors = new List<StoredTensor>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach ((string name, PickledTensor tensor) in StateDictPickle.Read(file.Span<byte>(pickleOffset, (int)pickleLength), file.Path))
        {
            if (!names.Add(name))
            {
                throw new BadInputException($"{file.Path}: has {name} twice. Use another copy.");
            }

            if (!entries.TryGetValue($"{root}data/{tensor.Storage.Key}", out (long Offset, long Length) data))
            {
                throw new BadInputException($"{file.Path}: lacks the numbers of {name} ({root}data/{tensor.Storage.Key}). Use another copy.");
            }

            tensors.Add(Locate(file, name, tensor, data));
        }

        return new TensorFile(file, tensors, new Dictionary<string, string>());
    }

    private static StoredTensor Locate(MappedFile file, string name, PickledTensor tensor, (long Offset, long Length) data)
    {
        PickledStorage storage = tensor.Storage;
        int size = storage.Type.Size();
        if (storage.Length != data.Length / size || data.Length % size != 0)
        {
            throw new BadInputException($"{file.Path}: {name} should have {storage.Length} numbers of type {storage.Type}, but there are {data.Length} bytes. Use another copy.");
        }

        // The last number's index; in 128 bits, because a damaged file may say anything.
        Int128 last = tensor.Offset;
        for (int i = 0; i < Math.Min(tensor.Shape.Length, tensor.Strides.Length); i++)
        {
            last += (Int128)Math.Max(0, tensor.Shape[i] - 1) * tensor.Strides[i];
        }

        if (tensor.Shape.Length != tensor.Strides.Length || tensor.Strides.Any(stride => stride < 0) || tensor.Offset < 0 || tensor.Offset > storage.Length
            || !StoredTensor.TryCount(tensor.Shape, out int count) || count > Math.Max(storage.Length, LargestExpansion) || (count > 0 && last >= storage.Length))
        {
            throw new BadInputException(
                $"{file.Path}: {name}, shape [{string.Join(", ", tensor.Shape)}], does not fit its storage of {storage.Length} numbers. Use another copy.");
        }

        return new StoredTensor(file, name, storage.Type, tensor.Shape, data.Offset + (tensor.Offset * size), tensor.Strides);
    }
}
