using System.Diagnostics;
using System.Text.Json.Nodes;
using Sparsity.Cli.Mpi;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests.Mpi;

/// <summary>Training in several processes, as mpirun starts them.</summary>
[Trait("Category", "Mpi")]
public sealed class DataParallelTests(SmallRun run) : IClassFixture<SmallRun>
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "sparsity.dll");

    /// <summary>
    /// 61 steps. The rate is low, and the seed one with which no top-k hangs on a last bit: sums over parts are rounded otherwise than
    /// those over whole batches, and what they make top-k choose grows to any size.
    /// </summary>
    private string[] Train =>
        [
            "train",
            "--data",
            run.Data,
            "--d-model",
            "32",
            "--batch",
            "8",
            "--tokens",
            "31000",
            "--density",
            "0.25",
            "--minimum-alive",
            "2",
            "--lr",
            "0.003",
            "--seed",
            "3",
            "--log-every",
            "1",
            "--evaluate-every",
            "50",
            "--checkpoint-every",
            "5",
        ];

    [OpenMpiFact]
    public void OpenMpiGivesTheLossesOfOneProcess() => RanksGiveTheLossesOfOneProcess(MpiLauncher.OpenMpi!);

    [MpichFact]
    public void MpichGivesTheLossesOfOneProcess() => RanksGiveTheLossesOfOneProcess(MpiLauncher.Mpich!);

    [OpenMpiFact]
    public void OpenMpiGivesTheBitsOfTheParts() => TheSamePartsGiveTheSameBits(MpiLauncher.OpenMpi!);

    [MpichFact]
    public void MpichGivesTheBitsOfTheParts() => TheSamePartsGiveTheSameBits(MpiLauncher.Mpich!);

    [OpenMpiFact]
    public void BridgesTrainInSeveralProcesses()
    {
        CommandLine.Succeed(
            "train",
            "--dense",
            "--data",
            run.Data,
            "--d-model",
            "32",
            "--batch",
            "8",
            "--tokens",
            "8000",
            "--lr",
            "0.01",
            "--out",
            run["dense"]
        );
        string[] bridge =
        [
            "bridge",
            "train",
            "--dense",
            run["dense"],
            "--config",
            run["bridge.json"],
            "--d-model",
            "32",
            "--tokens",
            "16000",
        ];
        File.WriteAllText(
            run["bridge.json"],
            """{"training": {"batch_sequences": 8, "batch_parts": 2, "density": 0.25, "minimum_alive_per_neuron": 2, "log_every": 1}}"""
        );
        string alone = run["bridge alone"],
            together = run["bridge together"];
        CommandLine.Succeed([.. bridge, "--out", alone]);
        Succeed(MpiLauncher.OpenMpi!, 2, [.. bridge, "--out", together]);
        RequireSameFiles(alone, together, "bridges.safetensors");
    }

    [OpenMpiFact]
    public void OpenMpiStopsAllWhenOneIsKilledAndTheResumedRunIsAsIfItWereNot() =>
        AKilledRankStopsAll(MpiLauncher.OpenMpi!, killed: [1, 0]);

    [MpichFact]
    public void MpichStopsAllWhenOneIsKilledAndTheResumedRunIsAsIfItWereNot() => AKilledRankStopsAll(MpiLauncher.Mpich!, killed: [1]);

    [OpenMpiFact]
    public void OneProcessThatIsAskedToStopStopsAll()
    {
        string folder = run["terminated"];
        (int code, string output, string errors) = MpiLauncher.Finish(
            MpiLauncher.OpenMpi!.Start(2, Program, [.. Long, "--out", folder]),
            _ => Process.Start("kill", ["-TERM", $"{RankAfter(20, 1, folder)}"]).WaitForExit()
        );
        Assert.True(code == 0, errors);
        Assert.Contains($"stopped; continue with: sparsity train --resume {folder}", output, StringComparison.Ordinal);
    }

    [OpenMpiFact]
    public void ABatchThatCannotBeDividedIsRefusedInOneLine()
    {
        (int code, _, string errors) = MpiLauncher.Finish(MpiLauncher.OpenMpi!.Start(3, Program, [.. Train, "--out", run["three"]]));
        Assert.Equal(2, code);
        string line = Assert.Single(errors.Split('\n'), line => line.StartsWith("sparsity:", StringComparison.Ordinal));
        Assert.Contains("batch_sequences is 8, but must be a multiple of the number of its parts, 3", line, StringComparison.Ordinal);
        Assert.False(Directory.Exists(run["three"]) && Directory.EnumerateFiles(run["three"]).Any());
    }

    [OpenMpiFact]
    public void ALibraryThatIsNotTheLaunchersIsRefused()
    {
        // As srun starts processes, but with no connection to it: each sees itself alone.
        CommandResult result = CommandLine.RunWith(
            [("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "2"), (MpiLibrary.PathVariable, "libmpi.so.40"), .. MpiLauncher.AsRoot],
            [.. Train, "--out", run["slurm"]]
        );
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("2 processes were started together (SLURM_STEP_NUM_TASKS), but Open MPI", result.Errors, StringComparison.Ordinal);
        Assert.Contains("sees 1: the launcher belongs to another MPI", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void ALibraryThatCannotBeLoadedIsRefusedInOneLine()
    {
        CommandResult result = CommandLine.RunWith(
            [("PMI_RANK", "0"), ("PMI_SIZE", "2"), (MpiLibrary.PathVariable, run["libmpi.so"])],
            [.. Train, "--out", run["none"]]
        );
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(
            $"{MpiLibrary.PathVariable} is {run["libmpi.so"]}, but there is no library that can be loaded",
            result.Errors,
            StringComparison.Ordinal
        );
        Assert.Single(result.Errors.Trim().Split('\n'));
    }

    [Fact]
    public void WithoutALauncherNothingOfMpiIsLoaded() =>
        Assert.Equal(0, CommandLine.RunWith([(MpiLibrary.PathVariable, run["libmpi.so"])], [.. Train, "--out", run["without"]]).ExitCode);

    /// <summary>More steps than any test waits for.</summary>
    private string[] Long => [.. Train.Select(argument => argument == "31000" ? "30000000" : argument)];

    private void RanksGiveTheLossesOfOneProcess(MpiLauncher launcher)
    {
        string alone = run[$"{launcher.Name} alone"];
        CommandLine.Succeed([.. Train, "--out", alone]);
        double[] expected = Losses(alone);
        Assert.Equal(61, expected.Length);
        foreach (int ranks in new[] { 2, 4 })
        {
            string together = run[$"{launcher.Name} {ranks}"];
            Succeed(launcher, ranks, [.. Train, "--out", together]);
            Comparison.Close(expected, [.. Losses(together).Select(loss => (float)loss)], 1e-5, $"losses of {ranks} ranks");
        }
    }

    private void TheSamePartsGiveTheSameBits(MpiLauncher launcher)
    {
        string[] inParts = [.. Train, "--batch-parts", "4"];
        string alone = run[$"{launcher.Name} parts"],
            whole = run[$"{launcher.Name} whole"],
            resumed = run[$"{launcher.Name} resumed"];
        CommandLine.Succeed([.. inParts, "--out", alone]);
        Succeed(launcher, 4, [.. inParts, "--out", whole]);
        RequireSameFiles(alone, whole);

        // Stopped in two processes, resumed in four, and in one.
        (int code, _, string errors) = MpiLauncher.Finish(
            launcher.Start(2, Program, [.. inParts, "--out", resumed]),
            _ => Process.Start("kill", ["-TERM", $"{RankAfter(12, 0, resumed)}"]).WaitForExit()
        );
        Assert.True(code == 0, errors);
        Succeed(launcher, 4, ["train", "--resume", resumed]);
        RequireSameFiles(alone, resumed);
        Assert.Equal(Losses(alone), Losses(resumed));
    }

    private void AKilledRankStopsAll(MpiLauncher launcher, int[] killed)
    {
        string[] inParts = [.. Train, "--batch-parts", "2"];
        string alone = run[$"{launcher.Name} never killed"],
            folder = run[$"{launcher.Name} killed"];
        CommandLine.Succeed([.. inParts, "--out", alone]);
        foreach (int victim in killed)
        {
            string[] arguments = Directory.Exists(folder) ? ["train", "--resume", folder] : [.. inParts, "--out", folder];
            int lines = 9 + (Directory.Exists(folder) ? Losses(folder).Length : 0);
            (int code, string output, string errors) = MpiLauncher.Finish(
                launcher.Start(2, Program, arguments),
                _ => Process.Start("kill", ["-KILL", $"{RankAfter(lines, victim, folder)}"]).WaitForExit()
            );
            Assert.NotEqual(0, code);
            Assert.Empty(MpiLauncher.AwaitEnd(2, folder));
            if (launcher.Name == "openmpi")
            {
                // This program's line, or mpirun's if that comes first.
                Assert.Contains($"rank {victim}", output + errors, StringComparison.Ordinal);
            }
        }

        Succeed(launcher, 2, ["train", "--resume", folder]);
        RequireSameFiles(alone, folder);
        Assert.Equal(Losses(alone), Losses(folder));
    }

    /// <summary>Waits until a run has so many lines of metrics; then says which process one of its ranks is.</summary>
    internal static int RankAfter(int lines, int rank, string folder)
    {
        string metrics = Path.Combine(folder, "metrics.jsonl");
        for (int i = 0; i < 3000; i++)
        {
            if (File.Exists(metrics) && File.ReadLines(metrics).Count() >= lines && MpiLauncher.ProcessOf(rank, folder) is { } process)
            {
                return process;
            }

            Thread.Sleep(20);
        }

        throw new TimeoutException($"{folder}: the run does not come to {lines} lines of metrics.");
    }

    private static void Succeed(MpiLauncher launcher, int ranks, string[] arguments)
    {
        (int code, string output, string errors) = MpiLauncher.Finish(launcher.Start(ranks, Program, arguments));
        Assert.True(code == 0, $"mpirun -np {ranks} sparsity {string.Join(' ', arguments)} ended with {code}: {output}{errors}");
    }

    internal static void RequireSameFiles(string expected, string actual, params string[] more)
    {
        foreach (string name in more.Concat(["model.safetensors", "train_state.safetensors"]))
        {
            Assert.True(
                File.ReadAllBytes(Path.Combine(expected, name)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(actual, name))),
                $"{name} of {actual} differs from that of {expected}."
            );
        }
    }

    private static double[] Losses(string folder) =>
        [.. File.ReadLines(Path.Combine(folder, "metrics.jsonl")).Select(line => (double)JsonNode.Parse(line)!["loss"]!)];
}
