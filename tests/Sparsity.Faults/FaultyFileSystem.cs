using Sparsity.Core.Files;

namespace Sparsity.Faults;

/// <summary>A call by which files are changed.</summary>
internal enum FileCall
{
    Create,
    Write,
    FlushToDisk,
    Rename,
    FlushDirectory,
    Append,
    Delete,
}

/// <summary>
/// Counts the calls of each kind, and makes one of them fail as a full, broken or vanished disk does; every call after it fails too, as
/// there.
/// </summary>
/// <param name="failing">Which kind fails; null for none.</param>
/// <param name="at">0-based, among the calls of this kind.</param>
internal sealed class FaultyFileSystem(FileCall? failing = null, int at = 0) : FileSystem
{
    /// <summary>How often each call was made.</summary>
    public int[] Calls { get; } = new int[Enum.GetValues<FileCall>().Length];

    public bool HasFailed { get; private set; }

    public override FileStream Create(string path)
    {
        Call(FileCall.Create, "No such file or directory");
        return new FaultyFile(this, path, FileMode.Create);
    }

    public override FileStream Append(string path)
    {
        Call(FileCall.Append, "Read-only file system");
        return new FaultyFile(this, path, FileMode.Append);
    }

    public override void Rename(string path, string newPath)
    {
        Call(FileCall.Rename, "Input/output error");
        base.Rename(path, newPath);
    }

    public override void FlushDirectory(string path)
    {
        Call(FileCall.FlushDirectory, "Input/output error");
        base.FlushDirectory(path);
    }

    public override void Delete(string path)
    {
        Call(FileCall.Delete, "Permission denied");
        base.Delete(path);
    }

    private void Call(FileCall call, string failure)
    {
        if (HasFailed || (call == failing && Calls[(int)call] == at))
        {
            HasFailed = true;
            throw new IOException(failure);
        }

        Calls[(int)call]++;
    }

    /// <summary>Without a buffer, so that each write is one of the system's. A failing one writes the first half of its bytes.</summary>
    private sealed class FaultyFile(FaultyFileSystem system, string path, FileMode mode)
        : FileStream(path, mode, FileAccess.Write, FileShare.Read, 1)
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            try
            {
                system.Call(FileCall.Write, "No space left on device");
            }
            catch (IOException)
            {
                base.Write(buffer[..(buffer.Length / 2)]);
                throw;
            }

            base.Write(buffer);
        }

        public override void Flush(bool flushToDisk)
        {
            system.Call(FileCall.FlushToDisk, "Input/output error");
            base.Flush(flushToDisk);
        }
    }
}
