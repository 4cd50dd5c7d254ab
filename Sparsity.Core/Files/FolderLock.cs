using System.Text;

namespace Sparsity.Core.Files;

/// <summary>
/// Held while a process writes a run's folder, so that a second one is refused. The system gives it up with the process, however that ends.
/// The file .lock is empty and stays; .lock.txt says who holds it, as on some systems a locked file cannot be read.
/// </summary>
internal sealed class FolderLock : IDisposable
{
    /// <summary>Name of the locked file in the folder.</summary>
    public const string FileName = ".lock";

    private readonly FileStream _file;
    private readonly string _holderPath;

    private FolderLock(FileStream file, string holderPath)
    {
        _file = file;
        _holderPath = holderPath;
    }

    /// <exception cref="BadInputException">Another process holds it, or there is no such folder.</exception>
    /// <exception cref="WriteFailedException">The folder is not writable.</exception>
    public static FolderLock Take(string directory)
    {
        if (!Directory.Exists(directory))
        {
            throw new BadInputException($"{directory}: no such folder. Give the folder of a run.");
        }

        string path = Path.Combine(directory, FileName);
        string holderPath = path + ".txt";
        try
        {
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1);
            var held = new FolderLock(file, holderPath);
            try
            {
                AtomicFile.WriteText(
                    holderPath,
                    FormattableString.Invariant(
                        $"process {Environment.ProcessId} on {Environment.MachineName} since {DateTime.UtcNow:yyyy-MM-dd HH:mm:ss} UTC\n"
                    )
                );
                return held;
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
        catch (IOException e) when (IsHeld(e))
        {
            throw new BadInputException(
                $"{directory}: {Holder(holderPath)} is writing it. Wait until it ends, or stop it; nothing was changed.",
                e
            );
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new WriteFailedException(
                $"{directory}: cannot be written ({e.Message.ReplaceLineEndings(" ")}). Nothing was changed; make the folder writable.",
                e
            );
        }
    }

    public void Dispose()
    {
        try
        {
            File.Delete(_holderPath);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What it says is believed only while the lock is held.
        }

        _file.Dispose();
    }

    /// <summary>EWOULDBLOCK of Linux and of macOS, ERROR_SHARING_VIOLATION of Windows.</summary>
    private static bool IsHeld(IOException e) => e.HResult is 11 or 35 or unchecked((int)0x80070020);

    private static string Holder(string path)
    {
        try
        {
            string text = File.ReadAllText(path, Encoding.UTF8).Trim();
            return text.Length is > 0 and < 200 && !text.Any(char.IsControl) ? text : "another process";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "another process"; // it has only just begun, or is ending
        }
    }
}
