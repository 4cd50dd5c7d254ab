namespace Sparsity.Core.Files;

/// <summary>
/// Paths that files of this program keep: written as full paths, and looked for again after whole folders were moved. What is found may be
/// another file of the same name, so whoever uses it compares fingerprints.
/// </summary>
internal static class RecordedPath
{
    /// <summary>
    /// Where the thing may be now, the likeliest first: where it was; and, for each folder from <paramref name="holder"/> upwards, that
    /// folder with the path's last part, its last two, and so on. A run and its data that were moved together are found so.
    /// </summary>
    /// <param name="recorded">As it was kept; older files keep paths relative to a folder that nobody knows any more.</param>
    /// <param name="holder">The folder of the file that keeps it.</param>
    public static IEnumerable<string> Places(string recorded, string holder)
    {
        if (Path.IsPathRooted(recorded))
        {
            yield return recorded;
        }

        string[] parts = recorded.Split(['/', '\\'], StringSplitOptions.RemoveEmptyEntries);
        for (string? folder = Path.GetFullPath(holder); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            for (int i = parts.Length - 1; i >= 0; i--)
            {
                yield return Path.Combine([folder, .. parts[i..]]);
            }
        }

        if (!Path.IsPathRooted(recorded) && recorded.Length > 0)
        {
            yield return Path.GetFullPath(recorded);
        }
    }

    /// <summary>The first of <see cref="Places"/> where a folder is; where it was if there is none.</summary>
    public static string Folder(string recorded, string holder) => Places(recorded, holder).FirstOrDefault(Directory.Exists) ?? recorded;

    /// <summary>The first of <see cref="Places"/> where a file is; where it was if there is none.</summary>
    public static string File(string recorded, string holder) => Places(recorded, holder).FirstOrDefault(System.IO.File.Exists) ?? recorded;
}
