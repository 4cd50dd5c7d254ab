using System.Collections.Concurrent;
using System.Diagnostics;

namespace Sparsity.Core.Tests.Storage;

/// <summary>A test that asks a program with a Python module, such as Debian's python3-numpy; skipped by name where no python3 on PATH has
/// it.</summary>
public sealed class PythonModuleFactAttribute : FactAttribute
{
    private static readonly ConcurrentDictionary<string, string?> Pythons = [];

    /// <param name="module">Its name.</param>
    public PythonModuleFactAttribute(string module)
    {
        if (PythonWith(module) is null)
        {
            Skip = $"no python3 on PATH has the module {module}, which is what the result is compared with.";
        }
    }

    /// <summary>Runs a script with a Python that has the module, and returns what it printed.</summary>
    internal static string Run(string module, params string[] arguments)
    {
        (int code, string output, string errors) = RunProgram(PythonWith(module)!, arguments);
        Assert.True(code == 0, errors);
        return output;
    }

    private static string? PythonWith(string module) =>
        Pythons.GetOrAdd(
            module,
            _ =>
                (Environment.GetEnvironmentVariable("PATH") ?? "")
                    .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
                    .Select(folder => Path.Combine(folder, "python3"))
                    .FirstOrDefault(program =>
                        File.Exists(program)
                        && RunProgram(
                            program,
                            "-c",
                            $"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"
                        ).Code == 0
                    )
        );

    private static (int Code, string Output, string Errors) RunProgram(string program, params string[] arguments)
    {
        using Process process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true }
        )!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }
}
