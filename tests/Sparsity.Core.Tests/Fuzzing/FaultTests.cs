using System.Diagnostics;

namespace Sparsity.Core.Tests.Fuzzing;

/// <summary>
/// The short form of what <c>Sparsity.Faults</c> tries; in processes of their own, as they kill, replace the file layer and measure memory.
/// </summary>
public class FaultTests
{
    [Theory]
    [InlineData("kills", "3", "3 kills")]
    [InlineData("faults", "28", "28 faults")]
    [InlineData("growth", "1000", "1000 steps")]
    public async Task NothingIsLost(string what, string count, string expected)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Sparsity.Faults.dll"), what, count])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, errors);
        Assert.StartsWith(expected, await output, StringComparison.Ordinal);
    }
}
