using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sparsity.Core.Storage;

/// <summary>A float32 tensor of a file: its name, its shape, and its values in row-major order.</summary>
public sealed record StoredTensor(string Name, IReadOnlyList<int> Shape, float[] Values);

/// <summary>
/// The safetensors format: 8 bytes of header length, a JSON header of names, types, shapes and offsets, then the values, little-endian.
/// Tensors are float32; entries are written in the given order, the header padded with spaces to 8 bytes.
/// </summary>
public static class Safetensors
{
    private const long LargestHeader = 100_000_000; // the format's own limit
    private const string MetadataName = "__metadata__";

    /// <param name="path">Replaced atomically.</param>
    /// <param name="tensors">Read one at a time, so that not all need be in memory at once.</param>
    /// <param name="shapes">Name and shape of each, in the same order.</param>
    /// <param name="metadata">Text by name.</param>
    public static void Write(
        string path, IReadOnlyList<(string Name, IReadOnlyList<int> Shape)> shapes, IEnumerable<float[]> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        var header = new JsonObject();
        var text = new JsonObject();
        foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            text[key] = value;
        }

        header[MetadataName] = text;
        long offset = 0;
        foreach ((string name, IReadOnlyList<int> shape) in shapes)
        {
            long end = offset + (shape.Aggregate(1L, (product, n) => checked(product * n)) * sizeof(float));
            header[name] = new JsonObject
            {
                ["dtype"] = "F32",
                ["shape"] = new JsonArray([.. shape.Select(n => (JsonNode)n)]),
                ["data_offsets"] = new JsonArray(offset, end),
            };
            offset = end;
        }

        string json = header.ToJsonString();
        byte[] bytes = Encoding.UTF8.GetBytes(json);
        int padding = (8 - (bytes.Length % 8)) % 8;
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)(bytes.Length + padding));
            stream.Write(length);
            stream.Write(bytes);
            stream.Write(Encoding.ASCII.GetBytes(new string(' ', padding)));
            int i = 0;
            foreach (float[] values in tensors)
            {
                if (values.Length != shapes[i].Shape.Aggregate(1, (product, n) => product * n))
                {
                    throw new ArgumentException($"{shapes[i].Name} has {values.Length} values for its shape.");
                }

                stream.Write(MemoryMarshal.AsBytes<float>(values));
                i++;
            }
        });
    }

    /// <summary>All tensors of a file, in the order of their offsets, and its metadata.</summary>
    /// <exception cref="BadInputException">The file is missing, damaged, or has tensors that are not float32.</exception>
    public static (IReadOnlyList<StoredTensor> Tensors, IReadOnlyDictionary<string, string> Metadata) Read(string path)
    {
        byte[] file;
        try
        {
            file = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{path}: cannot be read ({e.Message}). Check the path.", e);
        }

        if (file.Length < 8)
        {
            throw Damaged(path, "it has fewer than 8 bytes");
        }

        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file);
        if (length > LargestHeader || length > (ulong)(file.Length - 8))
        {
            throw Damaged(path, $"its header says {length} bytes");
        }

        JsonObject header = JsonText.ParseObject(Encoding.UTF8.GetString(file, 8, (int)length), path);
        ReadOnlySpan<byte> data = file.AsSpan(8 + (int)length);
        var metadata = new Dictionary<string, string>();
        var found = new List<(long Start, StoredTensor Tensor)>();
        long covered = 0;
        foreach ((string name, JsonNode? node) in header)
        {
            if (name == MetadataName)
            {
                foreach ((string key, JsonNode? value) in node as JsonObject ?? throw Damaged(path, "its metadata is no object"))
                {
                    metadata[key] = value?.GetValueKind() == JsonValueKind.String ? (string)value! : throw Damaged(path, $"metadata {key} is no text");
                }

                continue;
            }

            Entry entry = JsonText.Read<Entry>(node ?? throw Damaged(path, $"{name} is null"), $"{path}: {name}");
            if (entry.Dtype != "F32")
            {
                throw new BadInputException($"{path}: {name} is {entry.Dtype}, but only F32 is read here. Convert the file to float32.");
            }

            if (entry.Shape.Any(n => n < 0) || entry.DataOffsets is not [var start, var end] || start < 0 || end < start || end > data.Length)
            {
                throw Damaged(path, $"{name} lies outside the file");
            }

            long count = 1;
            foreach (int n in entry.Shape)
            {
                count = n != 0 && count > int.MaxValue / n ? throw Damaged(path, $"{name} is too large") : count * n;
            }

            if (end - start != count * sizeof(float))
            {
                throw Damaged(path, $"{name} has {end - start} bytes for shape [{string.Join(", ", entry.Shape)}]");
            }

            covered += end - start;
            found.Add((start, new StoredTensor(name, entry.Shape, MemoryMarshal.Cast<byte, float>(data.Slice((int)start, (int)(end - start))).ToArray())));
        }

        if (covered != data.Length)
        {
            throw Damaged(path, $"its tensors make {covered} bytes of {data.Length}");
        }

        return ([.. found.OrderBy(pair => pair.Start).Select(pair => pair.Tensor)], metadata);
    }

    private static BadInputException Damaged(string path, string why) =>
        new($"{path}: not a whole safetensors file: {why}. Use another copy or checkpoint.");

    private sealed record Entry(string Dtype, int[] Shape, long[] DataOffsets);
}
