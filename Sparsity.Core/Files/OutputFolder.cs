namespace Sparsity.Core.Files;

/// <summary>Folders that results are written into. Nothing that is there already is overwritten.</summary>
internal static class OutputFolder
{
    /// <summary>Creates a folder, or takes an empty one.</summary>
    /// <param name="directory">The folder.</param>
    /// <returns>The same path.</returns>
    /// <exception cref="BadInputException">It holds files already, or cannot be created.</exception>
    public static string Create(string directory) => Create(directory, _ => false);

    /// <inheritdoc cref="Create(string)"/>
    /// <param name="directory">The folder.</param>
    /// <param name="isLeft">Whether entries of these names are what an earlier try left, which may be written over.</param>
    internal static string Create(string directory, Func<IReadOnlyCollection<string>, bool> isLeft)
    {
        try
        {
            if (File.Exists(directory))
            {
                throw new BadInputException($"{directory}: is a file. Choose another output folder.");
            }

            // A lock alone is of work that ended before it began.
            string[] names = !Directory.Exists(directory)
                ? []
                : [.. Directory.EnumerateFileSystemEntries(directory).Select(entry => Path.GetFileName(entry))];
            if (names.Any(name => !name.StartsWith(FolderLock.FileName, StringComparison.Ordinal)) && !isLeft(names))
            {
                throw new BadInputException(
                    $"{directory}: already holds files, and nothing is overwritten. Choose another output folder, remove this one, or "
                        + $"resume the run that is in it."
                );
            }

            Directory.CreateDirectory(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{directory}: cannot be created ({e.Message}). Choose another output folder.", e);
        }

        return directory;
    }
}
