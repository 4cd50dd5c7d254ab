using System.Diagnostics;

namespace Sparsity.Cli.Tests;

/// <summary>
/// What no verb expects ends in one line and exit code 1 all the same: standard output that is full or closed, a working directory that is
/// gone.
/// </summary>
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
    public void AReaderThatStopsReadingIsNoFault() =>
        Assert.Equal("0\n", Shell("sparsity tasks list | head -1 > /dev/null; echo ${PIPESTATUS[0]}").Output);

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

    /// <summary>A device is written to and stays one: for root a file could take its place.</summary>
    [Fact]
    public void DevicesStayWhatTheyAre()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        // A link first: if that were replaced, nothing of the machine would be.
        File.CreateSymbolicLink(run["null.json"], "/dev/null");
        File.CreateSymbolicLink(run["full.json"], "/dev/full");
        string circuit = Path.Combine(OfficialFixture.Root, "..", "version1", "pruned", "circuit.json");
        CommandLine.Succeed("circuit", "export", circuit, "--format", "json", "--out", run["null.json"]);
        Assert.Equal("/dev/null", new FileInfo(run["null.json"]).LinkTarget);
        CommandResult full = CommandLine.Run("circuit", "export", circuit, "--format", "json", "--out", run["full.json"]);
        Assert.Equal("/dev/full", new FileInfo(run["full.json"]).LinkTarget);
        Assert.Equal(1, full.ExitCode);
        Assert.Contains("cannot be written", full.Errors, StringComparison.Ordinal);
        string exported = CommandLine.Succeed("circuit", "export", circuit, "--format", "csv");
        Assert.Equal(exported, CommandLine.Succeed("circuit", "export", circuit, "--format", "csv", "--out", "/dev/stdout"));
    }

    /// <summary>What does not look at the request is ended by it: bench would go on for days.</summary>
    [Fact]
    public void AVerbThatCannotStopByItselfIsEnded()
    {
        if (!OperatingSystem.IsWindows())
        {
            CommandResult ended = CommandLine.Stop("bench", "train", "--size", "TINY", "--steps", "1000000");
            Assert.Equal((128 + 15, ""), (ended.ExitCode, ended.Errors));
        }
    }

    /// <summary>A corpus is given up, and nothing of it is left.</summary>
    [Fact]
    public void ACorpusThatIsStoppedLeavesNothing()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var random = new Sparsity.Core.RandomSource(1);
        File.WriteAllText(
            run["words.txt"],
            string.Join(
                ' ',
                Enumerable
                    .Range(0, 400_000)
                    .Select(_ => random.NextInt(1 << 20).ToString("x", System.Globalization.CultureInfo.InvariantCulture))
            )
        );
        CommandResult stopped = CommandLine.Stop("corpus", "--from", run["words.txt"], "--vocabulary", "60000", "--out", run["words"]);

        Assert.Equal(1, stopped.ExitCode);
        Assert.EndsWith("sparsity: stopped; what was finished before is kept.", stopped.Errors.Trim(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(run["words"]), "A corpus that is not whole is left.");
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
        var start = new ProcessStartInfo(
            "bash",
            [
                "-c",
                $"sparsity() {{ dotnet '{Path.Combine(AppContext.BaseDirectory, "sparsity.dll")}' \"$@\"; }}; cd "
                    + $"'{Directory.CreateDirectory(run["shell"]).FullName}'; {script}",
            ]
        )
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
