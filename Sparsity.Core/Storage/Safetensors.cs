using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sparsity.Core.Storage;

/// <summary>
/// The safetensors format: 8 bytes of header length, a JSON header of names, types, shapes and offsets, then the values, little-endian, which follow one
/// another without gap or overlap. Entries are written in the given order, the header padded with spaces to 8 bytes.
/// </summary>
public static class Safetensors
{
    private const int LargestHeader = 100_000_000; // the format's own limit
    private const int LengthBytes = 8;
    private const string MetadataName = "__metadata__";

    /// <param name="path">Replaced atomically.</param>
    /// <param name="metadata">Text by name.</param>
    public static void Write(string path, IReadOnlyList<TensorToWrite> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        byte[] header = Encoding.UTF8.GetBytes(Header(tensors, metadata).ToJsonString());
        int padding = (8 - (header.Length % 8)) % 8;
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[LengthBytes];
            BinaryPrimitives.WriteInt64LittleEndian(length, header.Length + padding);
            stream.Write(length);
            stream.Write(header);
            stream.Write(Encoding.ASCII.GetBytes(new string(' ', padding)));
            foreach (TensorToWrite tensor in tensors)
            {
                tensor.CopyTo(stream);
            }
        });
    }

    /// <summary>Maps a file and reads its header; tensors come in the order of their offsets.</summary>
    /// <exception cref="BadInputException">The file is missing, damaged, or has a type of numbers this program does not know.</exception>
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

    private static JsonObject Header(IReadOnlyList<TensorToWrite> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        var header = new JsonObject { [MetadataName] = new JsonObject(metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))) };
        long offset = 0;
        foreach (TensorToWrite tensor in tensors)
        {
            long end = checked(offset + tensor.ByteLength);
            header.Add(tensor.Name, new JsonObject
            {
                ["dtype"] = tensor.Type.ToString(),
                ["shape"] = new JsonArray([.. tensor.Shape.Select(n => (JsonNode)n)]),
                ["data_offsets"] = new JsonArray(offset, end),
            });
            offset = end;
        }

        return header;
    }

    private static TensorFile Read(MappedFile file)
    {
        if (file.Length < LengthBytes)
        {
            throw Damaged(file, "it has fewer than 8 bytes");
        }

        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(file.Span<byte>(0, LengthBytes));
        if (headerLength > LargestHeader || (long)headerLength > file.Length - LengthBytes)
        {
            throw Damaged(file, $"its header says {headerLength} bytes");
        }

        long dataStart = LengthBytes + (long)headerLength;
        JsonObject header = JsonText.ParseObject(Encoding.UTF8.GetString(file.Span<byte>(LengthBytes, (int)headerLength)), file.Path);
        Dictionary<string, string> metadata = header.Remove(MetadataName, out JsonNode? given) ? Metadata(file, given) : [];
        var found = new List<(long Start, long End, StoredTensor Tensor)>();
        foreach ((string name, JsonNode? node) in header)
        {
            Entry entry = JsonText.Read<Entry>(node ?? throw Damaged(file, $"{name} is null"), $"{file.Path}: {name}");
            found.Add(Locate(file, name, entry, dataStart));
        }

        found.Sort((a, b) => (a.Start, a.End).CompareTo((b.Start, b.End)));
        long covered = dataStart;
        foreach ((long start, long end, StoredTensor tensor) in found)
        {
            if (start != covered)
            {
                throw Damaged(file, $"{tensor.Name} {(start < covered ? "overlaps the tensor before it" : "leaves a gap before it")}");
            }

            covered = end;
        }

        return covered == file.Length
            ? new TensorFile(file, [.. found.Select(entry => entry.Tensor)], metadata)
            : throw Damaged(file, $"its tensors make {covered - dataStart} bytes of {file.Length - dataStart}");
    }

    private static Dictionary<string, string> Metadata(MappedFile file, JsonNode? node)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string key, JsonNode? value) in node as JsonObject ?? throw Damaged(file, "its metadata is no object"))
        {
            metadata[key] = value?.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : throw Damaged(file, $"metadata {key} is no text");
        }

        return metadata;
    }

    /// <summary>Start and end are counted from the file's beginning.</summary>
    private static (long Start, long End, StoredTensor Tensor) Locate(MappedFile file, string name, Entry entry, long dataStart)
    {
        if (!Enum.IsDefined(typeof(ElementType), entry.Dtype) || !Enum.TryParse(entry.Dtype, out ElementType type))
        {
            throw new BadInputException($"{file.Path}: {name} has numbers of type {entry.Dtype}; read are {string.Join(", ", Enum.GetNames<ElementType>())}. Convert the file.");
        }

        if (entry.DataOffsets is not [long start, long end] || start < 0 || end < start || end > file.Length - dataStart)
        {
            throw Damaged(file, $"{name} lies outside the file");
        }

        if (!StoredTensor.TryCount(entry.Shape, out int count) || end - start != (long)count * type.Size())
        {
            throw Damaged(file, $"{name} has {end - start} bytes for {type} [{string.Join(", ", entry.Shape)}]");
        }

        return (dataStart + start, dataStart + end, new StoredTensor(file, name, type, entry.Shape, dataStart + start));
    }

    private static BadInputException Damaged(MappedFile file, string why) =>
        new($"{file.Path}: not a whole safetensors file: {why}. Use another copy or checkpoint.");

    private sealed record Entry(string Dtype, long[] Shape, long[] DataOffsets);
}
