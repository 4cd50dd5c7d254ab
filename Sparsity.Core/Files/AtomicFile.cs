using System.Text;

namespace Sparsity.Core.Files;

/// <summary>
/// Files that are either the old ones or the new ones, never halves: written under a temporary name, flushed to disk, renamed. And files
/// that grow line by line. Everything this program writes goes through here.
/// </summary>
internal static class AtomicFile
{
    /// <param name="write">Writes all of it; the stream can seek.</param>
    /// <param name="previous">The name that a file already there gets; null to replace it. Between the two renames only
    /// <paramref name="previous"/> is there.</param>
    /// <exception cref="WriteFailedException">The folder is missing or not writable, or the disk is full.</exception>
    public static void Write(string path, Action<Stream> write, string? previous = null)
    {
        RefuseFolder(path);
        if (IsDevice(path))
        {
            WriteToDevice(path, write);
            return;
        }

        string temporary = path + ".writing";
        FileSystem files = FileSystem.Current;
        try
        {
            using (FileStream stream = files.Create(temporary))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            if (previous is not null && File.Exists(path))
            {
                files.Rename(path, previous);
            }

            files.Rename(temporary, path);
            files.FlushDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            TryDelete(temporary);
            throw Failed(path, e, "No file is left half written; free space or choose another output folder.");
        }
        catch
        {
            TryDelete(temporary);
            throw;
        }
    }

    /// <summary>Devices, such as /dev/null and /dev/stdout, are written to: a file must not take their place.</summary>
    private static bool IsDevice(string path)
    {
        return IsBelow(Path.GetFullPath(path))
            || (File.Exists(path) && File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target && IsBelow(target.FullName));

        static bool IsBelow(string path) =>
            path.StartsWith("/dev/", StringComparison.Ordinal) && !path.StartsWith("/dev/shm/", StringComparison.Ordinal);
    }

    private static void WriteToDevice(string path, Action<Stream> write)
    {
        using var whole = new MemoryStream(); // which can seek
        write(whole);
        try
        {
            using var device = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            whole.WriteTo(device);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(path, e, "Choose another output folder.");
        }
    }

    /// <summary>Fails where <see cref="Write"/> would, so that nobody waits for a result that cannot be kept. Writes nothing.</summary>
    /// <exception cref="WriteFailedException">The folder is missing or not writable.</exception>
    public static void RequireWritable(string path)
    {
        RefuseFolder(path);
        if (IsDevice(path))
        {
            return;
        }

        string temporary = path + ".writing";
        try
        {
            FileSystem.Current.Create(temporary).Dispose();
            FileSystem.Current.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(path, e, "Name a file in a folder that is there and writable.");
        }
    }

    /// <inheritdoc cref="Write"/>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Adds to the end of a file, which is made if it is not there. A reader may see half of the text.</summary>
    /// <exception cref="WriteFailedException">The folder is missing or not writable, or the disk is full.</exception>
    public static void AppendText(string path, string text) => Append(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Makes what was appended so far survive a loss of power.</summary>
    /// <inheritdoc cref="AppendText"/>
    public static void FlushToDisk(string path) => Append(path, stream => stream.Flush(flushToDisk: true));

    /// <summary>Makes a folder and those above it.</summary>
    /// <exception cref="WriteFailedException">It cannot be made.</exception>
    public static void CreateDirectory(string path)
    {
        try
        {
            FileSystem.Current.CreateDirectory(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(path, e, "Free space or choose another output folder.");
        }
    }

    /// <summary>Removes a file, if it is there.</summary>
    /// <exception cref="WriteFailedException">It cannot be removed.</exception>
    public static void Delete(string path)
    {
        try
        {
            FileSystem.Current.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(path, e, "Make its folder writable.");
        }
    }

    private static void Append(string path, Action<FileStream> write)
    {
        try
        {
            using FileStream stream = FileSystem.Current.Append(path);
            write(stream);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(path, e, "The last checkpoint stands; free space and resume the run.");
        }
    }

    private static void RefuseFolder(string path)
    {
        if (Directory.Exists(path))
        {
            throw new BadInputException($"{path}: cannot be written: it is a folder. Give the name of a file.");
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            FileSystem.Current.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The failure to write is the one to report.
        }
    }

    private static WriteFailedException Failed(string path, Exception e, string advice) =>
        new($"{path}: cannot be written ({e.Message.ReplaceLineEndings(" ")}). {advice}", e);
}
