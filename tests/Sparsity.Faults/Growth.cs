using Sparsity.Core.Storage;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Faults;

/// <summary>Memory over a run's steps, with metrics, validation and checkpoints: whatever grows by a few bytes a step shows.</summary>
internal static class Growth
{
    private const int WarmUpSteps = 1000;
    private const long MostManagedBytes = 200_000;
    private const long MostProcessBytes = 8 << 20;

    public static string Run(int steps)
    {
        using var folder = new TemporaryFolder();
        TrainingConfig tiny = TinyModels.Training;
        TrainingConfig config = tiny with { TotalTokens = (long)(WarmUpSteps + steps) * tiny.BatchSequences * tiny.ContextTokens, CheckpointEvery = 100 };
        using var engine = new CpuEngine(2);
        using var run = new TrainingRun(engine, TinyModels.Config, config, RunFolder.Create(folder["run"]), TinyModels.Tokens(4000, 1), TinyModels.Tokens(400, 2));
        (long managed, long process) before = default, after = default;
        run.Run(metrics =>
        {
            if (metrics.Step == WarmUpSteps)
            {
                before = Measure();
            }
            else if (metrics.Step == WarmUpSteps + steps)
            {
                after = Measure();
            }
        });
        long managed = after.managed - before.managed, process = after.process - before.process;
        string figures = $"{steps} steps: managed memory {before.managed} bytes and {managed:+0;-0;0}, process {before.process >> 10} KiB and {process >> 10:+0;-0;0} KiB";
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
