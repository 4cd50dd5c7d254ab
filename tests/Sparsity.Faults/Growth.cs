using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Faults;

/// <summary>
/// Memory over a run's steps, with metrics, validation and checkpoints: whatever grows by a few bytes a step shows in both halves of the
/// run. What the runtime takes once, for code that it compiles anew, shows in one.
/// </summary>
internal static class Growth
{
    private const int WarmUpSteps = 1000;
    private const long MostManagedBytes = 100_000;
    private const long MostProcessBytes = 8 << 20;

    public static string Run(int steps)
    {
        using var folder = new TemporaryFolder();
        TrainingConfig tiny = TinyModels.Training;
        TrainingConfig config = tiny with
        {
            TotalTokens = (long)(WarmUpSteps + steps) * tiny.BatchSequences * tiny.ContextTokens,
            CheckpointEvery = 100,
        };
        using var engine = new CpuEngine(2);
        using var run = new TrainingRun(
            engine,
            TinyModels.Config,
            config,
            RunFolder.Create(folder["run"]),
            TinyModels.Tokens(4000, 1),
            TinyModels.Tokens(400, 2)
        );
        var measured = new List<(long Managed, long Process)>();
        run.Run(metrics =>
        {
            if (metrics.Step == WarmUpSteps + (measured.Count * steps / 2))
            {
                measured.Add(Measure());
            }
        });
        FaultFoundException.Require(
            measured.Count == 3,
            $"{steps} steps: memory was measured {measured.Count} times instead of 3; use an even number of hundreds."
        );
        long managed = 2 * Math.Min(measured[1].Managed - measured[0].Managed, measured[2].Managed - measured[1].Managed);
        long process = 2 * Math.Min(measured[1].Process - measured[0].Process, measured[2].Process - measured[1].Process);
        string figures =
            $"{steps} steps: managed memory {measured[0].Managed} bytes and {managed:+0;-0;0}, process {measured[0].Process >> 10} "
            + $"KiB and {process >> 10:+0;-0;0} KiB";
        FaultFoundException.Require(managed <= MostManagedBytes && process <= MostProcessBytes, figures + ": memory grows.");
        return figures;
    }

    private static (long Managed, long Process) Measure()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        return (GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet);
    }
}
