using Sparsity.Core.Engine;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>Every operation gives the same bits with 1, 2, 3 and 8 threads, and every time.</summary>
public class DeterminismTests
{
    private const int Sequences = 3;
    private const int Tokens = 130;
    private const int Channels = 24;

    private static readonly Dictionary<string, Func<Bench, RandomArrays, float[]>> Operations = new()
    {
        ["Add, Copy"] = (bench, random) =>
        {
            ActivationTensor sum = Output(bench);
            bench.Engine.Add(Input(bench, random), Input(bench, random), sum);
            ActivationTensor copy = Output(bench);
            bench.Engine.Copy(sum, copy);
            return bench.Read(copy);
        },
        ["Embedding"] = (bench, random) =>
        {
            TokenTensor tokens = bench.Tokens(random.Tokens(Sequences, Tokens, 9));
            WeightTensor table = bench.Weights(random.Matrix(9, Channels));
            WeightTensor positions = bench.Weights(random.Matrix(Tokens, Channels));
            ActivationTensor output = Output(bench);
            bench.Engine.EmbeddingForward(tokens, table, positions, output);
            bench.Engine.EmbeddingBackward(tokens, Gradient(bench, random), table, positions);
            return [.. bench.Read(output), .. bench.Read(table), .. bench.Read(positions)];
        },
        ["RmsNorm"] = (bench, random) => Norm(bench, random, NormKind.RmsNorm),
        ["LayerNorm"] = (bench, random) => Norm(bench, random, NormKind.LayerNorm),
        ["Linear, sparse"] = (bench, random) => Linear(bench, random, 0.1),
        ["Linear, dense"] = (bench, random) => Linear(bench, random, 1),
        ["AbsTopK"] = (bench, random) =>
        {
            ActivationTensor values = Input(bench, random);
            SelectionTensor selection = bench.Selection(values);
            bench.Engine.AbsTopKForward(values, 6, selection);
            ActivationTensor gradient = Gradient(bench, random);
            bench.Engine.AbsTopKBackward(selection, gradient);
            return [.. bench.Read(values), .. bench.Read(gradient)];
        },
        ["Activation"] = (bench, random) =>
        {
            var results = new List<float>();
            foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
            {
                ActivationTensor input = Input(bench, random);
                ActivationTensor gradient = Gradient(bench, random);
                bench.Engine.ActivationBackward(kind, input, gradient);
                bench.Engine.ActivationForward(kind, input, input);
                results.AddRange([.. bench.Read(input), .. bench.Read(gradient)]);
            }

            return [.. results];
        },
        ["Attention"] = Attention,
        ["Bigram"] = (bench, random) =>
        {
            TokenTensor tokens = bench.Tokens(random.Tokens(Sequences, Tokens, 130));
            WeightTensor table = bench.Weights(random.Matrix(130, 130));
            ActivationTensor logits = bench.Input(random.Activations(Sequences, Tokens, 130));
            bench.Engine.BigramForward(tokens, table, logits);
            bench.Engine.BigramBackward(tokens, bench.Gradient(random.Activations(Sequences, Tokens, 130)), table);
            return [.. bench.Read(logits), .. bench.Read(table)];
        },
        ["CrossEntropy"] = (bench, random) =>
        {
            ActivationTensor logits = Input(bench, random);
            ActivationTensor losses = bench.Output(Sequences, Tokens, 1);
            bench.Engine.CrossEntropy(logits, bench.Tokens(random.Tokens(Sequences, Tokens, Channels)), losses, logits, 0.01f);
            return [.. bench.Read(logits), .. bench.Read(losses)];
        },
        ["KullbackLeibler, NormalisedError"] = (bench, random) =>
        {
            ActivationTensor target = Input(bench, random);
            ActivationTensor prediction = Input(bench, random);
            ActivationTensor gradient = Gradient(bench, random);
            WeightTensor sums = bench.Constant(1, 2, 0);
            bench.Engine.NormalisedErrorForward(prediction, target, sums);
            bench.Engine.NormalisedErrorBackward(prediction, target, sums, 0.01f, gradient, null);
            ActivationTensor losses = bench.Output(Sequences, Tokens, 1);
            bench.Engine.KullbackLeibler(target, prediction, losses, prediction, 0.01f);
            return [.. bench.Read(sums), .. bench.Read(gradient), .. bench.Read(losses), .. bench.Read(prediction)];
        },
        ["Gather, Scatter"] = (bench, random) =>
        {
            TokenTensor positions = bench.Tokens(random.Positions(Sequences, 70, Tokens));
            ActivationTensor picked = bench.Output(Sequences, 70, Channels);
            bench.Engine.GatherTokens(Input(bench, random), positions, picked);
            ActivationTensor scattered = Output(bench);
            bench.Engine.ScatterTokens(picked, positions, scattered);
            return [.. bench.Read(picked), .. bench.Read(scattered)];
        },
        ["Gate"] = (bench, random) =>
        {
            ActivationTensor input = Input(bench, random);
            WeightTensor mask = bench.Weights(random.Vector(Channels));
            WeightTensor mean = bench.Weights(random.Vector(Channels));
            WeightTensor maskGradient = bench.Constant(1, Channels, 1);
            ActivationTensor gradient = Gradient(bench, random);
            bench.Engine.GateBackward(input, mask, mean, gradient, maskGradient);
            bench.Engine.GateForward(input, mask, mean, input);
            return [.. bench.Read(input), .. bench.Read(gradient), .. bench.Read(maskGradient)];
        },
        ["ChannelSums, RootMeanSquare"] = (bench, random) =>
        {
            double[] sums = new double[Channels];
            bench.Engine.ChannelSums(Input(bench, random), sums);
            double[] all = [.. sums, bench.Engine.RootMeanSquare([bench.Weights(random.Matrix(300, 300)), bench.Weights(random.Vector(7))])];
            return System.Runtime.InteropServices.MemoryMarshal.Cast<double, float>(all).ToArray();
        },
        ["AdamStep, Scale, KeepLargest"] = (bench, random) =>
        {
            WeightTensor weights = bench.Weights(random.Matrix(300, 300));
            WeightTensor gradient = bench.Weights(random.Matrix(300, 300));
            WeightTensor first = bench.Weights(random.Matrix(300, 300));
            WeightTensor second = bench.Constant(300, 300, 0.5);
            bench.Engine.AdamStep(weights, gradient, first, second, 0.7f, 0.01f, 0.9f, 0.95f, 0.1f, 3);
            bench.Engine.Scale(weights, 0.99f);
            bench.Engine.KeepLargest(weights, 9000, 0, 4);
            return [.. bench.Read(weights), .. bench.Read(first), .. bench.Read(second)];
        },
    };

    public static TheoryData<string> OperationNames => [.. Operations.Keys];

    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(OperationNames))]
    public void ThreadsDoNotChangeABit(string operation)
    {
        float[] expected = RunOn(new Bench(new CpuEngine(1)), operation);
        foreach (int threads in new[] { 2, 3, 8 })
        {
            Comparison.SameBits(expected, RunOn(new Bench(new CpuEngine(threads)), operation), $"{operation} with {threads} threads");
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void TwoRunsAgreeBitForBit(string engine)
    {
        foreach (string operation in Operations.Keys)
        {
            Comparison.SameBits(RunOn(new Bench(engine), operation), RunOn(new Bench(engine), operation), $"{engine}: {operation}, second run");
        }
    }

    private static float[] RunOn(Bench bench, string operation)
    {
        using (bench)
        {
            return Operations[operation](bench, new RandomArrays(21));
        }
    }

    private static float[] Norm(Bench bench, RandomArrays random, NormKind kind)
    {
        ActivationTensor input = Input(bench, random);
        WeightTensor weight = bench.Weights(random.Vector(Channels));
        WeightTensor bias = bench.Weights(random.Vector(Channels));
        ActivationTensor output = Output(bench);
        ActivationTensor statistics = bench.Output(Sequences, Tokens, 2);
        bench.Engine.NormForward(kind, input, weight, bias, output, statistics);
        ActivationTensor inputGradient = Gradient(bench, random);
        WeightTensor weightGradient = bench.Constant(1, Channels, 1);
        bench.Engine.NormBackward(kind, input, statistics, weight, Gradient(bench, random), inputGradient, weightGradient, bias);
        return [.. bench.Read(output), .. bench.Read(statistics), .. bench.Read(inputGradient), .. bench.Read(weightGradient), .. bench.Read(bias)];
    }

    private static float[] Linear(Bench bench, RandomArrays random, double density)
    {
        const int Outputs = 101;
        ActivationTensor input = Input(bench, random);
        WeightTensor weight = bench.Weights(random.Matrix(Outputs, Channels, density));
        WeightTensor bias = bench.Weights(random.Vector(Outputs));
        ActivationTensor output = bench.Output(Sequences, Tokens, Outputs);
        bench.Engine.LinearForward(input, weight, bias, output);
        ActivationTensor outputGradient = bench.Gradient(random.Activations(Sequences, Tokens, Outputs));
        ActivationTensor inputGradient = Output(bench);
        bench.Engine.LinearBackwardInput(weight, outputGradient, inputGradient);
        bench.Engine.LinearBackwardWeight(input, outputGradient, weight, bias);
        return [.. bench.Read(output), .. bench.Read(inputGradient), .. bench.Read(weight), .. bench.Read(bias)];
    }

    private static float[] Attention(Bench bench, RandomArrays random)
    {
        const int Heads = 4;
        ActivationTensor query = Input(bench, random);
        ActivationTensor key = Input(bench, random);
        ActivationTensor value = Input(bench, random);
        WeightTensor sink = bench.Weights(random.Vector(Heads));
        WeightTensor sinkGradient = bench.Constant(1, Heads, 1);
        ActivationTensor output = Output(bench);
        ActivationTensor logSumExp = bench.Output(Sequences, Tokens, Heads);
        ActivationTensor[] gradients = [Output(bench), Output(bench), Output(bench)];
        bench.Engine.AttentionForward(query, key, value, Heads, sink, output, logSumExp);
        bench.Engine.AttentionBackward(
            query, key, value, Heads, sink, output, logSumExp, Gradient(bench, random), gradients[0], gradients[1], gradients[2], sinkGradient);
        return [.. bench.Read(output), .. bench.Read(logSumExp), .. gradients.SelectMany(bench.Read), .. bench.Read(sinkGradient)];
    }

    private static ActivationTensor Input(Bench bench, RandomArrays random) => bench.Input(random.Activations(Sequences, Tokens, Channels));

    private static ActivationTensor Gradient(Bench bench, RandomArrays random) => bench.Gradient(random.Activations(Sequences, Tokens, Channels));

    private static ActivationTensor Output(Bench bench) => bench.Output(Sequences, Tokens, Channels);
}
