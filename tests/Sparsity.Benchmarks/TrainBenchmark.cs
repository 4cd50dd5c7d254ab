using System.Diagnostics;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels;
using Sparsity.Kernels.Cpu;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Benchmarks;

/// <summary>What <c>bench train --json</c> writes. Times are medians over the measured steps, in milliseconds.</summary>
/// <param name="Device">The engine's description.</param>
/// <param name="Size">Its name.</param>
/// <param name="Phase">dense, mid or sparse.</param>
/// <param name="TokensPerSecond">From the median step.</param>
/// <param name="MsPerStep">Median.</param>
/// <param name="MsSpread">Half the distance between the quartiles.</param>
/// <param name="BatchParts">Equal parts in which the batch was computed, one after the other.</param>
/// <param name="Breakdown"> Mean milliseconds per step of each kernel; "other" is what no kernel accounts for. On a GPU these come from two
/// further steps in which the host waits for every kernel, so that each carries a launch and a wait, some 10 microseconds.
/// </param>
/// <param name="PeakMemoryMb">Largest resident set of the process, in MiB.</param>
/// <param name="DeviceMemoryMb">Device memory in use after the last step, in MiB; null on the CPU.</param>
/// <param name="SgemmGflops">The machine's roof: see <see cref="Roofs"/>.</param>
/// <param name="CopyGbps">The machine's roof: see <see cref="Roofs"/>.</param>
/// <param name="Float32Gflops">The device's roof: see <see cref="Roofs"/>.</param>
/// <param name="TensorGflops">The device's roof: see <see cref="Roofs"/>.</param>
/// <param name="Threads">Threads of the CPU engine; null on a GPU.</param>
/// <param name="AllocatedBytesPerStep">Managed memory allocated by a step after warm-up.</param>
internal sealed record TrainBenchmarkResult(
    string Device,
    string Size,
    string Phase,
    double TokensPerSecond,
    double MsPerStep,
    double MsSpread,
    int BatchParts,
    IReadOnlyDictionary<string, double> Breakdown,
    double PeakMemoryMb,
    double? DeviceMemoryMb,
    double SgemmGflops,
    double CopyGbps,
    double? Float32Gflops,
    double? TensorGflops,
    int? Threads,
    long AllocatedBytesPerStep
);

/// <summary>Times training steps of one size on random tokens, at one density.</summary>
internal static class TrainBenchmark
{
    private const int WarmUp = 3;
    private const int BreakdownSteps = 2;

    /// <param name="engine">Where the model is trained.</param>
    /// <param name="size">What is trained.</param>
    /// <param name="phase">At which density.</param>
    /// <param name="parts">Equal parts of the batch, computed one after the other.</param>
    /// <param name="steps">Measured steps, from 1, after the warm-up.</param>
    /// <param name="roofs">Of the same engine.</param>
    /// <param name="stop">Looked at between steps.</param>
    /// <exception cref="InvalidOperationException">The loss does not fall: the step that would be timed is wrong.</exception>
    public static TrainBenchmarkResult Run(
        IMeasuredEngine engine,
        BenchmarkSize size,
        BenchmarkPhase phase,
        int parts,
        int steps,
        Roofs roofs,
        CancellationToken stop
    )
    {
        TrainingConfig training = size.Training(phase, parts);
        using var trainer = new Trainer(engine, size.Model, training);
        trainer.Initialise();
        int[] tokens = RandomNumbers.Tokens(size.Sequences * BenchmarkSize.Context, size.Model.VocabSize, 1);
        var total = new KernelTimes();
        bool isCpu = engine is CpuEngine;
        engine.KernelTimes = isCpu ? total : null;
        int next = training.LastStep() / 50; // after the warm-up of the learning rate
        (double first, _) = trainer.Step(next++, tokens);
        for (int step = 1; step < WarmUp; step++)
        {
            stop.ThrowIfCancellationRequested();
            trainer.Step(next++, tokens);
        }

        // A step returns while the device still updates the weights; the next one waits for that. So every measured time holds one update.
        var times = new double[steps];
        total.Clear();
        double last = 0;
        long allocated = GC.GetTotalAllocatedBytes(precise: true);
        for (int i = 0; i < steps; i++)
        {
            stop.ThrowIfCancellationRequested();
            long started = Stopwatch.GetTimestamp();
            (last, _) = trainer.Step(next++, tokens);
            times[i] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }

        allocated = GC.GetTotalAllocatedBytes(precise: true) - allocated;
        if (!(last < first))
        {
            throw new InvalidOperationException(
                $"The loss went from {first} to {last} on one batch: the step is wrong, its time means nothing."
            );
        }

        double measured = times.Sum();
        int counted = steps;
        if (!isCpu)
        {
            (measured, counted) = (BreakdownOnGpu(engine, trainer, total, ref next, tokens), BreakdownSteps);
        }

        engine.KernelTimes = null;
        Dictionary<string, double> breakdown = total
            .Read()
            .ToDictionary(entry => entry.Kernel, entry => Math.Round(entry.Milliseconds / counted, 3));
        breakdown["other"] = Math.Round((measured / counted) - breakdown.Values.Sum(), 3);
        Measurement median = Measurement.Of(times);
        return new TrainBenchmarkResult(
            engine.Description,
            size.Name,
            phase.ToString().ToLowerInvariant(),
            Math.Round(size.Sequences * BenchmarkSize.Context / median.Median * 1000, 1),
            Math.Round(median.Median, 3),
            Math.Round(median.Spread, 3),
            parts,
            breakdown,
            Math.Round(PeakMegabytes(), 1),
            engine is GpuEngine gpu ? Math.Round(gpu.AllocatedBytes / 1048576.0, 1) : null,
            Math.Round(roofs.SgemmGflops, 1),
            Math.Round(roofs.CopyGbps, 1),
            roofs.Float32Gflops,
            roofs.TensorGflops,
            (engine as CpuEngine)?.Threads,
            allocated / steps
        );
    }

    private static double BreakdownOnGpu(IMeasuredEngine engine, Trainer trainer, KernelTimes total, ref int next, int[] tokens)
    {
        engine.Wait();
        engine.KernelTimes = total;
        long started = Stopwatch.GetTimestamp();
        for (int i = 0; i < BreakdownSteps; i++)
        {
            trainer.Step(next++, tokens);
        }

        engine.Wait();
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }

    private static double PeakMegabytes()
    {
        using var process = Process.GetCurrentProcess();
        process.Refresh();
        return process.PeakWorkingSet64 / 1048576.0;
    }
}
