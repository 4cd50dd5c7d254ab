using System.Diagnostics;
using System.Runtime.InteropServices;
using Sparsity.Core;
using Sparsity.Core.Runs;
using Sparsity.TestSupport;

namespace Sparsity.Faults;

/// <summary>
/// The program itself as a child process, stopped at random moments and resumed with other numbers of threads until it is done: then every
/// file must be as if it had never been stopped.
/// </summary>
internal sealed partial class Kills(ulong seed)
{
    /// <summary>A run is left alone after so many stops, and another begun.</summary>
    private const int MostStopsOfOneRun = 6;

    private readonly RandomSource _random = new(seed);
    private readonly TemporaryFolder _folder = new();
    private readonly int[] _stops = new int[3];
    private int _beforeItBegan;
    private int _runs;

    private enum Stop
    {
        Kill,
        Terminate,
        InterruptTwice,
    }

    public string Run(int count)
    {
        using (_folder)
        {
            string data = _folder["data"],
                sparse = _folder["sparse"],
                dense = _folder["dense"];
            Succeed(["corpus", "--synthetic", "--megabytes", "0.3", "--vocabulary", "400", "--out", data]);
            string[] size = ["--data", data, "--d-model", "32", "--batch", "8"];
            Succeed(["train", .. size, "--tokens", "60000", "--density", "0.25", "--minimum-alive", "2", "--out", sparse]);
            Succeed(["train", .. size, "--tokens", "40000", "--dense", "--lr", "0.01", "--out", dense]);
            string bridge = _folder["bridge.json"],
                prune = _folder["prune.json"];
            File.WriteAllText(
                bridge,
                "{\"training\": {\"batch_sequences\": 8, \"density\": 1, \"log_every\": 1, \"checkpoint_every\": 3}}"
            );
            File.WriteAllText(prune, "{\"mean_batches\": 2, \"selection_pairs\": 8, \"test_pairs\": 8, \"random_circuits\": 1}");
            Work[] works =
            [
                new(
                    "train",
                    [
                        "train",
                        .. size,
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
                    ],
                    ["train"],
                    "run.json",
                    ["config.json", "model.safetensors", "train_state.safetensors"]
                ),
                new(
                    "prune",
                    [
                        "prune",
                        "--model",
                        sparse,
                        "--config",
                        prune,
                        "--task",
                        "single_double_quote,for_while",
                        "--steps",
                        "40",
                        "--k-coef",
                        "0.0005,0.001,0.002",
                        "--target-loss",
                        "0.69,0.72",
                    ],
                    ["prune"],
                    "prune.json",
                    ["results.json"]
                ),
                new(
                    "bridge train",
                    ["bridge", "train", "--dense", dense, "--config", bridge, "--d-model", "32", "--tokens", "30000"],
                    ["bridge", "train"],
                    "run.json",
                    ["config.json", "model.safetensors", "train_state.safetensors", "bridges.safetensors", "bridge.json"]
                ),
            ];
            foreach (Work work in works)
            {
                long started = Stopwatch.GetTimestamp();
                Succeed([.. work.Begin, "--threads", "2", "--out", _folder["whole " + work.Name]]);
                work.Milliseconds = (int)Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            }

            for (int i = 0; _stops[(int)Stop.Kill] < count; i++)
            {
                RunOnce(works[i % works.Length], count);
            }

            return $"{_stops[0]} kills ({_beforeItBegan} of them before the run was on disk), {_stops[1]} SIGTERMs, {_stops[2]} "
                + $"double Ctrl-Cs of {_runs} runs of train, prune and bridge train: "
                + "every resumed run bit-equal";
        }
    }

    private void RunOnce(Work work, int count)
    {
        string run = _folder[$"run {_runs++}"];
        bool isBegun = false;
        for (int stop = 0; ; stop++)
        {
            string[] threads = ["--threads", $"{1 + _random.NextInt(3)}"];
            string[] arguments = isBegun ? [.. work.Resume, "--resume", run, .. threads] : [.. work.Begin, "--out", run, .. threads];
            int delay = stop < MostStopsOfOneRun && _stops[0] < count ? 100 + _random.NextInt(work.Milliseconds) : int.MaxValue;
            var how = _random.NextInt(7) switch
            {
                0 => Stop.Terminate,
                1 => Stop.InterruptTwice,
                _ => Stop.Kill,
            };
            if (IsDone(arguments, delay, OperatingSystem.IsWindows() ? Stop.Kill : how))
            {
                break;
            }

            isBegun = File.Exists(Path.Combine(run, work.BeginsWith));
            if (!isBegun && Directory.Exists(run))
            {
                _beforeItBegan++;
                Directory.Delete(run, recursive: true);
            }
        }

        string whole = _folder["whole " + work.Name];
        IEnumerable<string> circuits = Directory
            .EnumerateFiles(whole, "*.json", SearchOption.AllDirectories)
            .Where(path => Path.GetFileName(path) is "circuit.json" or "activations.json")
            .Select(path => Path.GetRelativePath(whole, path));
        foreach (string name in work.Files.Concat(circuits))
        {
            FaultFoundException.Require(
                File.ReadAllBytes(Path.Combine(whole, name)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(run, name))),
                $"{work.Name}: {name} differs after resuming"
            );
        }

        if (work.BeginsWith == "run.json")
        {
            FaultFoundException.Require(
                FileFaults.Metrics(new RunFolder(whole)).SequenceEqual(FileFaults.Metrics(new RunFolder(run))),
                $"{work.Name}: metrics.jsonl differs after resuming"
            );
        }

        string[] left = [.. Directory.EnumerateFiles(run, "mask_state*", SearchOption.AllDirectories)];
        FaultFoundException.Require(left.Length == 0, $"{work.Name}: left behind {string.Join(", ", left)}");
        Directory.Delete(run, recursive: true);
    }

    /// <summary>Runs the program; whether it came to its end before it was stopped.</summary>
    private bool IsDone(string[] arguments, int delay, Stop how)
    {
        using Process process = Start(arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        bool isDone = process.WaitForExit(delay == int.MaxValue ? -1 : delay);
        if (!isDone)
        {
            switch (how)
            {
                case Stop.Terminate:
                    _ = Signal(process.Id, 15);
                    break;
                case Stop.InterruptTwice:
                    _ = Signal(process.Id, 2);
                    Thread.Sleep(_random.NextInt(50));
                    _ = Signal(process.Id, 2);
                    break;
                default:
                    process.Kill();
                    break;
            }

            process.WaitForExit();
            _stops[(int)how]++;
        }

        string sentence = $"sparsity {string.Join(' ', arguments)} ended with {process.ExitCode}: {output.Result}{errors.Result}";
        bool isWaited = output.Result.Contains("; continue with: sparsity ", StringComparison.Ordinal);
        if (isDone)
        {
            FaultFoundException.Require(process.ExitCode == 0, sentence);
        }
        else if (how == Stop.Terminate && errors.Result.Contains("stopping after the step", StringComparison.Ordinal))
        {
            // It may have been at its last step.
            FaultFoundException.Require(
                process.ExitCode == 0 && (isWaited || !output.Result.Contains("stopped", StringComparison.Ordinal)),
                sentence
            );
        }

        return isDone;
    }

    private static void Succeed(string[] arguments)
    {
        using Process process = Start(arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        FaultFoundException.Require(
            process.ExitCode == 0,
            $"sparsity {string.Join(' ', arguments)} ended with {process.ExitCode}: {output.Result}{errors}"
        );
    }

    private static Process Start(string[] arguments) =>
        Process.Start(
            new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "sparsity.dll"), .. arguments])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);

    /// <param name="Begin">Arguments but for <c>--out</c>.</param>
    /// <param name="Resume">Arguments but for <c>--resume</c>.</param>
    /// <param name="BeginsWith">The file without which there is nothing to resume.</param>
    /// <param name="Files">What must be the same in the end, beside metrics and circuits.</param>
    private sealed record Work(string Name, string[] Begin, string[] Resume, string BeginsWith, string[] Files)
    {
        /// <summary>How long it takes undisturbed.</summary>
        public int Milliseconds { get; set; }
    }
}
