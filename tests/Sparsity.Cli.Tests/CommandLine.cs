using System.Diagnostics;
using System.Text;

namespace Sparsity.Cli.Tests;

/// <summary>The program as a user starts it: a process of its own.</summary>
internal static class CommandLine
{
    private const int MostMinutes = 5;

    /// <summary>Runs <c>sparsity</c> with these arguments and waits for its end.</summary>
    public static CommandResult Run(params string[] arguments) => RunWith([], arguments);

    /// <summary>The same with variables of its environment set.</summary>
    public static CommandResult RunWith((string Name, string Value)[] environment, string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "sparsity.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromMinutes(MostMinutes)))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"sparsity {string.Join(' ', arguments)} did not end within {MostMinutes} minutes.");
        }

        process.WaitForExit();
        return new CommandResult(process.ExitCode, output.Result, errors.Result);
    }

    /// <summary>Runs it and expects success.</summary>
    /// <returns>Standard output.</returns>
    public static string Succeed(params string[] arguments)
    {
        CommandResult result = Run(arguments);
        Assert.True(result.ExitCode == 0, $"sparsity {string.Join(' ', arguments)} ended with {result.ExitCode}: {result.Errors}");
        return result.Output;
    }

    /// <summary>Runs it and expects one line on standard error that says why not, and exit code 2.</summary>
    public static void Refuse(string sentence, params string[] arguments)
    {
        CommandResult result = Run(arguments);
        Assert.True(
            result.ExitCode == 2,
            $"sparsity {string.Join(' ', arguments)} ended with {result.ExitCode}: {result.Output}{result.Errors}"
        );
        Assert.Contains(sentence, result.Errors, StringComparison.OrdinalIgnoreCase);
        Assert.Single(result.Errors.Trim().Split('\n'));
    }

    /// <summary>Starts it, and asks it to stop (SIGTERM) once it has printed a line.</summary>
    /// <returns>Its standard error and exit code; no output.</returns>
    public static CommandResult Stop(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "sparsity.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        Assert.NotNull(process.StandardOutput.ReadLine());
        using (var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]))
        {
            kill.WaitForExit();
        }

        process.WaitForExit();
        return new CommandResult(process.ExitCode, "", errors.Result);
    }

    /// <summary>Starts it, and kills it once it has printed a line with this text.</summary>
    public static void KillAt(string text, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "sparsity.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        var said = new StringBuilder();
        bool isFound = false;
        while (!isFound && process.StandardOutput.ReadLine() is { } line)
        {
            said.AppendLine(line);
            isFound = line.Contains(text, StringComparison.Ordinal);
        }

        process.Kill(entireProcessTree: true);
        process.WaitForExit();
        Assert.True(isFound, $"sparsity {string.Join(' ', arguments)} ended before it said '{text}': {said}{errors.Result}");
    }
}

/// <summary>How a run of the program ended.</summary>
internal sealed record CommandResult(int ExitCode, string Output, string Errors);
