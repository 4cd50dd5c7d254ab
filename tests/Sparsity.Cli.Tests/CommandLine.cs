using System.Diagnostics;

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
}

/// <summary>How a run of the program ended.</summary>
internal sealed record CommandResult(int ExitCode, string Output, string Errors);
