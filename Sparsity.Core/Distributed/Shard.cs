namespace Sparsity.Core.Distributed;

/// <summary>
/// One of several shares of a list of jobs that do not need each other, each done by a run of its own and in a folder of its own.
/// </summary>
/// <param name="Index">From 1.</param>
/// <param name="Count">How many shards there are.</param>
internal sealed record Shard(int Index, int Count)
{
    /// <summary>Reads i/n.</summary>
    /// <exception cref="BadInputException">It is not of that form.</exception>
    public static Shard Parse(string text)
    {
        string[] parts = text.Split('/');
        return parts.Length == 2 && Number(parts[0]) is { } index && Number(parts[1]) is { } count && index >= 1 && index <= count
            ? new Shard(index, count)
            : throw new BadInputException($"the shard is '{text}', but must be i/n with i from 1 to n, such as 2/8.");

        static int? Number(string part) => NumberText.TryParse(part, out int number) ? number : null;
    }

    /// <summary>The name of its folder, below the one that is the same for all.</summary>
    public string FolderName => ToString().Replace("/", "-of-", StringComparison.Ordinal).Insert(0, "shard-");

    /// <summary>Whether a job is among its own: neighbours in the list, which are often alike, go to different shards.</summary>
    /// <param name="job">From 0.</param>
    public bool Takes(int job) => job % Count == Index - 1;

    /// <exception cref="BadInputException">There are fewer jobs than shards.</exception>
    public void RequireWork(int jobs)
    {
        if (jobs < Count)
        {
            throw new BadInputException($"the shard is {this}, but there is work for only {jobs}. Use at most that many shards.");
        }
    }

    /// <summary>The shards in a folder: itself, or those below it.</summary>
    /// <param name="folder">As it was given.</param>
    /// <param name="isShard">Whether a folder is one.</param>
    /// <exception cref="BadInputException">There is no such folder.</exception>
    public static IEnumerable<string> Find(string folder, Func<string, bool> isShard)
    {
        if (!Directory.Exists(folder))
        {
            throw new BadInputException($"{folder}: no such folder. Give the folders of shards, or the one that holds them.");
        }

        return isShard(folder) ? [folder] : Directory.EnumerateDirectories(folder).Where(isShard).Order(StringComparer.Ordinal);
    }

    /// <summary>Puts shards in their order.</summary>
    /// <param name="found">Shards and the folders they were found in.</param>
    /// <exception cref="BadInputException">One is missing or there twice, or they are not of one division.</exception>
    public static IReadOnlyList<string> InOrder(IReadOnlyList<(Shard Shard, string Folder)> found)
    {
        foreach ((Shard shard, string folder) in found)
        {
            if (shard.Count != found[0].Shard.Count)
            {
                throw new BadInputException(
                    $"{folder}: is shard {shard}, but {found[0].Folder} is shard {found[0].Shard}. Give shards of one division."
                );
            }
        }

        int count = found[0].Shard.Count;
        ILookup<int, string> folders = found.ToLookup(entry => entry.Shard.Index, entry => entry.Folder);
        foreach (IGrouping<int, string> group in folders.Where(group => group.Count() > 1))
        {
            throw new BadInputException($"Shard {group.Key}/{count} is there twice: {string.Join(" and ", group)}. Give each once.");
        }

        int[] missing = [.. Enumerable.Range(1, count).Where(index => !folders.Contains(index))];
        return missing.Length == 0
            ? [.. Enumerable.Range(1, count).Select(index => folders[index].Single())]
            : throw new BadInputException(
                $"Of {count} shards, {string.Join(", ", missing)} {(missing.Length == 1 ? "is" : "are")} missing. Run what is "
                    + $"missing, or give its folder too."
            );
    }

    public override string ToString() => FormattableString.Invariant($"{Index}/{Count}");
}
