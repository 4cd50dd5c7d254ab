using System.Buffers.Binary;
using System.Text;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tensors;

/// <summary>
/// Where the entries of a zip archive lie in a mapped file, so that their bytes can be used in place. Entries must be stored, not
/// compressed, as torch.save writes them. Archives and entries beyond 4 GB (zip64) are read too.
/// </summary>
internal sealed class ZipDirectory
{
    private const uint EndSignature = 0x06054b50;
    private const uint End64Signature = 0x06064b50;
    private const uint Locator64Signature = 0x07064b50;
    private const uint EntrySignature = 0x02014b50;
    private const uint LocalSignature = 0x04034b50;
    private const int EndBytes = 22;
    private const int Locator64Bytes = 20;
    private const int End64Bytes = 56;
    private const int EntryBytes = 46;
    private const int LocalBytes = 30;
    private readonly MappedFile _file;
    private readonly Dictionary<string, (long Offset, long Length)> _entries = new(StringComparer.Ordinal);

    /// <exception cref="BadInputException">The file is no such archive, or damaged.</exception>
    public ZipDirectory(MappedFile file)
    {
        _file = file;
        (long at, long length) = FindDirectory();
        for (long end = at + length; at < end; )
        {
            if (end - at < EntryBytes)
            {
                throw Damaged("its directory ends within an entry");
            }

            ReadOnlySpan<byte> entry = file.Span<byte>(at, EntryBytes);
            int nameLength = BinaryPrimitives.ReadUInt16LittleEndian(entry[28..]);
            int extraLength = BinaryPrimitives.ReadUInt16LittleEndian(entry[30..]);
            int commentLength = BinaryPrimitives.ReadUInt16LittleEndian(entry[32..]);
            if (
                BinaryPrimitives.ReadUInt32LittleEndian(entry) != EntrySignature
                || end - at - EntryBytes < nameLength + extraLength + commentLength
            )
            {
                throw Damaged("its directory is broken");
            }

            string name = Encoding.UTF8.GetString(file.Span<byte>(at + EntryBytes, nameLength));
            Add(name, entry, file.Span<byte>(at + EntryBytes + nameLength, extraLength));
            at += EntryBytes + nameLength + extraLength + commentLength;
        }
    }

    /// <summary>Start and length, in bytes of the file, of each entry's content.</summary>
    public IReadOnlyDictionary<string, (long Offset, long Length)> Entries => _entries;

    private (long Start, long Length) FindDirectory()
    {
        // The end record is the last thing in the file but for a comment of at most 65535 bytes.
        int searched = (int)Math.Min(_file.Length, EndBytes + ushort.MaxValue);
        ReadOnlySpan<byte> tail = _file.Span<byte>(_file.Length - searched, searched);
        for (int at = searched - EndBytes; at >= 0; at--)
        {
            ReadOnlySpan<byte> end = tail[at..];
            if (
                BinaryPrimitives.ReadUInt32LittleEndian(end) != EndSignature
                || BinaryPrimitives.ReadUInt16LittleEndian(end[20..]) != end.Length - EndBytes
            )
            {
                continue;
            }

            long length = BinaryPrimitives.ReadUInt32LittleEndian(end[12..]);
            long start = BinaryPrimitives.ReadUInt32LittleEndian(end[16..]);
            long endsAt = _file.Length - searched + at;
            if (BinaryPrimitives.ReadUInt16LittleEndian(end[10..]) == ushort.MaxValue || length == uint.MaxValue || start == uint.MaxValue)
            {
                (start, length, endsAt) = FindDirectory64(endsAt);
            }

            return start >= 0 && length >= 0 && start <= endsAt && length <= endsAt - start
                ? (start, length)
                : throw Damaged("its directory lies outside the file");
        }

        throw Damaged("it has no end");
    }

    private (long Start, long Length, long EndsAt) FindDirectory64(long endsAt)
    {
        if (endsAt >= Locator64Bytes)
        {
            ReadOnlySpan<byte> locator = _file.Span<byte>(endsAt - Locator64Bytes, Locator64Bytes);
            long at = BinaryPrimitives.ReadInt64LittleEndian(locator[8..]);
            if (
                BinaryPrimitives.ReadUInt32LittleEndian(locator) == Locator64Signature
                && at >= 0
                && at <= endsAt - Locator64Bytes - End64Bytes
            )
            {
                ReadOnlySpan<byte> end = _file.Span<byte>(at, End64Bytes);
                if (BinaryPrimitives.ReadUInt32LittleEndian(end) == End64Signature)
                {
                    return (BinaryPrimitives.ReadInt64LittleEndian(end[48..]), BinaryPrimitives.ReadInt64LittleEndian(end[40..]), at);
                }
            }
        }

        throw Damaged("its 64-bit directory is missing");
    }

    private void Add(string name, ReadOnlySpan<byte> entry, ReadOnlySpan<byte> extra)
    {
        bool isEncrypted = (BinaryPrimitives.ReadUInt16LittleEndian(entry[8..]) & 1) != 0;
        int method = BinaryPrimitives.ReadUInt16LittleEndian(entry[10..]);
        if (isEncrypted || method != 0)
        {
            throw new BadInputException(
                $"{_file.Path}: {name} in it is {(isEncrypted ? "encrypted" : "compressed")}, but torch.save stores without that. "
                    + $"Save the model again with torch.save."
            );
        }

        long compressed = BinaryPrimitives.ReadUInt32LittleEndian(entry[20..]);
        long length = BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]);
        long local = BinaryPrimitives.ReadUInt32LittleEndian(entry[42..]);
        Widen(name, extra, ref length, ref compressed, ref local);
        if (
            length != compressed
            || length < 0
            || local < 0
            || local > _file.Length - LocalBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(_file.Span<byte>(local, LocalBytes)) != LocalSignature
        )
        {
            throw Damaged($"{name} in it has no header");
        }

        ReadOnlySpan<byte> header = _file.Span<byte>(local, LocalBytes);
        long offset =
            local
            + LocalBytes
            + BinaryPrimitives.ReadUInt16LittleEndian(header[26..])
            + BinaryPrimitives.ReadUInt16LittleEndian(header[28..]);
        if (offset > _file.Length || length > _file.Length - offset)
        {
            throw Damaged($"{name} in it lies outside the file");
        }

        if (!_entries.TryAdd(name, (offset, length)))
        {
            throw Damaged($"{name} is in it twice");
        }
    }

    /// <summary>Takes the 64-bit numbers, in this order, for those that the entry marks as too large for 32 bits.</summary>
    private void Widen(string name, ReadOnlySpan<byte> extra, ref long length, ref long compressed, ref long local)
    {
        if (length != uint.MaxValue && compressed != uint.MaxValue && local != uint.MaxValue)
        {
            return;
        }

        const ushort Zip64 = 1;
        while (extra.Length >= 4)
        {
            ushort kind = BinaryPrimitives.ReadUInt16LittleEndian(extra);
            int size = BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]);
            extra = extra[4..];
            if (size > extra.Length)
            {
                break;
            }

            if (kind == Zip64)
            {
                ReadOnlySpan<byte> numbers = extra[..size];
                length = Take(ref numbers, length);
                compressed = Take(ref numbers, compressed);
                local = Take(ref numbers, local);
                return;
            }

            extra = extra[size..];
        }

        throw Damaged($"{name} in it lacks its 64-bit size");

        long Take(ref ReadOnlySpan<byte> numbers, long narrow)
        {
            if (narrow != uint.MaxValue)
            {
                return narrow;
            }

            if (!BinaryPrimitives.TryReadInt64LittleEndian(numbers, out long wide))
            {
                throw Damaged($"{name} in it lacks its 64-bit size");
            }

            numbers = numbers[8..];
            return wide;
        }
    }

    private BadInputException Damaged(string why) =>
        new($"{_file.Path}: not a whole zip archive as torch.save writes it: {why}. Use another copy.");
}
