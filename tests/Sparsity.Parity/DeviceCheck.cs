using Sparsity.Core.Engine;

namespace Sparsity.Parity;

/// <summary>One item of a check.</summary>
/// <param name="Name">What is computed.</param>
/// <param name="Run">Computes and compares it.</param>
internal sealed record CheckItem(string Name, Func<ParityResult> Run);

/// <summary>
/// An engine against the CPU engine. An item is computed on both and compared, then computed on the device once more, which must give the
/// same bits. Its last part compares single training steps with those of the official code.
/// </summary>
/// <param name="device">The engine that is checked.</param>
/// <param name="reference">The engine whose numbers are taken for right.</param>
internal sealed class DeviceCheck(IComputeEngine device, IComputeEngine reference)
{
    /// <summary>
    /// Of the largest number of each result: both engines round to 6e-8 in sums of up to 4,096 terms that are added in different orders, so
    /// that errors add up like a random walk; devices whose exp is approximate (2 units in the last place) stay within it too.
    /// </summary>
    private const double OperationTolerance = 1e-5;

    /// <summary>Of the loss at every step of a short run.</summary>
    private const double LossTolerance = 1e-4;

    /// <summary>Whether short runs, too, are computed on the device once more; operations always are.</summary>
    public bool RepeatsRuns { get; init; } = true;

    /// <summary>Everything, at odd shapes, and every operation at the wanted shapes of models too.</summary>
    public IEnumerable<CheckItem> All(bool sizeS, bool sizeL) =>
        [
            .. Operations(OperationRuns.Odd, "odd"),
            .. ShapesAtWhichKernelsChange(),
            .. sizeS ? Operations(OperationRuns.S, "S") : [],
            .. sizeL ? Operations(OperationRuns.L, "L") : [],
            Training(60),
            TrainingInParts(8),
            MaskTraining(25, false),
            MaskTraining(25, true),
            Bridges(8),
            .. OfficialSteps(OfficialFixture.CarriedSteps),
        ];

    /// <summary>Every operation of the engine, forward and backward.</summary>
    /// <param name="runs">At which shapes.</param>
    /// <param name="shape">What those are called, for the names of the items.</param>
    public IEnumerable<CheckItem> Operations(OperationRuns runs, string shape) =>
        OperationRuns.Names.Select(operation => Operation($"{operation} [{shape}]", bench => runs.Run(bench, operation)));

    /// <summary>The shapes at which kernels change their ways.</summary>
    public IEnumerable<CheckItem> ShapesAtWhichKernelsChange() =>
        SpecialShapes.All.Select(item => Operation(item.Key, bench => item.Value(bench, new RandomArrays(5))));

    /// <param name="steps">At most 60.</param>
    public CheckItem Training(int steps) =>
        Run($"sparse training, {steps} steps", steps, (engine, count) => TinyRuns.Train(engine, count, parts: 1));

    /// <summary>The gradients of a batch's parts are summed on the device.</summary>
    /// <param name="steps">At most 60.</param>
    public CheckItem TrainingInParts(int steps) =>
        Run($"sparse training in 3 parts of a batch, {steps} steps", steps, (engine, count) => TinyRuns.Train(engine, count, parts: 3));

    /// <param name="steps">At most 25.</param>
    /// <param name="freezesNormScale">Whether norms keep the scale of the whole model.</param>
    public CheckItem MaskTraining(int steps, bool freezesNormScale) =>
        Run(
            $"mask training{(freezesNormScale ? " with frozen norm scales" : "")}, {steps} steps",
            steps,
            (engine, count) => TinyRuns.TrainMasks(engine, count, freezesNormScale)
        );

    public CheckItem Bridges(int steps) => Run($"bridge training, {steps} steps", steps, TinyRuns.TrainBridges);

    /// <summary>
    /// Each step of a fixture, from the official state: the comparison that comes nearest to its tolerance, as a share of that.
    /// </summary>
    public IEnumerable<CheckItem> OfficialSteps(OfficialFixture fixture) =>
        OfficialStep
            .AllOf(fixture)
            .Select(step => new CheckItem(
                $"{fixture.Name}: step {step.Number}",
                () =>
                {
                    ParityResult worst = OfficialStepComparison.Compare(step, step.Run(device)).MaxBy(result => result.Share)!;
                    return new ParityResult($"{fixture.Name}: step {step.Number}", worst.Share, 1, worst.Ok ? "" : worst.ToString());
                }
            ));

    private CheckItem Operation(string name, Func<Bench, ComputedTensor[]> run) =>
        new(
            name,
            () =>
            {
                ComputedTensor[] expected = On(reference, run);
                ComputedTensor[] actual = On(device, run);
                ParityResult worst = expected.Zip(actual, Compare).MaxBy(result => result.Share)!;
                return worst.Ok ? SameBits(worst, Numbers(actual), Numbers(On(device, run))) : worst;
            }
        );

    private static ParityResult Compare(ComputedTensor expected, ComputedTensor actual)
    {
        double[] values = Array.ConvertAll(expected.Values, value => (double)value);
        ParityResult result = Comparison.Compare(values, actual.Values, OperationTolerance * Comparison.ScaleOf(values), expected.Name);
        return result.Ok ? result : result with { Detail = $"{expected.Name}: {result.Detail}" };
    }

    private CheckItem Run(string name, int steps, Func<IComputeEngine, int, double[]> run) =>
        new(
            name,
            () =>
            {
                double[] expected = run(reference, steps);
                double[] actual = run(device, steps);
                ParityResult worst = Enumerable.Range(0, steps).Select(Step).MaxBy(result => result.Share)!;
                return worst.Ok && RepeatsRuns ? SameBits(worst, actual, run(device, steps)) : worst;

                ParityResult Step(int step)
                {
                    double difference = Math.Abs(expected[step] - actual[step]);
                    double allowed = LossTolerance * Math.Max(1, Math.Abs(expected[step]));
                    string detail = difference <= allowed ? "" : $"step {step}: loss {actual[step]}, on the CPU engine {expected[step]}";
                    return new ParityResult(name, double.IsNaN(difference) ? double.PositiveInfinity : difference, allowed, detail);
                }
            }
        );

    private static double[] Numbers(ComputedTensor[] tensors) => [.. tensors.SelectMany(tensor => tensor.Values)];

    private static ComputedTensor[] On(IComputeEngine engine, Func<Bench, ComputedTensor[]> run)
    {
        using var bench = new Bench(engine, _ => { });
        return run(bench);
    }

    private static ParityResult SameBits(ParityResult result, double[] first, double[] second)
    {
        int changed = Enumerable
            .Range(0, first.Length)
            .Count(i => BitConverter.DoubleToInt64Bits(first[i]) != BitConverter.DoubleToInt64Bits(second[i]));
        return changed == 0
            ? result
            : result with
            {
                Difference = double.PositiveInfinity,
                Detail = $"a second run changed {changed} of {first.Length} numbers",
            };
    }
}
