using System.Globalization;
using System.Text;
using Sparsity.Core.Files;

namespace Sparsity.Core.Corpora;

/// <summary>Writes one side of a corpus as numbered JSON-lines files of about equal size.</summary>
internal sealed class ShardWriter(string directory, string split, long shardBytes)
{
    private readonly MemoryStream _lines = new();
    private int _shard;

    internal long Documents { get; private set; }

    /// <summary>The length of the texts, without the JSON around them.</summary>
    internal long Bytes { get; private set; }

    internal static string ShardPath(string directory, string split, int shard) =>
        Path.Combine(directory, "text", string.Create(CultureInfo.InvariantCulture, $"{split}-{shard:D5}.jsonl"));

    internal void Add(CorpusDocument document)
    {
        Documents++;
        Bytes += Encoding.UTF8.GetByteCount(document.Text);
        _lines.Write(Encoding.UTF8.GetBytes(JsonText.WriteLine(new Line(document.Path, document.Text))));
        if (_lines.Length >= shardBytes)
        {
            Flush();
        }
    }

    internal void Finish()
    {
        if (_lines.Length > 0)
        {
            Flush();
        }
    }

    private void Flush()
    {
        AtomicFile.Write(ShardPath(directory, split, _shard++), stream => _lines.WriteTo(stream));
        _lines.SetLength(0);
    }

    private sealed record Line(string Path, string Text);
}
