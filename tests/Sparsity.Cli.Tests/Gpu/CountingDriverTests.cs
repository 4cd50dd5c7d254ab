using System.Globalization;
using System.Text.RegularExpressions;

namespace Sparsity.Cli.Tests.Gpu;

/// <summary>The host's side of the GPU engine, with a driver that counts in place of a GPU.</summary>
public sealed partial class CountingDriverTests(CountingDriver driver, SmallRun run)
    : IClassFixture<CountingDriver>,
        IClassFixture<SmallRun>
{
    private const double Mebibyte = 1 << 20;

    private string[] Train(int batch, int context, int tokens, params string[] more) =>
        [
            "train",
            "--data",
            run.Data,
            "--d-model",
            "32",
            "--density",
            "0.25",
            "--minimum-alive",
            "2",
            "--device",
            "cuda",
            "--batch",
            $"{batch}",
            "--context",
            $"{context}",
            "--tokens",
            $"{tokens}",
            .. more,
        ];

    /// <summary>Estimates are printed to a tenth of a MiB.</summary>
    [CountingDriverFact]
    public void ATrainingTakesExactlyWhatItsEstimateSays()
    {
        foreach (string parts in new[] { "1", "4" })
        {
            string[] arguments = Train(8, 32, 20_000, "--batch-parts", parts);
            string estimate = Succeed(driver.Run([], [.. arguments, "--dry-run"]).Result);
            (CommandResult result, string[] log) = driver.Run([], [.. arguments, "--out", driver["estimated" + parts]]);
            Succeed(result);
            double peak = CountingDriver.Numbers(log, "peak")[^1][0] / Mebibyte;
            Assert.Equal(Needed().Match(estimate).Groups[1].Value, peak.ToString("0.0", CultureInfo.InvariantCulture));
        }
    }

    /// <summary>The most bytes that the comparison of products at the start takes at once.</summary>
    private const long OfTheFirstCheck = 12_000;

    /// <summary>
    /// What is free counts, not what there is; the number of parts that is named fits, and the next smaller one does not.
    /// </summary>
    [CountingDriverFact]
    public void ATrainingThatDoesNotFitNamesPartsThatDo()
    {
        string[] arguments = Train(32, 64, 20_000);
        double whole = double.Parse(
            Needed().Match(Succeed(driver.Run([], [.. arguments, "--dry-run"]).Result)).Groups[1].Value,
            CultureInfo.InvariantCulture
        );
        (string, string)[] little = [("COUNTING_FREE", ((long)(whole * Mebibyte / 3)).ToString(CultureInfo.InvariantCulture))];
        (CommandResult refused, string[] log) = driver.Run(little, [.. arguments, "--out", driver["too large"]]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("free of 81920.0 MiB", refused.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain(CountingDriver.Numbers(log, "alloc"), bytes => bytes[0] > OfTheFirstCheck);
        Assert.False(Directory.Exists(driver["too large"]));
        int parts = int.Parse(Parts().Match(refused.Errors).Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.InRange(parts, 2, 32);
        Succeed(driver.Run(little, [.. arguments, "--batch-parts", $"{parts}", "--out", driver["in parts"]]).Result);
        Assert.Equal(2, driver.Run(little, [.. arguments, "--batch-parts", $"{parts / 2}", "--dry-run"]).Result.ExitCode);

        // Asked for, they are taken.
        Succeed(driver.Run(little, [.. arguments, "--batch-parts", "auto", "--out", driver["auto"]]).Result);
        string record = File.ReadAllText(Path.Combine(driver["auto"], "run.json"));
        Assert.Contains($"\"batch_parts\": {parts},", record, StringComparison.Ordinal);
        Succeed(driver.Run([], [.. arguments, "--batch-parts", "auto", "--out", driver["auto whole"]]).Result);
        record = File.ReadAllText(Path.Combine(driver["auto whole"], "run.json"));
        Assert.Contains("\"batch_parts\": null,", record, StringComparison.Ordinal);
    }

    [CountingDriverFact]
    public void APruningThatDoesNotFitIsRefusedBeforeAnythingIsAllocated()
    {
        string[] arguments =
        [
            "prune",
            "--model",
            run.Model,
            "--task",
            "single_double_quote",
            "--steps",
            "2",
            "--k-coef",
            "0.001",
            "--device",
            "cuda",
        ];
        (CommandResult refused, string[] log) = driver.Run([("COUNTING_FREE", "1000000")], [.. arguments, "--out", driver["no circuit"]]);
        Assert.True(refused.ExitCode == 2, refused.Output + refused.Errors);
        Assert.Matches(
            @"Pruning with prompts of up to 64 tokens needs 0\.\d+ GiB, but Counting GPU .* has 0\.00 GiB free of 80\.00 GiB",
            refused.Errors
        );
        Assert.DoesNotContain(CountingDriver.Numbers(log, "alloc"), bytes => bytes[0] > OfTheFirstCheck);
        Assert.False(Directory.Exists(driver["no circuit"]));
        (CommandResult result, log) = driver.Run([], [.. arguments, "--out", driver["circuit"]]);
        Succeed(result);
        Assert.Equal(2, log.Count(line => line == "context")); // one to ask, one to search in
    }

    [CountingDriverFact]
    public void AKernelThatTheDriverRefusesIsNamedWithWhatItsCompilerSays()
    {
        CommandResult result = driver
            .Run(
                [("COUNTING_REFUSE", "line 12; error   : Unknown symbol 'foo'\nfatal   : aborted due to errors")],
                Train(8, 32, 20_000, "--out", driver["refused"])
            )
            .Result;
        Assert.Equal(2, result.ExitCode);
        Assert.Single(result.Errors.Trim().Split('\n'));
        Assert.Contains("Kernel Embedding.ForwardKernel cannot be compiled", result.Errors, StringComparison.Ordinal);
        Assert.Contains("CUDA_ERROR_INVALID_PTX", result.Errors, StringComparison.Ordinal);
        Assert.Contains("Unknown symbol 'foo' | fatal   : aborted due to errors", result.Errors, StringComparison.Ordinal);
    }

    [CountingDriverFact]
    public void GroupsAreNeverSmallerThanTheDevicesWarp()
    {
        Assert.Equal(32, SmallestGroup([]));
        Assert.Equal(64, SmallestGroup([("COUNTING_WARP", "64")]));

        long SmallestGroup((string, string)[] settings)
        {
            (CommandResult result, string[] log) = driver.Run(settings, Train(8, 32, 2048, "--out", driver[$"warp{settings.Length}"]));
            Succeed(result);
            return CountingDriver.Numbers(log, "launch").Min(launch => launch[2]);
        }
    }

    [CountingDriverFact]
    public void ATensorOfTooManyNumbersIsNamed()
    {
        CommandResult result = driver.Run([], Train(4_194_304, 64, 1_000_000_000, "--dry-run")).Result;
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(
            "residual 0: 4194304 x 64 x 32 makes a tensor of 8589934592 numbers, but one holds at most 2147482624",
            result.Errors,
            StringComparison.Ordinal
        );
    }

    /// <summary>
    /// The Windows Subsystem for Linux has CUDA's library in a folder of its own. Of its devices two contexts in one process are asked.
    /// </summary>
    [CountingDriverFact(Unshares = true)]
    public void UnderWslSeveralContextsFindTheDevice()
    {
        string upper = Directory.CreateDirectory(driver["wsl"]).FullName;
        string script = $"""
            set -e
            mount -t tmpfs tmpfs {upper}
            mkdir {upper}/new {upper}/work
            mount -t overlay overlay -o lowerdir=/usr/lib,upperdir={upper}/new,workdir={upper}/work /usr/lib
            mkdir -p /usr/lib/wsl/lib
            cp {driver.Folder}/libcuda.so.1 /usr/lib/wsl/lib/
            cp {driver.Folder}/libcuda.so.1 /usr/lib/wsl/lib/libcuda.so
            echo 'Linux version 5.15.0-microsoft-standard-WSL2' > {upper}/version
            mount --bind {upper}/version /proc/version
            exec "$@"
            """;
        string[] arguments = [.. Train(8, 32, 2048, "--out", driver["wsl run"]).Select(argument => argument == "cuda" ? "auto" : argument)];
        string program = Path.Combine(AppContext.BaseDirectory, "sparsity.dll");
        var start = new System.Diagnostics.ProcessStartInfo(
            "unshare",
            ["--mount", "sh", "-c", script, "sh", "dotnet", program, .. arguments]
        )
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = System.Diagnostics.Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output + errors.Result);
        Assert.Contains("device: Counting GPU", output, StringComparison.Ordinal);
    }

    private static string Succeed(CommandResult result)
    {
        Assert.True(result.ExitCode == 0, result.Output + result.Errors);
        return result.Output;
    }

    [GeneratedRegex(@"a GPU needs ([0-9.]+) MiB")]
    private static partial Regex Needed();

    [GeneratedRegex(@"Use --batch-parts (\d+), which needs")]
    private static partial Regex Parts();
}
