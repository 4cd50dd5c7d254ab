using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>Every operation of the seam, forward and backward, on random tensors of one size; returns all that it computed.</summary>
internal sealed class OperationRuns
{
    private readonly int _sequences;
    private readonly int _tokens;
    private readonly int _channels;

    /// <summary>Rows and columns of the optimiser's matrices.</summary>
    private readonly int _width;

    /// <param name="sequences">B.</param>
    /// <param name="tokens">T, and the vocabulary of the bigram table.</param>
    /// <param name="channels">C, a multiple of 4.</param>
    public OperationRuns(int sequences, int tokens, int channels)
    {
        _sequences = sequences;
        _tokens = tokens;
        _channels = channels;
        _width = (2 * tokens) + 40;
        Operations = new()
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
                TokenTensor ids = bench.Tokens(random.Tokens(_sequences, _tokens, 9));
                WeightTensor table = bench.Weights(random.Matrix(9, _channels));
                WeightTensor positions = bench.Weights(random.Matrix(_tokens, _channels));
                ActivationTensor output = Output(bench);
                bench.Engine.EmbeddingForward(ids, table, positions, output);
                bench.Engine.EmbeddingBackward(ids, Gradient(bench, random), table, positions);
                return [.. bench.Read(output), .. bench.Read(table), .. bench.Read(positions)];
            },
            ["RmsNorm"] = (bench, random) => Norm(bench, random, NormKind.RmsNorm),
            ["LayerNorm"] = (bench, random) => Norm(bench, random, NormKind.LayerNorm),
            ["Linear, sparse"] = (bench, random) => Linear(bench, random, 0.1),
            ["Linear, dense"] = (bench, random) => Linear(bench, random, 1),
            ["Linear, gradient after AbsTopK"] = (bench, random) =>
            {
                // Wide enough for the kernels that pass over zeros.
                const int Inputs = 131;
                ActivationTensor gradient = bench.Gradient(random.Activations(_sequences, _tokens, 37));
                bench.Engine.AbsTopKForward(gradient, 9, bench.Selection(gradient));
                WeightTensor weightGradient = bench.Weights(random.Matrix(37, Inputs));
                bench.Engine.LinearBackwardWeight(bench.Input(random.Activations(_sequences, _tokens, Inputs)), gradient, weightGradient, null);
                return bench.Read(weightGradient);
            },
            ["AbsTopK"] = (bench, random) =>
            {
                ActivationTensor values = Input(bench, random);
                SelectionTensor selection = bench.Selection(values);
                bench.Engine.AbsTopKForward(values, _channels / 4, selection);
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
                    ActivationTensor output = bench.OutputLike(input);
                    bench.Engine.ActivationForward(kind, input, output);
                    SelectionTensor selection = bench.Selection(output);
                    bench.Engine.AbsTopKForward(output, _channels / 4, selection);
                    KeptActivations kept = bench.Kept(input);
                    ActivationTensor keptGradient = Gradient(bench, random);
                    bench.Engine.AbsTopKBackward(selection, keptGradient);
                    bench.Engine.KeepForActivationBackward(kind, input, selection, kept);
                    bench.Engine.ActivationBackward(kind, kept, keptGradient);
                    results.AddRange([.. bench.Read(output), .. bench.Read(gradient), .. bench.Read(keptGradient)]);
                }

                return [.. results];
            },
            ["Attention"] = Attention,
            ["Bigram"] = (bench, random) =>
            {
                TokenTensor ids = bench.Tokens(random.Tokens(_sequences, _tokens, _tokens));
                WeightTensor table = bench.Weights(random.Matrix(_tokens, _tokens));
                ActivationTensor logits = bench.Input(random.Activations(_sequences, _tokens, _tokens));
                bench.Engine.BigramForward(ids, table, logits);
                bench.Engine.BigramBackward(ids, bench.Gradient(random.Activations(_sequences, _tokens, _tokens)), table);
                return [.. bench.Read(logits), .. bench.Read(table)];
            },
            ["CrossEntropy"] = (bench, random) =>
            {
                ActivationTensor logits = Input(bench, random);
                ActivationTensor losses = bench.Output(_sequences, _tokens, 1);
                bench.Engine.CrossEntropy(logits, bench.Tokens(random.Tokens(_sequences, _tokens, _channels)), losses, logits, 0.01f);
                return [.. bench.Read(logits), .. bench.Read(losses)];
            },
            ["KullbackLeibler, NormalisedError, Sum"] = (bench, random) =>
            {
                ActivationTensor target = Input(bench, random);
                ActivationTensor prediction = Input(bench, random);
                ActivationTensor gradient = Gradient(bench, random);
                ScalarTensor sums = bench.Scalars(3);
                bench.Engine.NormalisedErrorForward(prediction, target, sums, 0);
                bench.Engine.NormalisedErrorBackward(prediction, target, sums, 0, 0.01f, gradient, null);
                ActivationTensor losses = bench.Output(_sequences, _tokens, 1);
                bench.Engine.KullbackLeibler(target, prediction, losses, prediction, 0.01f);
                bench.Engine.Sum(losses, sums, 2);
                return [.. bench.Read(sums).Select(sum => (float)sum), .. bench.Read(gradient), .. bench.Read(losses), .. bench.Read(prediction)];
            },
            ["Gather, Scatter"] = (bench, random) =>
            {
                TokenTensor positions = bench.Tokens(random.Positions(_sequences, (_tokens + 1) / 2, _tokens));
                ActivationTensor picked = bench.Output(_sequences, (_tokens + 1) / 2, _channels);
                bench.Engine.GatherTokens(Input(bench, random), positions, picked);
                ActivationTensor scattered = Output(bench);
                bench.Engine.ScatterTokens(picked, positions, scattered);
                return [.. bench.Read(picked), .. bench.Read(scattered)];
            },
            ["Gate"] = (bench, random) =>
            {
                ActivationTensor input = Input(bench, random);
                WeightTensor mask = bench.Weights(random.Vector(_channels));
                WeightTensor mean = bench.Weights(random.Vector(_channels));
                WeightTensor maskGradient = bench.Constant(1, _channels, 1);
                ActivationTensor gradient = Gradient(bench, random);
                KeptActivations kept = bench.Kept(input);
                bench.Engine.GateForward(input, mask, mean, input, kept);
                bench.Engine.GateBackward(kept, mask, mean, gradient, maskGradient);
                return [.. bench.Read(input), .. bench.Read(gradient), .. bench.Read(maskGradient)];
            },
            ["ChannelSums, RootMeanSquare"] = (bench, random) =>
            {
                double[] sums = new double[_channels];
                bench.Engine.ChannelSums(Input(bench, random), sums);
                double[] all = [.. sums, bench.RootMeanSquare(bench.Weights(random.Matrix(_width, _width)), bench.Weights(random.Vector(7)))];
                return [.. all.SelectMany(value => new[] { (float)value, (float)(value - (float)value) })];
            },
            ["AdamStep, Scale, KeepLargest"] = (bench, random) =>
            {
                WeightTensor weights = bench.Weights(random.Matrix(_width, _width));
                WeightTensor gradient = bench.Weights(random.Matrix(_width, _width));
                WeightTensor first = bench.Weights(random.Matrix(_width, _width));
                WeightTensor second = bench.Constant(_width, _width, 0.5);
                bench.Engine.AdamStep(weights, gradient, first, second, 0.7f, 0.01f, 0.9f, 0.95f, 0.1f, 3);
                bench.Engine.Scale(weights, 0.99f);
                bench.Engine.KeepLargest(weights, _width * _width / 10, 0, 4);
                return [.. bench.Read(weights), .. bench.Read(first), .. bench.Read(second)];
            },
        };
    }

    public static IEnumerable<string> Names => new OperationRuns(1, 1, 4).Operations.Keys;

    private Dictionary<string, Func<Bench, RandomArrays, float[]>> Operations { get; }

    /// <param name="bench">Where it runs.</param>
    /// <param name="operation">One of the names.</param>
    public float[] Run(Bench bench, string operation) => Operations[operation](bench, new RandomArrays(21));

    private float[] Norm(Bench bench, RandomArrays random, NormKind kind)
    {
        ActivationTensor input = Input(bench, random);
        WeightTensor weight = bench.Weights(random.Vector(_channels));
        WeightTensor bias = bench.Weights(random.Vector(_channels));
        ActivationTensor output = Output(bench);
        ActivationTensor statistics = bench.Output(_sequences, _tokens, 2);
        bench.Engine.NormForward(kind, input, weight, bias, output, statistics);
        ActivationTensor inputGradient = Gradient(bench, random);
        WeightTensor weightGradient = bench.Constant(1, _channels, 1);
        bench.Engine.NormBackward(kind, input, statistics, weight, Gradient(bench, random), inputGradient, weightGradient, bias);
        float[] own = [.. bench.Read(output), .. bench.Read(statistics), .. bench.Read(inputGradient), .. bench.Read(weightGradient), .. bench.Read(bias)];

        // The same with another input and the scale frozen at that of the first.
        ActivationTensor other = Input(bench, random);
        bench.Engine.NormForward(kind, other, weight, bias, output, statistics, isScaleFrozen: true);
        bench.Engine.NormBackward(kind, other, statistics, weight, Gradient(bench, random), inputGradient, weightGradient, bias, isScaleFrozen: true);
        return [.. own, .. bench.Read(output), .. bench.Read(statistics), .. bench.Read(inputGradient), .. bench.Read(weightGradient), .. bench.Read(bias)];
    }

    private float[] Linear(Bench bench, RandomArrays random, double density)
    {
        const int Outputs = 101;
        ActivationTensor input = Input(bench, random);
        WeightTensor weight = bench.Weights(random.Matrix(Outputs, _channels, density));
        WeightTensor bias = bench.Weights(random.Vector(Outputs));
        ActivationTensor output = bench.Output(_sequences, _tokens, Outputs);
        bench.Engine.LinearForward(input, weight, bias, output);
        ActivationTensor outputGradient = bench.Gradient(random.Activations(_sequences, _tokens, Outputs));
        ActivationTensor inputGradient = Output(bench);
        bench.Engine.LinearBackwardInput(weight, outputGradient, inputGradient);
        bench.Engine.LinearBackwardWeight(input, outputGradient, weight, bias);
        return [.. bench.Read(output), .. bench.Read(inputGradient), .. bench.Read(weight), .. bench.Read(bias)];
    }

    private float[] Attention(Bench bench, RandomArrays random)
    {
        const int Heads = 4;
        ActivationTensor query = Input(bench, random);
        ActivationTensor key = Input(bench, random);
        ActivationTensor value = Input(bench, random);
        WeightTensor sink = bench.Weights(random.Vector(Heads));
        WeightTensor sinkGradient = bench.Constant(1, Heads, 1);
        ActivationTensor output = Output(bench);
        ActivationTensor logSumExp = bench.Output(_sequences, _tokens, Heads);
        ActivationTensor[] gradients = [Output(bench), Output(bench), Output(bench)];
        bench.Engine.AttentionForward(query, key, value, Heads, sink, output, logSumExp);
        bench.Engine.AttentionBackward(
            query, key, value, Heads, sink, output, logSumExp, Gradient(bench, random), gradients[0], gradients[1], gradients[2], sinkGradient);
        return [.. bench.Read(output), .. bench.Read(logSumExp), .. gradients.SelectMany(bench.Read), .. bench.Read(sinkGradient)];
    }

    private ActivationTensor Input(Bench bench, RandomArrays random) => bench.Input(random.Activations(_sequences, _tokens, _channels));

    private ActivationTensor Gradient(Bench bench, RandomArrays random) => bench.Gradient(random.Activations(_sequences, _tokens, _channels));

    private ActivationTensor Output(Bench bench) => bench.Output(_sequences, _tokens, _channels);
}
