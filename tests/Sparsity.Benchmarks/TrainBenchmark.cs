using System.Diagnostics;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Benchmarks;

/// <summary>What <c>bench train --json</c> writes. Times are medians over the measured steps, in milliseconds.</summary>
/// <param name="Size">S, M or L.</param>
/// <param name="Phase">dense, mid or sparse.</param>
/// <param name="TokensPerSecond">From the median step.</param>
/// <param name="MsPerStep">Median.</param>
/// <param name="MsSpread">Half the distance between the quartiles.</param>
/// <param name="Breakdown">Mean milliseconds per step of each kernel; "other" is what no kernel accounts for.</param>
/// <param name="PeakMemoryMb">Largest resident set of the process, in MiB.</param>
/// <param name="SgemmGflops">The machine's roof: see <see cref="Roofs"/>.</param>
/// <param name="CopyGbps">The machine's roof: see <see cref="Roofs"/>.</param>
/// <param name="Threads">Threads of the engine.</param>
/// <param name="AllocatedBytesPerStep">Managed memory allocated by a step after warm-up.</param>
public sealed record TrainBenchmarkResult(
    string Size, string Phase, double TokensPerSecond, double MsPerStep, double MsSpread, IReadOnlyDictionary<string, double> Breakdown, double PeakMemoryMb,
    double SgemmGflops, double CopyGbps, int Threads, long AllocatedBytesPerStep);

/// <summary>Times training steps of one size on random tokens, at one density.</summary>
public static class TrainBenchmark
{
    private const int WarmUp = 3;

    /// <param name="engine">The CPU engine, whose kernels are timed.</param>
    /// <param name="size">What is trained.</param>
    /// <param name="phase">At which density.</param>
    /// <param name="steps">Measured steps, from 1, after the warm-up.</param>
    /// <param name="roofs">Of the same engine.</param>
    /// <exception cref="InvalidOperationException">The loss does not fall: the step that would be timed is wrong.</exception>
    public static TrainBenchmarkResult Run(CpuEngine engine, BenchmarkSize size, BenchmarkPhase phase, int steps, Roofs roofs)
    {
        TrainingConfig training = size.Training(phase);
        using var trainer = new Trainer(engine, size.Model, training);
        trainer.Initialise();
        int[] tokens = RandomNumbers.Tokens(size.Sequences * BenchmarkSize.Context, size.Model.VocabSize, 1);
        var total = new KernelTimes();
        engine.KernelTimes = total;
        double first = 0;
        for (int step = 0; step < WarmUp; step++)
        {
            (double loss, _) = trainer.Step(Past(training) + step, tokens);
            first = step == 0 ? loss : first;
        }

        var times = new double[steps];
        total.Clear();
        double last = 0;
        long allocated = GC.GetTotalAllocatedBytes(precise: true);
        for (int i = 0; i < steps; i++)
        {
            long started = Stopwatch.GetTimestamp();
            (last, _) = trainer.Step(Past(training) + WarmUp + i, tokens);
            times[i] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }

        allocated = GC.GetTotalAllocatedBytes(precise: true) - allocated;
        engine.KernelTimes = null;
        if (!(last < first))
        {
            throw new InvalidOperationException($"The loss went from {first} to {last} on one batch: the step is wrong, its time means nothing.");
        }

        Dictionary<string, double> breakdown = total.Read().ToDictionary(entry => entry.Kernel, entry => Math.Round(entry.Milliseconds / steps, 3));
        breakdown["other"] = Math.Round(times.Average() - breakdown.Values.Sum(), 3);
        Measurement median = Measurement.Of(times);
        return new TrainBenchmarkResult(
            size.Name, phase.ToString().ToLowerInvariant(), Math.Round(size.Sequences * BenchmarkSize.Context / median.Median * 1000, 1), Math.Round(median.Median, 3),
            Math.Round(median.Spread, 3), breakdown, Math.Round(PeakMegabytes(), 1), Math.Round(roofs.SgemmGflops, 1), Math.Round(roofs.CopyGbps, 1), engine.Threads, allocated / steps);
    }

    /// <summary>A step after the warm-up of the learning rate.</summary>
    private static int Past(TrainingConfig training) => training.LastStep() / 50;

    private static double PeakMegabytes()
    {
        using var process = Process.GetCurrentProcess();
        process.Refresh();
        return process.PeakWorkingSet64 / 1048576.0;
    }
}
