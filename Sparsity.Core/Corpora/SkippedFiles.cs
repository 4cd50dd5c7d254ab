namespace Sparsity.Core.Corpora;

/// <summary>Files left out for one reason.</summary>
/// <param name="Reason">Why, in a few words.</param>
/// <param name="Count">How many.</param>
/// <param name="Examples">The paths of the first few, relative to the source.</param>
public sealed record SkippedFiles(string Reason, int Count, IReadOnlyList<string> Examples);

/// <summary>Counts what is left out, by reason.</summary>
internal sealed class SkipReport
{
    private const int MostExamples = 3;

    private readonly SortedDictionary<string, (int Count, List<string> Examples)> _reasons = new(StringComparer.Ordinal);

    internal void Add(string reason, string path)
    {
        (int count, List<string> examples) = _reasons.TryGetValue(reason, out (int Count, List<string> Examples) known) ? known : (0, []);
        if (examples.Count < MostExamples)
        {
            examples.Add(path);
        }

        _reasons[reason] = (count + 1, examples);
    }

    internal IReadOnlyList<SkippedFiles> ToList() =>
        [.. _reasons.Select(pair => new SkippedFiles(pair.Key, pair.Value.Count, pair.Value.Examples))];
}
