namespace Sparsity.Core.Corpora;

/// <summary>One document of a corpus.</summary>
/// <param name="Path">Where it came from, with forward slashes, relative to the source.</param>
/// <param name="Text">Its text.</param>
/// <param name="Validation">Whether it is kept from training, to measure on.</param>
public sealed record CorpusDocument(string Path, string Text, bool Validation);
