using System.Text.RegularExpressions;
using Sparsity.Core;
using Sparsity.Core.Bridges;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Faults;

/// <summary>
/// A training whose file layer fails at one call, and from then on: it must end with the one exception for that, leave a checkpoint that
/// loads once there was one, and, resumed on a good disk, come to the same end as one that nothing happened to.
/// </summary>
internal sealed class FileFaults(ulong seed)
{
    private static readonly ModelConfig Dense = TinyModels.Config with { Afrac = null, DModel = 24, DMlpField = 48 };
    private readonly ushort[] _training = TinyModels.Tokens(4000, 1);
    private readonly ushort[] _validation = TinyModels.Tokens(400, 2);

    public string Run(int count)
    {
        using var folder = new TemporaryFolder();
        var random = new RandomSource(seed);
        var whole = new RunFolder[2];
        var calls = new int[2][];
        for (int bridged = 0; bridged < 2; bridged++)
        {
            var counting = new FaultyFileSystem();
            whole[bridged] = RunFolder.Create(folder[$"whole {bridged}"]);
            Train(whole[bridged], bridged == 1, resume: false, counting);
            calls[bridged] = counting.Calls;
        }

        var injected = new int[calls[0].Length];
        for (int i = 0; i < count; i++)
        {
            int bridged = i % 2;
            var call = (FileCall)(i / 2 % injected.Length);
            int at = random.NextInt(calls[bridged][(int)call]);
            string what = $"{(bridged == 1 ? "bridge train" : "train")}, {call} {at} of {calls[bridged][(int)call]}";
            RunFolder run = RunFolder.Create(folder[$"run {i}"]);
            var faulty = new FaultyFileSystem(call, at);
            Exception? failure = null;
            try
            {
                Train(run, bridged == 1, resume: false, faulty);
            }
            catch (Exception e)
            {
                failure = e;
            }

            FaultFoundException.Require(
                faulty.HasFailed && failure is WriteFailedException,
                $"{what}: expected the exception for files that cannot be written, found {failure?.ToString() ?? "none"}"
            );
            FaultFoundException.Require(
                !failure!.Message.Contains('\n', StringComparison.Ordinal),
                $"{what}: more than one line: {failure.Message}"
            );
            RequireLastCheckpoint(run, bridged == 1, faulty, what);
            Train(run, bridged == 1, resume: true, new FileSystem());
            RequireSame(whole[bridged], run, what);
            injected[(int)call]++;
            Directory.Delete(run.Directory, recursive: true);
        }

        return $"{count} faults ({string.Join(", ", Enum.GetValues<FileCall>().Select(call => $"{injected[(int)call]} {call}"))}): "
            + $"nothing lost, every resumed run bit-equal";
    }

    /// <summary>After the first whole checkpoint there always is one, and it is the last or the one before.</summary>
    private void RequireLastCheckpoint(RunFolder run, bool isBridged, FaultyFileSystem faulty, string what)
    {
        // Two files to a checkpoint of a training (config.json and model.safetensors) before the state, three with bridges; one rename
        // each, two where the state before is kept.
        TrainingConfig config = TinyModels.Training;
        int perCheckpoint = isBridged ? 4 : 3;
        int setUp = 1; // .lock.txt
        int renames = faulty.Calls[(int)FileCall.Rename] - setUp;
        int whole = renames < perCheckpoint ? 0 : 1 + ((renames - perCheckpoint) / (perCheckpoint + 1));
        if (whole == 0)
        {
            return;
        }

        FaultFoundException.Require(run.HasState, $"{what}: no checkpoint is left of {whole}");
        using var engine = new CpuEngine(1);
        using Trainer trainer = Trainer(engine, isBridged, out ModelParameters? dense);
        int step = trainer.Resume(run).NextStep;
        dense?.Dispose();
        FaultFoundException.Require(
            step >= Math.Min(whole * config.CheckpointEvery, config.LastStep() + 1),
            $"{what}: after {whole} checkpoints the last that loads is of step {step}"
        );
    }

    private static void RequireSame(RunFolder whole, RunFolder run, string what)
    {
        foreach (string path in new[] { run.ConfigPath, run.ModelPath, run.StatePath, new BridgeFolder(run.Directory).BridgesPath })
        {
            string expected = Path.Combine(whole.Directory, Path.GetFileName(path));
            if (File.Exists(expected))
            {
                FaultFoundException.Require(
                    File.ReadAllBytes(expected).AsSpan().SequenceEqual(File.ReadAllBytes(path)),
                    $"{what}: {Path.GetFileName(path)} differs after resuming"
                );
            }
        }

        FaultFoundException.Require(Metrics(whole).SequenceEqual(Metrics(run)), $"{what}: metrics.jsonl differs after resuming");
    }

    /// <summary>The lines of a run's metrics but for what the clock says.</summary>
    internal static string[] Metrics(RunFolder folder) =>
        [.. File.ReadLines(folder.MetricsPath).Select(line => Regex.Replace(line, "\"(tokens_per_second|exchange_share)\":[^,]*,?", ""))];

    private static Trainer Trainer(CpuEngine engine, bool isBridged, out ModelParameters? dense)
    {
        dense = isBridged ? TinyModels.Random(engine, Dense, 5) : null;
        return dense is null
            ? new Trainer(engine, TinyModels.Config, TinyModels.Training)
            : new BridgeTrainer(new Transformer(dense), TinyModels.Config, TinyModels.Training, new BridgeConfig());
    }

    private void Train(RunFolder folder, bool isBridged, bool resume, FileSystem files)
    {
        FileSystem.Current = files;
        try
        {
            using var engine = new CpuEngine(1);
            Trainer trainer = Trainer(engine, isBridged, out ModelParameters? dense);
            using (dense)
            using (var run = new TrainingRun(trainer, folder, _training, _validation, resume))
            {
                run.Run();
            }
        }
        finally
        {
            FileSystem.Current = new FileSystem();
        }
    }
}
