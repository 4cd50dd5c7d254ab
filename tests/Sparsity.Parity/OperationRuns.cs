using Sparsity.Core.Engine;

namespace Sparsity.Parity;

/// <summary>Every operation of the seam, forward and backward, on random tensors of one size; each gives all that it computed.</summary>
/// <remarks>No selection is made on numbers that were computed before it: where two of them nearly tie, one rounding more or less would
/// choose another.</remarks>
internal sealed class OperationRuns
{
    private readonly int _sequences;
    private readonly int _tokens;
    private readonly int _channels;

    /// <param name="sequences">B.</param>
    /// <param name="tokens">T.</param>
    /// <param name="channels">C, a multiple of 4 and of the number of heads.</param>
    public OperationRuns(int sequences, int tokens, int channels)
    {
        _sequences = sequences;
        _tokens = tokens;
        _channels = channels;
        Vocabulary = tokens;
        Rows = (2 * tokens) + 40;
        Columns = Rows;
        Operations = new()
        {
            ["Add, Copy"] = (bench, random) =>
            {
                ActivationTensor sum = Output(bench);
                bench.Engine.Add(Input(bench, random), Input(bench, random), sum);
                ActivationTensor copy = Output(bench);
                bench.Engine.Copy(sum, copy);
                return [new("sum", bench.Read(copy))];
            },
            ["Embedding"] = (bench, random) =>
            {
                TokenTensor ids = bench.Tokens(random.Tokens(_sequences, _tokens, Vocabulary));
                WeightTensor table = bench.Weights(random.Matrix(Vocabulary, _channels));
                WeightTensor positions = bench.Weights(random.Matrix(_tokens, _channels));
                ActivationTensor output = Output(bench);
                bench.Engine.EmbeddingForward(ids, table, positions, output);
                bench.Engine.EmbeddingBackward(ids, Gradient(bench, random), table, positions);
                return
                [
                    new("output", bench.Read(output)),
                    new("table's gradient", bench.Read(table)),
                    new("positions' gradient", bench.Read(positions)),
                ];
            },
            ["RmsNorm"] = (bench, random) => Norm(bench, random, NormKind.RmsNorm),
            ["LayerNorm"] = (bench, random) => Norm(bench, random, NormKind.LayerNorm),
            ["Linear, sparse"] = (bench, random) => Linear(bench, random, 0.1),
            ["Linear, dense"] = (bench, random) => Linear(bench, random, 1),
            ["Linear, gradient after AbsTopK"] = (bench, random) =>
            {
                ActivationTensor gradient = bench.Gradient(random.Activations(_sequences, _tokens, NarrowOutputs));
                bench.Engine.AbsTopKForward(gradient, NarrowOutputs / 4, bench.Selection(gradient));
                WeightTensor weightGradient = bench.Weights(random.Matrix(NarrowOutputs, WideInputs));
                bench.Engine.LinearBackwardWeight(
                    bench.Input(random.Activations(_sequences, _tokens, WideInputs)),
                    gradient,
                    weightGradient,
                    null
                );
                return [new("weight gradient", bench.Read(weightGradient))];
            },
            ["AbsTopK"] = (bench, random) =>
            {
                ActivationTensor values = Input(bench, random);
                SelectionTensor selection = bench.Selection(values);
                bench.Engine.AbsTopKForward(values, _channels / 4, selection);
                ActivationTensor gradient = Gradient(bench, random);
                bench.Engine.AbsTopKBackward(selection, gradient);
                return [new("values", bench.Read(values)), new("gradient", bench.Read(gradient))];
            },
            ["Activation"] = (bench, random) =>
            {
                var results = new List<ComputedTensor>();
                foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
                {
                    ActivationTensor input = Input(bench, random);
                    ActivationTensor gradient = Gradient(bench, random);
                    bench.Engine.ActivationBackward(kind, input, gradient);
                    ActivationTensor output = bench.OutputLike(input);
                    bench.Engine.ActivationForward(kind, input, output);
                    ActivationTensor ranked = Input(bench, random);
                    SelectionTensor selection = bench.Selection(ranked);
                    bench.Engine.AbsTopKForward(ranked, _channels / 4, selection);
                    SavedForBackward kept = bench.Kept(input);
                    ActivationTensor keptGradient = Gradient(bench, random);
                    bench.Engine.AbsTopKBackward(selection, keptGradient);
                    bench.Engine.SaveForActivationBackward(kind, input, selection, kept);
                    bench.Engine.ActivationBackward(kind, kept, keptGradient);
                    results.Add(new($"{kind}", bench.Read(output)));
                    results.Add(new($"{kind}, gradient", bench.Read(gradient)));
                    results.Add(new($"{kind}, gradient of kept entries", bench.Read(keptGradient)));
                }

                return [.. results];
            },
            ["Attention"] = Attention,
            ["CachedAttention"] = (bench, random) =>
            {
                using KeyValueCache cache = bench.Engine.AllocateKeyValueCache("cache", _sequences, _tokens + 1, _channels);
                WeightTensor sink = bench.Weights(random.Vector(Heads));
                ActivationTensor many = Output(bench);
                bench.Engine.CachedAttentionForward(
                    Input(bench, random),
                    Input(bench, random),
                    Input(bench, random),
                    Heads,
                    sink,
                    cache,
                    0,
                    many
                );
                ActivationTensor[] next =
                [
                    .. Enumerable.Range(0, 3).Select(_ => bench.Input(random.Activations(_sequences, 1, _channels))),
                ];
                ActivationTensor one = bench.Output(_sequences, 1, _channels);
                bench.Engine.CachedAttentionForward(next[0], next[1], next[2], Heads, sink, cache, _tokens, one);
                return [new("output", bench.Read(many)), new("output of the next token", bench.Read(one))];
            },
            ["Bigram"] = (bench, random) =>
            {
                TokenTensor ids = bench.Tokens(random.Tokens(_sequences, _tokens, Vocabulary));
                WeightTensor table = bench.Weights(random.Matrix(Vocabulary, Vocabulary));
                ActivationTensor logits = bench.Input(random.Activations(_sequences, _tokens, Vocabulary));
                bench.Engine.BigramForward(ids, table, logits);
                bench.Engine.BigramBackward(ids, bench.Gradient(random.Activations(_sequences, _tokens, Vocabulary)), table);
                return [new("logits", bench.Read(logits)), new("table's gradient", bench.Read(table))];
            },
            ["CrossEntropy"] = (bench, random) =>
            {
                ActivationTensor logits = bench.Input(random.Activations(_sequences, _tokens, Vocabulary));
                ActivationTensor losses = bench.Output(_sequences, _tokens, 1);
                bench.Engine.CrossEntropy(logits, bench.Tokens(random.Tokens(_sequences, _tokens, Vocabulary)), losses, logits, 1);
                return [new("losses", bench.Read(losses)), new("gradient", bench.Read(logits))];
            },
            ["KullbackLeibler, NormalisedError, Sum"] = (bench, random) =>
            {
                ActivationTensor target = Input(bench, random);
                ActivationTensor prediction = Input(bench, random);
                ActivationTensor gradient = Gradient(bench, random);
                ActivationTensor targetGradient = Gradient(bench, random);
                ScalarTensor sums = bench.Scalars(3);
                bench.Engine.NormalisedErrorForward(prediction, target, sums, 0);
                bench.Engine.NormalisedErrorBackward(
                    prediction,
                    target,
                    sums,
                    0,
                    _sequences * _tokens * _channels,
                    gradient,
                    targetGradient
                );
                ActivationTensor losses = bench.Output(_sequences, _tokens, 1);
                bench.Engine.KullbackLeibler(target, prediction, losses, prediction, 1);
                bench.Engine.Sum(losses, sums, 2);
                float[] read = [.. bench.Read(sums).Select(sum => (float)sum)];
                return
                [
                    new("sums of squares", read[..2]),
                    new("error's gradient", bench.Read(gradient)),
                    new("error's gradient for the target", bench.Read(targetGradient)),
                    new("divergences", bench.Read(losses)),
                    new("their sum", read[2..]),
                    new("divergence's gradient", bench.Read(prediction)),
                ];
            },
            ["Gather, Scatter"] = (bench, random) =>
            {
                TokenTensor positions = bench.Tokens(random.Positions(_sequences, (_tokens + 1) / 2, _tokens));
                ActivationTensor picked = bench.Output(_sequences, (_tokens + 1) / 2, _channels);
                bench.Engine.GatherTokens(Input(bench, random), positions, picked);
                ActivationTensor scattered = Output(bench);
                bench.Engine.ScatterTokens(picked, positions, scattered);
                return [new("gathered", bench.Read(picked)), new("scattered", bench.Read(scattered))];
            },
            ["Gate"] = (bench, random) =>
            {
                ActivationTensor input = Input(bench, random);
                WeightTensor mask = bench.Weights(random.Vector(_channels));
                WeightTensor mean = bench.Weights(random.Vector(_channels));
                WeightTensor maskGradient = bench.Constant(1, _channels, 1);
                ActivationTensor gradient = Gradient(bench, random);
                SavedForBackward kept = bench.Kept(input);
                bench.Engine.GateForward(input, mask, mean, input, kept);
                bench.Engine.GateBackward(kept, mask, mean, gradient, maskGradient);
                return
                [
                    new("output", bench.Read(input)),
                    new("gradient", bench.Read(gradient)),
                    new("mask gradient", bench.Read(maskGradient)),
                ];
            },
            ["ChannelSums, RootMeanSquare"] = (bench, random) =>
            {
                double[] sums = new double[_channels];
                bench.Engine.ChannelSums(Input(bench, random), sums);
                double rootMeanSquare = bench.RootMeanSquare(bench.Weights(random.Matrix(Rows, Columns)), bench.Weights(random.Vector(7)));
                return [new("channel sums", InTwoFloats(sums)), new("root mean square", InTwoFloats(rootMeanSquare))];
            },
            ["AdamStep, Scale"] = (bench, random) =>
            {
                WeightTensor weights = bench.Weights(random.Matrix(Rows, Columns));
                WeightTensor gradient = bench.Weights(random.Matrix(Rows, Columns));
                WeightTensor first = bench.Weights(random.Matrix(Rows, Columns));
                WeightTensor second = bench.Constant(Rows, Columns, 0.5);
                bench.Engine.AdamStep(weights, gradient, first, second, 0.7f, 0.5f, 0.9f, 0.95f, 0.1f, 3);
                bench.Engine.Scale(weights, 0.99f);
                return
                [
                    new("weights", bench.Read(weights)),
                    new("first moments", bench.Read(first)),
                    new("second moments", bench.Read(second)),
                ];
            },
            ["MoveInto"] = (bench, random) =>
            {
                WeightTensor part = bench.Weights(random.Matrix(Rows, Columns));
                WeightTensor sum = bench.Weights(random.Matrix(Rows, Columns));
                bench.Engine.MoveInto(part, sum);
                return [new("sum", bench.Read(sum)), new("what was moved", bench.Read(part))];
            },
            ["KeepLargest"] = (bench, random) =>
            {
                WeightTensor columnsAlive = bench.Weights(random.Matrix(Rows, Columns));
                bench.Engine.KeepLargest(columnsAlive, Rows * Columns / 10, 0, 4);
                WeightTensor rowsAlive = bench.Weights(random.Matrix(Rows, Columns));
                bench.Engine.KeepLargest(rowsAlive, Rows * Columns / 10, 1, 4);
                return [new("columns alive", bench.Read(columnsAlive)), new("rows alive", bench.Read(rowsAlive))];
            },
        };
    }

    /// <summary>Odd shapes, small enough for any device.</summary>
    public static OperationRuns Odd { get; } = new(2, 17, 8);

    /// <summary>A training step of size S: 8 sequences of 256 tokens, D 256.</summary>
    public static OperationRuns S { get; } = Model(8, 256);

    /// <summary>A training step of size L: 4 sequences of 256 tokens, D 1024.</summary>
    public static OperationRuns L { get; } = Model(4, 1024);

    public static IEnumerable<string> Names => new OperationRuns(1, 1, 4).Operations.Keys;

    /// <summary>Output channels of linear layers.</summary>
    public int Outputs { get; init; } = 101;

    /// <summary>
    /// Input channels of the linear layer whose gradient is behind AbsTopK: wide enough for the kernels that pass over zeros.
    /// </summary>
    public int WideInputs { get; init; } = 131;

    /// <summary>Output channels of that layer.</summary>
    public int NarrowOutputs { get; init; } = 37;

    /// <summary>Attention heads.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>V, of embeddings, the bigram table and the loss.</summary>
    public int Vocabulary { get; init; }

    /// <summary>Rows of the optimiser's matrices.</summary>
    public int Rows { get; init; }

    /// <summary>Columns of the optimiser's matrices.</summary>
    public int Columns { get; init; }

    private Dictionary<string, Func<Bench, RandomArrays, ComputedTensor[]>> Operations { get; }

    private static OperationRuns Model(int sequences, int channels) =>
        new(sequences, 256, channels)
        {
            Outputs = 4 * channels,
            WideInputs = channels,
            NarrowOutputs = 4 * channels,
            Heads = channels / 16,
            Vocabulary = 2048,
            Rows = 4 * channels,
            Columns = channels,
        };

    /// <param name="bench">Where it runs.</param>
    /// <param name="operation">One of the names.</param>
    public ComputedTensor[] Run(Bench bench, string operation) => Operations[operation](bench, new RandomArrays(21));

    private ComputedTensor[] Norm(Bench bench, RandomArrays random, NormKind kind)
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
        ComputedTensor[] own = Results("");

        // The same with another input and the scale frozen at that of the first.
        ActivationTensor other = Input(bench, random);
        bench.Engine.NormForward(kind, other, weight, bias, output, statistics, isScaleFrozen: true);
        bench.Engine.NormBackward(
            kind,
            other,
            statistics,
            weight,
            Gradient(bench, random),
            inputGradient,
            weightGradient,
            bias,
            isScaleFrozen: true
        );
        return [.. own, .. Results(" at a frozen scale")];

        ComputedTensor[] Results(string how) =>
            [
                new("output" + how, bench.Read(output)),
                new("statistics" + how, bench.Read(statistics)),
                new("input gradient" + how, bench.Read(inputGradient)),
                new("weight gradient" + how, bench.Read(weightGradient)),
                new("bias gradient" + how, bench.Read(bias)),
            ];
    }

    private ComputedTensor[] Linear(Bench bench, RandomArrays random, double density)
    {
        ActivationTensor input = Input(bench, random);
        WeightTensor weight = bench.Weights(random.Matrix(Outputs, _channels, density));
        WeightTensor bias = bench.Weights(random.Vector(Outputs));
        ActivationTensor output = bench.Output(_sequences, _tokens, Outputs);
        bench.Engine.LinearForward(input, weight, bias, output);
        ActivationTensor outputGradient = bench.Gradient(random.Activations(_sequences, _tokens, Outputs));
        ActivationTensor inputGradient = Output(bench);
        bench.Engine.LinearBackwardInput(weight, outputGradient, inputGradient);
        bench.Engine.LinearBackwardWeight(input, outputGradient, weight, bias);
        return
        [
            new("output", bench.Read(output)),
            new("input gradient", bench.Read(inputGradient)),
            new("weight gradient", bench.Read(weight)),
            new("bias gradient", bench.Read(bias)),
        ];
    }

    private ComputedTensor[] Attention(Bench bench, RandomArrays random)
    {
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
            query,
            key,
            value,
            Heads,
            sink,
            output,
            logSumExp,
            Gradient(bench, random),
            gradients[0],
            gradients[1],
            gradients[2],
            sinkGradient
        );
        return
        [
            new("output", bench.Read(output)),
            new("log-sum-exp", bench.Read(logSumExp)),
            new("query gradient", bench.Read(gradients[0])),
            new("key gradient", bench.Read(gradients[1])),
            new("value gradient", bench.Read(gradients[2])),
            new("sink gradient", bench.Read(sinkGradient)),
        ];
    }

    /// <summary>To more digits than one float has: each value, and what rounding it to a float leaves.</summary>
    private static float[] InTwoFloats(params double[] values) =>
        [.. values.SelectMany(value => new[] { (float)value, (float)(value - (float)value) })];

    private ActivationTensor Input(Bench bench, RandomArrays random) => bench.Input(random.Activations(_sequences, _tokens, _channels));

    private ActivationTensor Gradient(Bench bench, RandomArrays random) =>
        bench.Gradient(random.Activations(_sequences, _tokens, _channels));

    private ActivationTensor Output(Bench bench) => bench.Output(_sequences, _tokens, _channels);
}
