using Sparsity.Core.Engine;

namespace Sparsity.Parity;

/// <summary>
/// An engine against the CPU engine. Every item is computed on both and compared, then computed on the device once more, which must give the same bits.
/// Nothing is computed before it is asked for, so that results can be shown as they come.
/// </summary>
/// <param name="device">The engine that is checked.</param>
/// <param name="reference">The engine whose numbers are taken for right.</param>
public sealed class DeviceCheck(IComputeEngine device, IComputeEngine reference)
{
    /// <summary>
    /// Of the largest number of each result: both engines round to 6e-8 in sums of up to 4,096 terms that are added in different orders, so that errors add up like a
    /// random walk; devices whose exp is approximate (2 units in the last place) stay within it too.
    /// </summary>
    public const double OperationTolerance = 1e-5;

    /// <summary>Of the loss at every step of a short run.</summary>
    public const double LossTolerance = 1e-4;

    /// <summary>Every operation of the engine, forward and backward.</summary>
    /// <param name="runs">At which shapes.</param>
    /// <param name="shape">What those are called, for the names of the results.</param>
    public IEnumerable<ParityResult> Operations(OperationRuns runs, string shape) =>
        OperationRuns.Names.Select(operation => Operation($"{operation} [{shape}]", bench => runs.Run(bench, operation)));

    /// <summary>The shapes at which kernels change their ways.</summary>
    /// <param name="isWanted">Whether an item of this name is to be computed.</param>
    public IEnumerable<ParityResult> ShapesAtWhichKernelsChange(Func<string, bool> isWanted) =>
        SpecialShapes.All.Where(item => isWanted(item.Key)).Select(item => Operation(item.Key, bench => item.Value(bench, new RandomArrays(5))));

    /// <param name="steps">At most 60.</param>
    public ParityResult Training(int steps) => Run($"sparse training, {steps} steps", steps, TinyRuns.Train);

    /// <param name="steps">At most 25.</param>
    public ParityResult MaskTraining(int steps, bool freezesNormScale) => Run(
        $"mask training{(freezesNormScale ? " with frozen norm scales" : "")}, {steps} steps", steps, (engine, count) => TinyRuns.TrainMasks(engine, count, freezesNormScale));

    public ParityResult Bridges(int steps) => Run($"bridge training, {steps} steps", steps, TinyRuns.TrainBridges);

    private ParityResult Operation(string name, Func<Bench, float[]> run)
    {
        double[] expected = [.. On(reference, run)];
        float[] actual = On(device, run);
        ParityResult result = Comparison.Compare(expected, actual, OperationTolerance * Comparison.ScaleOf(expected), name);
        return result.Ok ? SameBits(result, [.. actual], [.. On(device, run)]) : result;
    }

    private ParityResult Run(string name, int steps, Func<IComputeEngine, int, double[]> run)
    {
        double[] expected = run(reference, steps);
        double[] actual = run(device, steps);
        int worst = Enumerable.Range(0, steps).MaxBy(Share);
        var result = new ParityResult(
            name, Difference(worst), Allowed(worst), Share(worst) <= 1 ? "" : $"step {worst}: loss {actual[worst]}, on the CPU engine {expected[worst]}");
        return result.Ok ? SameBits(result, actual, run(device, steps)) : result;

        double Difference(int step) => double.IsNaN(expected[step] - actual[step]) ? double.PositiveInfinity : Math.Abs(expected[step] - actual[step]);
        double Allowed(int step) => LossTolerance * Math.Max(1, Math.Abs(expected[step]));
        double Share(int step) => Difference(step) / Allowed(step);
    }

    private static float[] On(IComputeEngine engine, Func<Bench, float[]> run)
    {
        using var bench = new Bench(engine, _ => { });
        return run(bench);
    }

    private static ParityResult SameBits(ParityResult result, double[] first, double[] second)
    {
        int changed = Enumerable.Range(0, first.Length).Count(i => BitConverter.DoubleToInt64Bits(first[i]) != BitConverter.DoubleToInt64Bits(second[i]));
        return changed == 0 ? result : result with { Difference = double.PositiveInfinity, Detail = $"a second run changed {changed} of {first.Length} numbers" };
    }
}
