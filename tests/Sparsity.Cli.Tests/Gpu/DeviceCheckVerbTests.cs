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
        Assert.Contains(items.EnumerateArray(), item => item.GetProperty("name").GetString()!.StartsWith("official single steps", StringComparison.Ordinal));
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
        Assert.Equal([true, false, false, true], written.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("ok").GetBoolean()));
        Assert.Contains("the device is lost", written.GetProperty("items")[2].GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--json belongs to --check", "--json", "x.json")]
    [InlineData("--shapes belongs to --check", "--shapes", "odd")]
    [InlineData("--shapes is 'M'", "--check", "--shapes", "M")]
    public void FlagsThatCannotBe(string expected, params string[] arguments) => CommandLine.Refuse(expected, ["devices", .. arguments]);
}
