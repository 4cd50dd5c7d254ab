namespace Sparsity.Core.Files;

/// <summary>The few lines of text that Git leaves in place of a large file until <c>git lfs pull</c> brings it.</summary>
internal static class GitLfsPointer
{
    /// <summary>How many bytes of a file tell.</summary>
    public static int Length => Beginning.Length;

    private static ReadOnlySpan<byte> Beginning => "version https://git-lfs.github.com/spec/"u8;

    /// <summary>Whether a file is such a pointer.</summary>
    /// <param name="contents">All of it, or its beginning.</param>
    public static bool Is(ReadOnlySpan<byte> contents) => contents.StartsWith(Beginning);

    /// <param name="path">Of the file, for the message.</param>
    /// <param name="contents">All of it, or its beginning.</param>
    /// <exception cref="BadInputException">It is such a pointer.</exception>
    public static void Refuse(string path, ReadOnlySpan<byte> contents)
    {
        if (Is(contents))
        {
            throw new BadInputException($"{path}: is a Git LFS pointer, not the file itself. Fetch the file with 'git lfs pull'.");
        }
    }

    /// <inheritdoc cref="Refuse(string, ReadOnlySpan{byte})"/>
    public static void Refuse(string path, string contents)
    {
        if (contents.Length >= Beginning.Length)
        {
            Refuse(path, System.Text.Encoding.UTF8.GetBytes(contents[..Beginning.Length]));
        }
    }
}
