using System.Diagnostics;

namespace Sparsity.Cli.Tests;

/// <summary>What no verb expects ends in one line and exit code 1 all the same: standard output that is full or closed, a working directory that is gone.</summary>
public class LastHandlerTests(SmallRun run) : IClassFixture<SmallRun>
{
    [Theory]
    [InlineData("tasks list > /dev/full", 1, "standard output cannot be written")]
    [InlineData("--help > /dev/full", 1, "standard output cannot be written")]
    [InlineData("circuit export $CIRCUIT > /dev/full", 1, "standard output cannot be written")]
    [InlineData("tokenizer show --from $DATA/tokenizer --text x > /dev/full", 1, "standard output cannot be written")]
    [InlineData("tasks list >&-", 1, "standard output cannot be written")]
    [InlineData("tasks show nothing 2>&-", 2, "")]
    [InlineData("tasks list 2> /dev/full", 0, "")]
    [InlineData("tasks show nothing 2> /dev/full", 2, "")]
    public void OutputThatIsFullOrClosed(string command, int code, string expected)
    {
        CommandResult result = Shell($"sparsity {command}");

        Assert.True(result.ExitCode == code, $"{result.ExitCode}: {result.Errors}");
        Assert.Contains(expected, result.Errors, StringComparison.Ordinal);
        Assert.Equal(expected.Length == 0 ? 0 : 1, result.Errors.Count(character => character == '\n'));
    }

    [Fact]
    public void AReaderThatStopsReadingIsNoFault() => Assert.Equal("0\n", Shell("sparsity tasks list | head -1 > /dev/null; echo ${PIPESTATUS[0]}").Output);

    [Theory]
    [InlineData("tasks list")]
    [InlineData("view --circuit $CIRCUIT --html out.html")]
    [InlineData("trace --model m --ids [1] --out t")]
    [InlineData("demo")]
    public void AWorkingDirectoryThatIsGone(string command)
    {
        CommandResult result = Shell($"mkdir gone; cd gone; rmdir ../gone; sparsity {command}");

        Assert.Equal(2, result.ExitCode);
        Assert.Equal("sparsity: The working directory is gone: it was deleted or moved. Change to another one.\n", result.Errors);
    }

    [Fact]
    public void DebugShowsWhere()
    {
        CommandResult result = CommandLine.Run("eval", "--model", run["none"], "--debug");

        Assert.Equal(2, result.ExitCode);
        Assert.StartsWith("sparsity: ", result.Errors, StringComparison.Ordinal);
        Assert.Contains("   at Sparsity.", result.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", CommandLine.Run("eval", "--model", run["none"]).Errors, StringComparison.Ordinal);
    }

    private CommandResult Shell(string script)
    {
        var start = new ProcessStartInfo("bash", ["-c", $"sparsity() {{ dotnet '{Path.Combine(AppContext.BaseDirectory, "sparsity.dll")}' \"$@\"; }}; cd '{Directory.CreateDirectory(run["shell"]).FullName}'; {script}"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DATA"] = run.Data;
        start.Environment["CIRCUIT"] = Path.Combine(OfficialFixture.Root, "..", "version1", "pruned", "circuit.json");
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        return new CommandResult(process.ExitCode, output.Result, errors.Result);
    }
}
