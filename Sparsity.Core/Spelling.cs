namespace Sparsity.Core;

/// <summary>Names in messages.</summary>
internal static class Spelling
{
    /// <summary>"a, b or c".</summary>
    public static string OneOf(IReadOnlyList<string> names) =>
        names.Count < 2 ? string.Join("", names) : $"{string.Join(", ", names.SkipLast(1))} or {names[^1]}";

    /// <summary>" Did you mean 'x'?" of the name that is nearest to what was written; empty where none is near.</summary>
    public static string Suggestion(string written, IEnumerable<string> names, string prefix = "") =>
        names
            .Where(name => Distance(written, name) is var distance && distance <= Math.Max(1, name.Length / 3))
            .MinBy(name => Distance(written, name))
            is { } nearest
            ? $" Did you mean {prefix}{nearest}?"
            : "";

    /// <summary>Letters that have to be put in, taken out, replaced or exchanged with the next one (optimal string alignment).</summary>
    private static int Distance(string a, string b)
    {
        var distances = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                if (Math.Min(i, j) == 0)
                {
                    distances[i, j] = i + j;
                    continue;
                }

                int changed = distances[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                int least = Math.Min(changed, Math.Min(distances[i - 1, j], distances[i, j - 1]) + 1);
                distances[i, j] =
                    i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] ? Math.Min(least, distances[i - 2, j - 2] + 1) : least;
            }
        }

        return distances[a.Length, b.Length];
    }
}
