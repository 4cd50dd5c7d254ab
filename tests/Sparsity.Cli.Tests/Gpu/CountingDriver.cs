using System.Diagnostics;
using System.Globalization;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests.Gpu;

/// <summary>
/// counting-cuda.c, compiled: a libcuda.so.1 whose one device poses as an NVIDIA GPU and only counts. It is loaded by the processes that
/// tests start, never by their own.
/// </summary>
public sealed class CountingDriver : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Lazy<string> _library;
    private int _logs;

    public CountingDriver() => _library = new Lazy<string>(Compile);

    /// <summary>The folder that the library lies in.</summary>
    public string Folder => Path.GetDirectoryName(_library.Value)!;

    /// <summary>A path for a file of a test; names must differ between tests.</summary>
    public string this[string name] => _folder[name];

    /// <summary>Runs the program with the device present.</summary>
    /// <param name="settings">Variables of counting-cuda.c.</param>
    /// <returns>How it ended, and the lines of the driver's log.</returns>
    internal (CommandResult Result, string[] Log) Run((string Name, string Value)[] settings, params string[] arguments)
    {
        string log = _folder[$"log{Interlocked.Increment(ref _logs)}"];
        CommandResult result = CommandLine.RunWith([("LD_LIBRARY_PATH", Folder), ("COUNTING_LOG", log), .. settings], arguments);
        return (result, File.Exists(log) ? File.ReadAllLines(log) : []);
    }

    /// <summary>The numbers of the log's lines of one kind.</summary>
    public static long[][] Numbers(string[] log, string kind) =>
        [
            .. log.Where(line => line.StartsWith(kind + " ", StringComparison.Ordinal))
                .Select(line => line.Split(' ')[1..].Select(number => long.Parse(number, CultureInfo.InvariantCulture)).ToArray()),
        ];

    public void Dispose() => _folder.Dispose();

    /// <summary>Whether a program can be started and ends well.</summary>
    internal static bool Succeeds(string program, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(
                new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true }
            )!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private string Compile()
    {
        string library = Path.Combine(Directory.CreateDirectory(_folder["driver"]).FullName, "libcuda.so.1");
        string source = Path.Combine(AppContext.BaseDirectory, "Gpu", "counting-cuda.c");
        Assert.True(Succeeds("gcc", "-shared", "-fPIC", "-O2", "-o", library, source), "gcc does not compile counting-cuda.c.");
        return library;
    }
}

/// <summary>A test that needs the counting driver; skipped without gcc.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CountingDriverFactAttribute : FactAttribute
{
    private static readonly bool HasCompiler = OperatingSystem.IsLinux() && CountingDriver.Succeeds("gcc", "--version");
    private static readonly bool HasNamespaces = OperatingSystem.IsLinux() && CountingDriver.Succeeds("unshare", "--mount", "true");

    public CountingDriverFactAttribute()
    {
        if (!HasCompiler)
        {
            Skip = "gcc is not installed.";
        }
    }

    /// <summary>Whether the test makes a file system of its own.</summary>
    public bool Unshares
    {
        get;
        set
        {
            field = value;
            if (value && !HasNamespaces)
            {
                Skip = "unshare --mount is not permitted here.";
            }
        }
    }
}
