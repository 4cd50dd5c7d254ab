using System.Runtime.InteropServices;

namespace Sparsity.Core.Files;

/// <summary>The system's calls by which this program changes files: in one place, so that tests can make each of them fail.</summary>
internal partial class FileSystem
{
    public static FileSystem Current { get; set; } = new();

    /// <summary>An empty file to be written; what the name stood for before is gone.</summary>
    public virtual FileStream Create(string path) => new(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);

    /// <summary>A file to be written on at its end.</summary>
    public virtual FileStream Append(string path) => new(path, FileMode.Append, FileAccess.Write, FileShare.Read, 1);

    /// <summary>Replaces what the new name stood for.</summary>
    public virtual void Rename(string path, string newPath) => File.Move(path, newPath, overwrite: true);

    public virtual void Delete(string path) => File.Delete(path);

    public virtual void CreateDirectory(string path) => Directory.CreateDirectory(path);

    /// <summary>Makes names and renames in a folder survive a loss of power. Windows does so by itself.</summary>
    public virtual void FlushDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        const int ReadOnly = 0,
            InvalidArgument = 22; // EINVAL: some file systems have no such call
        int folder = OpenFolder(path, ReadOnly);
        if (folder < 0)
        {
            throw new IOException(Marshal.GetLastPInvokeErrorMessage());
        }

        int error = Flush(folder) < 0 ? Marshal.GetLastPInvokeError() : 0;
        _ = Close(folder); // nothing was written through it
        if (error is not (0 or InvalidArgument))
        {
            throw new IOException(Marshal.GetPInvokeErrorMessage(error));
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFolder(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Flush(int file);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
