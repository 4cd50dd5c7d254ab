using System.IO.Compression;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tensors;

/// <summary>
/// PyTorch's file of a state dict, as torch.save has written it since version 1.6: a zip archive of stored entries under one folder of any
/// name, with the dictionary as a pickle in <c>data.pkl</c> and each storage's numbers in <c>data/KEY</c>. Several tensors may be views of
/// one storage.
/// </summary>
internal static class TorchFile
{
    private const string Contents = "a state dict";

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
        AtomicFile.Write(
            path,
            stream =>
            {
                using var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
                Add(TorchArchive.PickleName, entry => entry.Write(StateDictPickleWriter.Write(tensors)));
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
            }
        );
    }

    private static TensorFile Read(MappedFile file)
    {
        var archive = new TorchArchive(file, Contents);
        if (archive.Content is not PickledDictionary dictionary)
        {
            throw new BadInputException($"{file.Path}: holds no state dict. Save the model with torch.save(model.state_dict(), ...).");
        }

        var tensors = new List<StoredTensor>();
        foreach ((object key, object? value) in dictionary.Items)
        {
            string name =
                key as string ?? throw new BadInputException($"{file.Path}: has a key that is no text. Save only the model's state dict.");
            tensors.Add(
                archive.Locate(
                    name,
                    value as PickledTensor
                        ?? throw new BadInputException($"{file.Path}: {name} is no tensor. Save only the model's state dict.")
                )
            );
        }

        return new TensorFile(file, tensors, new Dictionary<string, string>());
    }
}
