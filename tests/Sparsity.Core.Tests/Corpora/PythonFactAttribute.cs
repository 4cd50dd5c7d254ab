using System.Diagnostics;

namespace Sparsity.Core.Tests.Corpora;

/// <summary>A test that asks python3; skipped by name where there is none on PATH.</summary>
public sealed class PythonFactAttribute : FactAttribute
{
    private static readonly bool Present = (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Any(folder => File.Exists(Path.Combine(folder, "python3")));

    public PythonFactAttribute()
    {
        if (!Present)
        {
            Skip = "python3 is not on PATH, and it is what says whether the text is Python.";
        }
    }

    /// <summary>Runs a program on the given arguments and returns its output and exit code.</summary>
    internal static (int Code, string Output) Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo("python3") { RedirectStandardOutput = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(program);
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output);
    }
}
