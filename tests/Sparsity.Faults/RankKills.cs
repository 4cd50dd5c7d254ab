using System.Diagnostics;
using Sparsity.Core;
using Sparsity.Core.Runs;
using Sparsity.TestSupport;

namespace Sparsity.Faults;

/// <summary>
/// Training in several processes, of which one is killed at random moments: all must end, and the run, resumed with other numbers of
/// processes until it is done, must be as if it had never been stopped.
/// </summary>
internal sealed class RankKills(ulong seed)
{
    /// <summary>A run is left alone after so many kills, and another begun.</summary>
    private const int MostKillsOfOneRun = 6;

    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "sparsity.dll");

    private readonly RandomSource _random = new(seed);
    private readonly TemporaryFolder _folder = new();
    private int _kills;
    private int _beforeItBegan;
    private TimeSpan _slowestEnd;

    /// <param name="count">Kills under each MPI that is installed.</param>
    public string Run(int count)
    {
        MpiLauncher[] launchers = [.. new[] { MpiLauncher.OpenMpi, MpiLauncher.Mpich }.OfType<MpiLauncher>()];
        FaultFoundException.Require(launchers.Length > 0, "No mpirun is on PATH. Install openmpi-bin or mpich.");
        using (_folder)
        {
            string data = _folder["data"],
                whole = _folder["whole"];
            Succeed(["corpus", "--synthetic", "--megabytes", "0.3", "--vocabulary", "400", "--out", data]);
            string[] begin =
            [
                "train",
                "--data",
                data,
                "--d-model",
                "32",
                "--batch",
                "8",
                "--batch-parts",
                "4",
                "--tokens",
                "100000",
                "--density",
                "0.25",
                "--minimum-alive",
                "2",
                "--log-every",
                "1",
                "--evaluate-every",
                "50",
                "--checkpoint-every",
                "5",
            ];
            Succeed([.. begin, "--out", whole]);
            return string.Join('\n', launchers.Select(launcher => RunUnder(launcher, begin, whole, count)));
        }
    }

    private string RunUnder(MpiLauncher launcher, string[] begin, string whole, int count)
    {
        (_kills, _beforeItBegan, _slowestEnd) = (0, 0, TimeSpan.Zero);
        long started = Stopwatch.GetTimestamp();
        RunOnce(launcher, begin, _folder[$"{launcher.Name} undisturbed"], whole, 0, 0);
        var milliseconds = (int)Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        int runs = 0;
        while (_kills < count)
        {
            RunOnce(launcher, begin, _folder[$"{launcher.Name} {runs++}"], whole, milliseconds, count);
        }

        return $"{_kills} kills of one rank ({_beforeItBegan} of them before the run was on disk) in {runs} runs under {launcher.Name}: "
            + FormattableString.Invariant(
                $"all other ranks ended, the slowest {_slowestEnd.TotalSeconds:0.0} s after the kill; every resumed run bit-equal"
            );
    }

    private void RunOnce(MpiLauncher launcher, string[] begin, string folder, string whole, int milliseconds, int count)
    {
        for (int kills = 0; ; kills++)
        {
            bool isBegun = File.Exists(Path.Combine(folder, "run.json"));
            if (!isBegun && Directory.Exists(folder))
            {
                _beforeItBegan++;
                Directory.Delete(folder, recursive: true);
            }

            int ranks = 1 << (1 + _random.NextInt(2));
            int victim = _random.NextInt(ranks);
            long? killed = null;
            (int code, string output, string errors) = MpiLauncher.Finish(
                launcher.Start(ranks, Program, isBegun ? ["train", "--resume", folder] : [.. begin, "--out", folder]),
                output =>
                    killed =
                        kills < MostKillsOfOneRun
                        && _kills < count
                        && Kill(victim, folder, 100 + _random.NextInt(Math.Max(1, milliseconds)), output)
                            ? Stopwatch.GetTimestamp()
                            : null
            );
            if (killed is not { } since)
            {
                FaultFoundException.Require(code == 0, $"mpirun -np {ranks} of {folder} ended with {code}: {output}{errors}");
                break;
            }

            _kills++;
            int[] left = MpiLauncher.AwaitEnd(ranks, folder);
            FaultFoundException.Require(
                left.Length == 0,
                $"rank {victim} of {ranks} was killed and mpirun has ended, but not process {string.Join(", ", left)}: {output}{errors}"
            );
            TimeSpan end = Stopwatch.GetElapsedTime(since);
            _slowestEnd = end > _slowestEnd ? end : _slowestEnd;
            Console.Error.WriteLine(
                FormattableString.Invariant(
                    $"{launcher.Name}: kill {_kills}, rank {victim} of {ranks}; all others gone after {end.TotalSeconds:0.0} s"
                )
            );
        }

        foreach (string name in new[] { "config.json", "model.safetensors", "train_state.safetensors" })
        {
            FaultFoundException.Require(
                File.ReadAllBytes(Path.Combine(whole, name)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(folder, name))),
                $"{folder}: {name} differs after resuming"
            );
        }

        FaultFoundException.Require(
            FileFaults.Metrics(new RunFolder(whole)).SequenceEqual(FileFaults.Metrics(new RunFolder(folder))),
            $"{folder}: metrics.jsonl differs after resuming"
        );
    }

    /// <summary>After a while, kill -9 of a rank; false where the run was over before.</summary>
    private static bool Kill(int rank, string folder, int delay, Task<string> output)
    {
        Thread.Sleep(delay);
        while (!output.IsCompleted)
        {
            if (MpiLauncher.ProcessOf(rank, folder) is { } id)
            {
                try
                {
                    using var process = Process.GetProcessById(id);
                    process.Kill();
                    return true;
                }
                catch (Exception e) when (e is ArgumentException or InvalidOperationException)
                {
                    return false; // it has ended by itself
                }
            }

            Thread.Sleep(10);
        }

        return false;
    }

    private static void Succeed(string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", [Program, .. arguments]) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        FaultFoundException.Require(
            process.ExitCode == 0,
            $"sparsity {string.Join(' ', arguments)} ended with {process.ExitCode}: {output}"
        );
    }
}
