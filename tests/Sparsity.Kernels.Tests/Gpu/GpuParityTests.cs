using Sparsity.Core.Bridges;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>GPU engines against the CPU engine: every operation, the shapes at which kernels change their ways, a training run and a pruning.</summary>
public class GpuParityTests
{
    /// <summary>
    /// Of the largest number of each result: both engines round to 6e-8 in sums of up to 131 terms that are added in different orders; devices whose exp is
    /// approximate (2 units in the last place) stay within it too.
    /// </summary>
    private const double Tolerance = 1e-5;

    /// <summary>Of the loss at every step.</summary>
    private const double LossTolerance = 1e-4;

    private static readonly OperationRuns Small = new(2, 17, 8);

    private static readonly Dictionary<string, Func<Bench, RandomArrays, float[]>> SpecialShapes = new()
    {
        // Enough tokens that the sum over them is split.
        ["weight gradient of 600 tokens"] = (bench, random) => WeightGradient(bench, random, 600, 5, 3, keep: null),
        ["weight gradient of 600 tokens after AbsTopK"] = (bench, random) => WeightGradient(bench, random, 600, 8, 129, keep: 2),

        // More input channels than shared memory holds at a time.
        ["sparse product with 2100 inputs"] = (bench, random) =>
        {
            WeightTensor weight = bench.Weights(random.Matrix(5, 2100, 0.05));
            ActivationTensor output = bench.Output(1, 9, 5);
            bench.Engine.LinearForward(bench.Input(random.Activations(1, 9, 2100)), weight, bench.Weights(random.Vector(5)), output);
            ActivationTensor inputGradient = bench.Output(1, 9, 2100);
            bench.Engine.LinearBackwardInput(weight, bench.Gradient(random.Activations(1, 9, 5)), inputGradient);
            return [.. bench.Read(output), .. bench.Read(inputGradient)];
        },
        ["heads of 20 channels"] = (bench, random) => Heads(bench, random, 70, 20),
        ["heads of 40 channels"] = (bench, random) => Heads(bench, random, 19, 40),
        ["heads of 100 channels"] = (bench, random) => Heads(bench, random, 11, 100),
        ["cached attention to 1100 tokens"] = (bench, random) =>
        {
            using KeyValueCache cache = bench.Engine.AllocateKeyValueCache("cache", 1, 1101, 2);
            ActivationTensor many = bench.Output(1, 1100, 2);
            bench.Engine.CachedAttentionForward(
                bench.Input(random.Activations(1, 1100, 2)), bench.Input(random.Activations(1, 1100, 2)), bench.Input(random.Activations(1, 1100, 2)), 2,
                bench.Weights(random.Vector(2)), cache, 0, many);
            ActivationTensor one = bench.Output(1, 1, 2);
            bench.Engine.CachedAttentionForward(
                bench.Input(random.Activations(1, 1, 2)), bench.Input(random.Activations(1, 1, 2)), bench.Input(random.Activations(1, 1, 2)), 2, null, cache, 1100, one);
            return [.. bench.Read(many), .. bench.Read(one)];
        },

        // Several groups, whose counts are added up, and ties that run over their ends.
        ["top-k of 40000 weights, many of them equal"] = (bench, random) =>
        {
            var values = new double[200, 200];
            foreach (ref double value in Flat.Of(values))
            {
                value = random.Integer(7) - 3;
            }

            WeightTensor weights = bench.Weights(values);
            bench.Engine.KeepLargest(weights, 17000, 1, 3);
            return [.. bench.Read(weights), bench.Engine.CountNonzero(weights)];
        },
        ["top-k of 40000 weights, none protected, then columns protected"] = (bench, random) =>
        {
            WeightTensor weights = bench.Weights(random.Matrix(100, 400));
            bench.Engine.KeepLargest(weights, 33000, null, 0);
            float[] first = bench.Read(weights);
            bench.Engine.KeepLargest(weights, 2000, 0, 4);
            return [.. first, .. bench.Read(weights)];
        },

        // Several segments of lists, and more of them than one group has threads.
        ["sparse product of 300 by 200"] = (bench, random) =>
        {
            WeightTensor weight = bench.Weights(random.Matrix(300, 200, 0.05));
            ActivationTensor output = bench.Output(1, 3, 300);
            bench.Engine.LinearForward(bench.Input(random.Activations(1, 3, 200)), weight, null, output);
            ActivationTensor inputGradient = bench.Output(1, 3, 200);
            bench.Engine.LinearBackwardInput(weight, bench.Gradient(random.Activations(1, 3, 300)), inputGradient);
            return [.. bench.Read(output), .. bench.Read(inputGradient)];
        },
    };

    public static TheoryData<string> Gpus => Engines.Gpus;

    [Theory]
    [MemberData(nameof(Gpus))]
    public void EveryOperationMatchesTheCpuEngine(string engine)
    {
        using var gpu = new Bench(engine);
        using var cpu = new Bench(new CpuEngine(1));
        foreach (string operation in OperationRuns.Names)
        {
            Compare(Small.Run(cpu, operation), Small.Run(gpu, operation), $"{engine}: {operation}");
        }
    }

    [Theory]
    [MemberData(nameof(Gpus))]
    public void ShapesAtWhichKernelsChangeMatchTheCpuEngine(string engine)
    {
        using var gpu = new Bench(engine);
        using var cpu = new Bench(new CpuEngine(1));
        foreach ((string name, Func<Bench, RandomArrays, float[]> run) in SpecialShapes)
        {
            if (!(Engines.IsSlow(engine) && name.Contains("1100", StringComparison.Ordinal)))
            {
                Compare(run(cpu, new RandomArrays(5)), run(gpu, new RandomArrays(5)), $"{engine}: {name}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Gpus))]
    public void SparseTrainingFollowsTheCpuEngine(string engine)
    {
        int steps = Engines.StepsOf(engine, 60);
        TrainingConfig training = (TinyModels.Training with { TotalTokens = 60 * 3 * 12 }).Resolved(TinyModels.Config);
        ushort[] tokens = TinyModels.Tokens(5000, 8);
        using IComputeEngine gpu = Engines.Create(engine);
        using var cpu = new CpuEngine(1);
        using var actual = new Trainer(gpu, TinyModels.Config, training);
        using var expected = new Trainer(cpu, TinyModels.Config, training);
        actual.Initialise();
        expected.Initialise();
        for (int step = 0; step < steps; step++)
        {
            int[] batch = [.. tokens.AsSpan(step * 36, 36).ToArray()];
            (double wanted, _) = expected.Step(step, batch);
            (double loss, _) = actual.Step(step, batch);
            Assert.True(Math.Abs(wanted - loss) <= LossTolerance, $"{engine}, step {step}: loss {loss}, the CPU engine's is {wanted}.");
        }
    }

    [Theory]
    [MemberData(nameof(Gpus))]
    public void PruningFollowsTheCpuEngine(string engine)
    {
        foreach (bool freezesNormScale in new[] { false, true })
        {
            int steps = freezesNormScale && Engines.IsSlow(engine) ? 2 : Engines.StepsOf(engine, 25);
            double[] expected = Prune(new CpuEngine(1), steps, freezesNormScale);
            double[] actual = Prune(Engines.Create(engine), steps, freezesNormScale);
            for (int step = 0; step < steps; step++)
            {
                Assert.True(
                    Math.Abs(expected[step] - actual[step]) <= LossTolerance,
                    $"{engine}, {(freezesNormScale ? "frozen norm scales, " : "")}step {step}: loss {actual[step]}, the CPU engine's is {expected[step]}.");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Gpus))]
    public void BridgeTrainingFollowsTheCpuEngine(string engine)
    {
        int steps = Engines.IsSlow(engine) ? 2 : 8;
        double[] expected = TrainBridges(new CpuEngine(1), steps);
        double[] actual = TrainBridges(Engines.Create(engine), steps);
        for (int step = 0; step < steps; step++)
        {
            Assert.True(
                Math.Abs(expected[step] - actual[step]) <= LossTolerance * expected[step], $"{engine}, step {step}: loss {actual[step]}, the CPU engine's is {expected[step]}.");
        }
    }

    private static double[] TrainBridges(IComputeEngine engine, int steps)
    {
        using (engine)
        {
            ModelConfig narrow = TinyModels.Config with { Afrac = null, DModel = 12, DMlpField = 24 };
            using ModelParameters dense = TinyModels.Random(engine, narrow, 4);
            var config = new BridgeConfig { KlSparseWeight = 0.5, FinalLocation = true, StartBatches = 3 };
            using var trainer = new BridgeTrainer(new Transformer(dense), TinyModels.Config, TinyModels.Training, config);
            var source = new BatchSource(TinyModels.Tokens(2000, 8), TinyModels.Training.BatchSequences, TinyModels.Training.ContextTokens);
            trainer.Initialise();
            trainer.Fit(source);
            return [.. Enumerable.Range(0, steps).Select(step => trainer.Step(step, source.Random(1, step)).Loss)];
        }
    }

    private static double[] Prune(IComputeEngine engine, int steps, bool freezesNormScale)
    {
        TokenizedPair[] pairs = [new([3, 4, 5, 6, 7], [3, 9, 5], 11, 12), new([1], [2, 2], 11, 20)];
        using (engine)
        {
            var layout = new NodeLayout(TinyModels.Config);
            using ModelParameters parameters = TinyModels.Random(engine, TinyModels.Config, 4);
            var model = new Transformer(parameters);
            float[] means = MeanActivations.Measure(model, layout, TinyModels.Tokens(60, 3), 12, 2, 7);
            using var runner = new TaskRunner(model, 2, 6) { FreezesNormScale = freezesNormScale };
            using var gates = new NodeGates(engine, layout, means);
            runner.Hooks.Add(gates);
            var config = new PruningConfig { Steps = 25, BatchPairs = 2, MaxTokens = 6, Lr = 0.02 };
            var training = new MaskTraining(runner, gates, config, 1e-3);
            return [.. Enumerable.Range(0, steps).Select(step => training.Step(step, pairs))];
        }
    }

    private static float[] WeightGradient(Bench bench, RandomArrays random, int tokens, int outputs, int inputs, int? keep)
    {
        ActivationTensor gradient = bench.Gradient(random.Activations(2, tokens / 2, outputs));
        if (keep is { } kept)
        {
            bench.Engine.AbsTopKForward(gradient, kept, bench.Selection(gradient));
        }

        WeightTensor weightGradient = bench.Constant(outputs, inputs, 1);
        bench.Engine.LinearBackwardWeight(bench.Input(random.Activations(2, tokens / 2, inputs)), gradient, weightGradient, null);
        return bench.Read(weightGradient);
    }

    private static float[] Heads(Bench bench, RandomArrays random, int tokens, int channels)
    {
        ActivationTensor[] inputs = [.. Enumerable.Range(0, 3).Select(_ => bench.Input(random.Activations(1, tokens, 2 * channels)))];
        ActivationTensor[] gradients = [.. Enumerable.Range(0, 3).Select(_ => bench.Output(1, tokens, 2 * channels))];
        ActivationTensor output = bench.Output(1, tokens, 2 * channels);
        ActivationTensor logSumExp = bench.Output(1, tokens, 2);
        bench.Engine.AttentionForward(inputs[0], inputs[1], inputs[2], 2, null, output, logSumExp);
        bench.Engine.AttentionBackward(
            inputs[0], inputs[1], inputs[2], 2, null, output, logSumExp, bench.Gradient(random.Activations(1, tokens, 2 * channels)), gradients[0], gradients[1], gradients[2], null);
        return [.. bench.Read(output), .. gradients.SelectMany(bench.Read)];
    }

    private static void Compare(float[] expected, float[] actual, string what) =>
        Comparison.CloseRelative(expected.Select(value => (double)value).ToArray(), actual, Tolerance, what);
}
