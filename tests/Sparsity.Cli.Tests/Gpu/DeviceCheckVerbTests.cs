using System.Text.Json;
using Sparsity.Cli.Verbs;

namespace Sparsity.Cli.Tests.Gpu;

/// <summary>devices --check: a line for each item, a verdict, an exit code, a file.</summary>
public sealed class DeviceCheckVerbTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("device-check-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void EveryItemOfTheCpuEnginePasses()
    {
        string file = Path.Combine(_folder, "check.json");
        string output = CommandLine.Succeed("devices", "--check", "--device", "cpu", "--shapes", "odd", "--json", file);
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        JsonElement items = JsonDocument.Parse(File.ReadAllText(file)).RootElement.GetProperty("items");
        Assert.Equal(items.GetArrayLength() + 2, lines.Length);
        Assert.Contains(items.EnumerateArray(), item => item.GetProperty("name").GetString() == "sparse training, 60 steps");
        Assert.Contains(
            items.EnumerateArray(),
            item => item.GetProperty("name").GetString()!.StartsWith("official single steps", StringComparison.Ordinal)
        );
        Assert.StartsWith($"all {items.GetArrayLength()} items passed", lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void AFailingItemIsNamedAndTheOthersStillRun()
    {
        string file = Path.Combine(_folder, "check.json");
        CheckItem[] items =
        [
            new("right", () => new ParityResult("right", 0.5, 1)),
            new("wrong", () => new ParityResult("wrong", 2, 1, "entry 3: expected 1, got 3")),
            new("broken", () => throw new InvalidOperationException("the device is lost")),
            new("right again", () => new ParityResult("right again", 0, 1)),
        ];
        Assert.Equal(1, new DeviceCheckReport("the device", "the CPU", file).Run(items, CancellationToken.None));
        JsonElement written = JsonDocument.Parse(File.ReadAllText(file)).RootElement;
        Assert.Equal("2 of 4 items FAILED on the device: wrong; broken", written.GetProperty("verdict").GetString());
        Assert.Equal(
            [true, false, false, true],
            written.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("ok").GetBoolean())
        );
        Assert.Contains("the device is lost", written.GetProperty("items")[2].GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    /// <summary>The CPU engine against itself proves nothing of a GPU. The variables hide all devices there are.</summary>
    [Fact]
    public void WithoutAGpuNothingIsChecked()
    {
        CommandResult result = CommandLine.RunWith(
            [("CUDA_VISIBLE_DEVICES", ""), ("OCL_ICD_VENDORS", _folder)],
            ["devices", "--check", "--shapes", "odd"]
        );
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("There is no usable GPU to check", result.Errors, StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }

    /// <summary>Not after minutes of work.</summary>
    [Theory]
    [InlineData("roofs", "bench", "train", "--size", "TINY")]
    [InlineData("ok ", "devices", "--check", "--shapes", "odd")]
    public void AFileThatCannotBeWrittenIsKnownAtOnce(string firstResult, params string[] arguments)
    {
        CommandResult result = CommandLine.Run([.. arguments, "--device", "cpu", "--json", Path.Combine(_folder, "missing", "x.json")]);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("x.json: cannot be written", result.Errors, StringComparison.Ordinal);
        Assert.Single(result.Errors.Trim().Split('\n'));
        Assert.DoesNotContain(firstResult, result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--shapes belongs to --check", "--shapes", "odd")]
    [InlineData("--shapes is 'M'", "--check", "--shapes", "M")]
    public void FlagsThatCannotBe(string expected, params string[] arguments) => CommandLine.Refuse(expected, ["devices", .. arguments]);
}
