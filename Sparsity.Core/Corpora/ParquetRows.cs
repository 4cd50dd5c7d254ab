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
        if (Try(() => ParquetReader.CreateAsync(stream, leaveStreamOpen: true).GetAwaiter().GetResult()) is not { } reader)
        {
            yield return Skip(Damaged);
            yield break;
        }

        DataField[] fields = reader.Schema.GetDataFields();
        string? name = options.Column ?? TextPieces.UsualColumns.FirstOrDefault(usual => fields.Any(field => field.Path.ToString() == usual));
        DataField? column = fields.FirstOrDefault(field => field.Path.ToString() == name);
        if (column is null || column.MaxRepetitionLevel > 0 || column.SchemaElement?.Type != Parquet.Meta.Type.BYTE_ARRAY)
        {
            string columns = string.Join(", ", reader.Schema.Fields.Select(field => field.Name));
            bool isThere = column is not null || reader.Schema.Fields.Any(field => field.Name == name);
            yield return Skip(isThere ? $"whose column '{name}' is nested or holds no text" : $"{TextPieces.Lacking(options.Column)} (columns: {columns})");
            yield break;
        }

        // As bytes: the library would turn what is not UTF-8 into something else.
        var bytes = new DataField(column.Name, typeof(byte[]), column.IsNullable);
        _ = new ParquetSchema(bytes); // which tells the field its levels
        long row = 0;
        for (int group = 0; group < reader.RowGroupCount; group++)
        {
            if (Try(() => Read(reader, group, column, bytes, stream.Length)) is not { } texts)
            {
                yield return Skip(Damaged);
                yield break;
            }

            foreach (byte[]? text in texts)
            {
                row++;
                yield return text is null ? new TextPiece($":{row}", default, 0, $"rows whose '{column.Name}' is null") : new TextPiece($":{row}", text, options.MaximumBytes);
            }
        }
    }

    private static byte[]?[]? Read(ParquetReader reader, int group, DataField column, DataField bytes, long fileLength)
    {
        using ParquetRowGroupReader rows = reader.OpenRowGroupReader(group);
        ColumnMetaData? described = rows.GetMetadata(column)?.MetaData;
        if (described is null || rows.RowCount is < 0 or > MostRows || described.NumValues != rows.RowCount
            || described.TotalUncompressedSize is < 0 or > MostBytes || described.TotalCompressedSize < 0 || described.TotalCompressedSize > fileLength)
        {
            return null;
        }

        var texts = new byte[rows.RowCount][];
        rows.ReadAsync(bytes, texts).AsTask().GetAwaiter().GetResult();
        return texts;
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
