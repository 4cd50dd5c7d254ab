using System.Diagnostics;

namespace Sparsity.Core.Tests.Storage;

/// <summary>A test that asks PyTorch, such as Debian's python3-torch; skipped by name where no python3 on PATH has it.</summary>
public sealed class TorchFactAttribute : FactAttribute
{
    private static readonly string? Python = (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Select(folder => Path.Combine(folder, "python3"))
        .FirstOrDefault(program =>
            File.Exists(program)
            && RunProgram(program, "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)").Code == 0
        );

    public TorchFactAttribute()
    {
        if (Python is null)
        {
            Skip = "no python3 on PATH has PyTorch, and it is what says whether a file is PyTorch's.";
        }
    }

    /// <summary>Runs a script and returns what it printed.</summary>
    internal static string Run(params string[] arguments)
    {
        (int code, string output, string errors) = RunProgram(Python!, arguments);
        Assert.True(code == 0, errors);
        return output;
    }

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
