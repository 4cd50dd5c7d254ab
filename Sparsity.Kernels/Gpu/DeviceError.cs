using System.Diagnostics;
using System.Text;

namespace Sparsity.Kernels.Gpu;

/// <summary>What went wrong on a device, in words: the exceptions of ILGPU's OpenCL side have no message, only an error code.</summary>
internal static class DeviceError
{
    public static string Describe(Exception exception)
    {
        Exception innermost = exception.GetBaseException();
        object? code = innermost.GetType().GetProperty("Error")?.GetValue(innermost);
        string message = innermost.Message.Trim();
        return code is null ? message
            : message.Length == 0 ? code.ToString()!
            : $"{code}: {message}";
    }
}

/// <summary>
/// What this thread writes to <see cref="Trace"/> until disposed: ILGPU says there, and nowhere else, what a driver's compiler objected to.
/// </summary>
internal sealed class TraceLog : TraceListener
{
    private const int MostLines = 4;
    private const int MostCharacters = 600;

    private readonly StringBuilder _text = new();
    private readonly int _thread = Environment.CurrentManagedThreadId;

    public TraceLog() => Trace.Listeners.Add(this);

    /// <summary>An error and the first lines of the log, in one line.</summary>
    public string Explain(Exception exception)
    {
        string error = DeviceError.Describe(exception).TrimEnd('.');
        string[] lines;
        lock (_text)
        {
            lines =
            [
                .. _text
                    .ToString()
                    .Split('\n')
                    .Select(line => line.Trim('\0', '\r', ' ', '\t'))
                    .Where(line => line.Length > 0)
                    .Take(MostLines),
            ];
        }

        string log = string.Join(" | ", lines);
        return log.Length == 0
            ? error
            : $"{error}; its compiler says: {(log.Length <= MostCharacters ? log : log[..MostCharacters] + " ...")}";
    }

    public override void Write(string? message)
    {
        if (Environment.CurrentManagedThreadId == _thread)
        {
            lock (_text)
            {
                _text.Append(message);
            }
        }
    }

    public override void WriteLine(string? message) => Write(message + "\n");

    protected override void Dispose(bool disposing)
    {
        Trace.Listeners.Remove(this);
        base.Dispose(disposing);
    }
}
