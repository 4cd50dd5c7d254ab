using System.Text.Json.Serialization;
using Sparsity.Core.Files;

namespace Sparsity.Core.Corpora;

/// <summary>What <c>corpus.json</c> says of a corpus folder.</summary>
/// <param name="FormatVersion">The version of the folder's layout: 1.</param>
/// <param name="Source">Where the text came from, such as a folder or "synthetic".</param>
/// <param name="Seed">The seed that made or split it.</param>
/// <param name="TrainDocuments">Documents to train on.</param>
/// <param name="ValidationDocuments">Documents kept from training.</param>
/// <param name="TrainBytes">Their length in bytes of UTF-8.</param>
/// <param name="ValidationBytes">Their length in bytes of UTF-8.</param>
/// <param name="Skipped">What was left out, by reason.</param>
public sealed record CorpusInfo(
    [property: JsonRequired] int FormatVersion,
    [property: JsonRequired] string Source,
    [property: JsonRequired] ulong Seed,
    [property: JsonRequired] long TrainDocuments,
    [property: JsonRequired] long ValidationDocuments,
    [property: JsonRequired] long TrainBytes,
    [property: JsonRequired] long ValidationBytes,
    [property: JsonRequired] IReadOnlyList<SkippedFiles> Skipped
)
{
    /// <summary>
    /// For a corpus about to be written: <see cref="CorpusFolder.Write(string, IEnumerable{CorpusDocument}, CorpusInfo)"/> fills in the
    /// counts.
    /// </summary>
    public static CorpusInfo Of(string source, ulong seed, IReadOnlyList<SkippedFiles>? skipped = null) =>
        new(FileFormat.Version, source, seed, 0, 0, 0, 0, skipped ?? []);
}
