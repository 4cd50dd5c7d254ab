using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tensors;

/// <summary>
/// The safetensors format: 8 bytes of header length, a JSON header of names, types, shapes and offsets, then the values, little-endian,
/// which follow one another without gap or overlap. Entries are written in the given order, the header padded with spaces to 8 bytes. Among
/// the metadata are checksums: that of each tensor's bytes as crc32c/NAME, and that of the header, with zeros in its own place, as crc32c;
/// files of other programs have none. Tensors may be packed (<see cref="PackedTensors"/>).
/// </summary>
internal static class Safetensors
{
    private const int LargestHeader = 100_000_000; // the format's own limit
    private const int LengthBytes = 8;
    private const string MetadataName = "__metadata__";
    private const string ChecksumName = "crc32c";
    private const string NoChecksum = "00000000";

    /// <param name="path">Replaced atomically.</param>
    /// <param name="metadata">Text by name.</param>
    /// <param name="previous">The name that a file already there gets; null to replace it.</param>
    public static void Write(
        string path,
        IReadOnlyList<TensorToWrite> tensors,
        IReadOnlyDictionary<string, string> metadata,
        string? previous = null
    )
    {
        byte[] header = Header(tensors, metadata, null);
        AtomicFile.Write(
            path,
            stream =>
            {
                Span<byte> length = stackalloc byte[LengthBytes];
                BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
                stream.Write(length);
                stream.Write(header);
                uint[] checksums = [.. tensors.Select(tensor => tensor.CopyTo(stream))];
                stream.Position = LengthBytes;
                stream.Write(Header(tensors, metadata, checksums));
            },
            previous
        );
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

    /// <param name="checksums">Of the tensors; null for a header of the same length that holds their places.</param>
    private static byte[] Header(IReadOnlyList<TensorToWrite> tensors, IReadOnlyDictionary<string, string> metadata, uint[]? checksums)
    {
        IEnumerable<KeyValuePair<string, string>> all =
        [
            .. metadata,
            .. tensors.Select(
                (tensor, i) => KeyValuePair.Create($"{ChecksumName}/{tensor.Name}", checksums is null ? NoChecksum : $"{checksums[i]:x8}")
            ),
            KeyValuePair.Create(ChecksumName, NoChecksum),
        ];
        var header = new JsonObject
        {
            [MetadataName] = new JsonObject(
                all.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))
            ),
        };
        long offset = 0;
        foreach (TensorToWrite tensor in tensors)
        {
            long end = checked(offset + tensor.ByteLength);
            header.Add(
                tensor.Name,
                new JsonObject
                {
                    ["dtype"] = tensor.Type.ToString(),
                    ["shape"] = new JsonArray([.. tensor.Shape.Select(n => (JsonNode)n)]),
                    ["data_offsets"] = new JsonArray(offset, end),
                }
            );
            offset = end;
        }

        string json = header.ToJsonString();
        byte[] bytes = Encoding.UTF8.GetBytes(json);
        Array.Resize(ref bytes, (bytes.Length + 7) / 8 * 8);
        bytes.AsSpan().Replace((byte)0, (byte)' ');
        if (checksums is not null)
        {
            Encoding.ASCII.GetBytes($"{Crc32C.Of(bytes):x8}").CopyTo(PlaceOfChecksum(bytes));
        }

        return bytes;
    }

    /// <summary>The 8 digits of a header's own checksum; empty where there are none in the form in which they are written.</summary>
    private static Span<byte> PlaceOfChecksum(Span<byte> header)
    {
        ReadOnlySpan<byte> key = "\"crc32c\":\""u8;
        int at = header.IndexOf(key); // quotes inside other texts are escaped
        return at < 0 || at + key.Length + NoChecksum.Length > header.Length ? [] : header.Slice(at + key.Length, NoChecksum.Length);
    }

    private static void RequireUndamaged(MappedFile file, ReadOnlySpan<byte> header, string written)
    {
        byte[] copy = header.ToArray();
        Span<byte> place = PlaceOfChecksum(copy);
        place.Fill((byte)'0');
        if (place.IsEmpty || $"{Crc32C.Of(copy):x8}" != written)
        {
            throw Damaged(file, "its header is not the one that was written");
        }
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
        Dictionary<string, string> metadata =
            header.Remove(MetadataName, out JsonNode? given) && given is not null ? Metadata(file, given) : [];
        if (metadata.Remove(ChecksumName, out string? written))
        {
            RequireUndamaged(file, file.Span<byte>(LengthBytes, (int)headerLength), written);
        }
        else if (metadata.Keys.Any(name => name.StartsWith($"{ChecksumName}/", StringComparison.Ordinal)))
        {
            throw Damaged(file, "its header has no checksum, but its tensors have");
        }

        var found = new List<(long Start, long End, StoredTensor Tensor)>();
        foreach ((string name, JsonNode? node) in header)
        {
            Entry entry = JsonText.Read<Entry>(node ?? throw Damaged(file, $"{name} is null"), $"{file.Path}: {name}");
            found.Add(
                Locate(file, name, entry, dataStart, metadata.Remove($"{ChecksumName}/{name}", out string? checksum) ? checksum : null)
            );
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
            ? new TensorFile(file, PackedTensors.Unpacked(file, [.. found.Select(entry => entry.Tensor)], metadata), metadata)
            : throw Damaged(file, $"its tensors make {covered - dataStart} bytes of {file.Length - dataStart}");
    }

    private static Dictionary<string, string> Metadata(MappedFile file, JsonNode node)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string key, JsonNode? value) in node as JsonObject ?? throw Damaged(file, "its metadata is no object"))
        {
            metadata[key] =
                value?.GetValueKind() == JsonValueKind.String
                    ? value.GetValue<string>()
                    : throw Damaged(file, $"metadata {key} is no text");
        }

        return metadata;
    }

    /// <summary>Start and end are counted from the file's beginning.</summary>
    private static (long Start, long End, StoredTensor Tensor) Locate(
        MappedFile file,
        string name,
        Entry entry,
        long dataStart,
        string? checksum
    )
    {
        if (!Enum.IsDefined(typeof(ElementType), entry.Dtype) || !Enum.TryParse(entry.Dtype, out ElementType type))
        {
            throw new BadInputException(
                $"{file.Path}: {name} has numbers of type {entry.Dtype}; read are {string.Join(", ", Enum.GetNames<ElementType>())}. "
                    + $"Convert the file."
            );
        }

        if (entry.DataOffsets is not [long start, long end] || start < 0 || end < start || end > file.Length - dataStart)
        {
            throw Damaged(file, $"{name} lies outside the file");
        }

        if (!StoredTensor.TryCount(entry.Shape, out int count) || end - start != (long)count * type.Size())
        {
            throw Damaged(file, $"{name} has {end - start} bytes for {type} [{string.Join(", ", entry.Shape)}]");
        }

        uint written = 0;
        if (checksum is not null && !uint.TryParse(checksum, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out written))
        {
            throw Damaged(file, $"the checksum of {name} is no hexadecimal number");
        }

        return (
            dataStart + start,
            dataStart + end,
            new StoredTensor(file, name, type, entry.Shape, dataStart + start, checksum: checksum is null ? null : written)
        );
    }

    private static BadInputException Damaged(MappedFile file, string why) =>
        new($"{file.Path}: not a whole safetensors file: {why}. Use another copy or checkpoint.");

    private sealed record Entry(string Dtype, long[] Shape, long[] DataOffsets);
}
