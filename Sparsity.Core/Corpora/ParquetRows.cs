using System.Buffers.Binary;
using Parquet;
using Parquet.Meta;
using Parquet.Schema;

namespace Sparsity.Core.Corpora;

/// <summary>The texts of one column of a Parquet file, a group of rows at a time (Parquet.Net).</summary>
internal static class ParquetRows
{
    private const string Damaged = "that are no whole Parquet files";
    private const int MostRows = 10_000_000; // of a group
    private const long MostBytes = 2L << 30; // of a column in a group

    internal static IEnumerable<TextPiece> Of(string path, TextTreeOptions options)
    {
        using FileStream stream = File.OpenRead(path);
        if (
            !HasWholeFooter(stream)
            || Try(() => ParquetReader.CreateAsync(stream, leaveStreamOpen: true).GetAwaiter().GetResult()) is not { } reader
            || reader.Metadata is null
        )
        {
            yield return Skip(Damaged);
            yield break;
        }

        if (Try(() => reader.Schema.GetDataFields()) is not { } fields)
        {
            yield return Skip(Damaged);
            yield break;
        }

        string? name =
            options.Column ?? TextPieces.UsualColumns.FirstOrDefault(usual => fields.Any(field => field.Path.ToString() == usual));
        DataField? column = fields.FirstOrDefault(field => field.Path.ToString() == name);
        if (column is null || column.MaxRepetitionLevel > 0 || column.SchemaElement?.Type != Parquet.Meta.Type.BYTE_ARRAY)
        {
            string columns = string.Join(", ", reader.Schema.Fields.Select(field => field.Name));
            bool isThere = column is not null || reader.Schema.Fields.Any(field => field.Name == name);
            yield return Skip(
                isThere ? $"whose column '{name}' is nested or holds no text" : $"{TextPieces.Lacking(options.Column)} (columns: {columns})"
            );
            yield break;
        }

        // As bytes: the library would turn what is not UTF-8 into something else.
        var bytes = new DataField(column.Name, typeof(byte[]), column.IsNullable);
        _ = new ParquetSchema(bytes); // which tells the field its levels
        long row = 0;
        for (int group = 0; group < reader.RowGroupCount; group++)
        {
            if (Try(() => Read(reader, group, column, bytes, stream)) is not { } texts)
            {
                yield return Skip(Damaged);
                yield break;
            }

            foreach (byte[]? text in texts)
            {
                row++;
                yield return text is null
                    ? new TextPiece($":{row}", default, 0, $"rows whose '{column.Name}' is null")
                    : new TextPiece($":{row}", text, options.MaximumBytes);
            }
        }
    }

    private static byte[]?[]? Read(ParquetReader reader, int group, DataField column, DataField bytes, FileStream stream)
    {
        using ParquetRowGroupReader rows = reader.OpenRowGroupReader(group);
        ColumnMetaData? described = rows.GetMetadata(column)?.MetaData;
        if (
            described is null
            || rows.RowCount is < 0 or > MostRows
            || described.NumValues != rows.RowCount
            || described.TotalUncompressedSize is < 0 or > MostBytes
            || !HasWholePages(stream, described)
        )
        {
            return null;
        }

        var texts = new byte[rows.RowCount][];
        rows.ReadAsync(bytes, texts).AsTask().GetAwaiter().GetResult();
        return texts;
    }

    /// <summary>Whether the file ends in the length of a footer that lies in it whole.</summary>
    private static bool HasWholeFooter(FileStream stream)
    {
        const int Tail = 8;
        if (
            stream.Length < 2 * Tail
            || Bytes(stream, stream.Length - Tail, Tail) is not [.. var size, (byte)'P', (byte)'A', (byte)'R', (byte)'1']
        )
        {
            return false;
        }

        int length = BinaryPrimitives.ReadInt32LittleEndian(size);
        return length > 0
            && length <= stream.Length - Tail
            && CompactThrift.Length(Bytes(stream, stream.Length - Tail - length, length), -1, out _) is not null;
    }

    /// <summary>Whether the pages of a column in a group of rows follow one another to its end.</summary>
    private static bool HasWholePages(FileStream stream, ColumnMetaData column)
    {
        const int PageSizeField = 3,
            LongestHeader = 1 << 16;
        long at = column.DictionaryPageOffset is > 0 and var first && first < column.DataPageOffset ? first : column.DataPageOffset;
        long end = at + column.TotalCompressedSize;
        if (at < 0 || column.TotalCompressedSize < 0 || end > stream.Length)
        {
            return false;
        }

        while (at < end)
        {
            if (
                CompactThrift.Length(Bytes(stream, at, (int)Math.Min(LongestHeader, end - at)), PageSizeField, out long size)
                    is not { } header
                || size < 0
                || size > end - at - header
            )
            {
                return false;
            }

            at += header + size;
        }

        return true;
    }

    private static byte[] Bytes(FileStream stream, long at, int count)
    {
        var bytes = new byte[count];
        stream.Position = at;
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>What damage makes the library throw is of any type.</summary>
    private static T? Try<T>(Func<T?> read)
        where T : class
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return null;
        }
    }

    private static TextPiece Skip(string reason) => new("", default, 0, reason);
}
