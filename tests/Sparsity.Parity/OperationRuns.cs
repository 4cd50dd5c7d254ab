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
            ["optimiser, many tensors at once"] = ManyTensors,
            ["operations that follow each other"] = Consecutive,
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

    /// <summary>Matrices and vectors that lie together, and one that does not.</summary>
    private ComputedTensor[] ManyTensors(Bench bench, RandomArrays random)
    {
        IComputeEngine engine = bench.Engine;
        (string Name, int Rows, int Columns)[] shapes =
        [
            ("rows", Rows, Columns),
            ("vector", 1, 7),
            ("left alone", 1, 9),
            ("columns", Columns, Rows),
            ("no minimum", Rows, 3),
        ];
        WeightTensor[][] kinds = [.. Enumerable.Range(0, 4).Select(_ => Allocate())];
        for (int kind = 0; kind < kinds.Length; kind++)
        {
            foreach (WeightTensor tensor in kinds[kind])
            {
                double[] values = random.Vector(tensor.Length);
                engine.Write(tensor, [.. values.Select(value => (float)(kind == 3 ? value * value : value))]);
            }
        }

        WeightList[] lists = [.. kinds.Select(tensors => engine.ListWeights("tensors", tensors))];
        ScalarTensor rms = bench.Scalars(2);
        engine.RootMeanSquare(lists[1], rms, 0);
        engine.AdamStep(lists[0], lists[1], lists[2], lists[3], 0.7f, 0.5f, 0.9f, 0.95f, 0.1f, 3);
        engine.RootMeanSquare(lists[0], rms, 1);
        engine.Scale(lists[2], 0.5f);
        engine.MoveInto(lists[2], lists[3]);
        float[] updated = Read(kinds[0]);

        // On numbers of its own, and again with other budgets: what is read next would otherwise depend on Adam's rounding.
        foreach (WeightTensor tensor in kinds[0])
        {
            engine.Write(tensor, [.. random.Vector(tensor.Length).Select(value => (float)value)]);
        }

        engine.KeepLargest(lists[0], Budgets(2));
        float[] kept = Read(kinds[0]);
        engine.KeepLargest(lists[0], Budgets(3));
        ComputedTensor[] results =
        [
            new("weights after Adam", updated),
            new("gradients", Read(kinds[1])),
            new("first moments, moved", Read(kinds[2])),
            new("second moments, and what was moved there", Read(kinds[3])),
            new("root mean squares", InTwoFloats(bench.Read(rms))),
            new("weights kept", kept),
            new("weights kept of those", Read(kinds[0])),
        ];
        foreach (IDisposable owned in lists.Concat<IDisposable>(kinds.SelectMany(tensors => tensors)))
        {
            owned.Dispose();
        }

        return results;

        WeightTensor[] Allocate() => [.. engine.AllocateWeights(shapes), engine.AllocateWeights("by itself", 5, 6)];

        WeightBudget[] Budgets(int part) =>
            [
                new(Math.Max(4 * Rows, Rows * Columns / (5 * part)), 1, 4),
                new(6 / part),
                new(9),
                new(Math.Max(5 * Rows, Rows * Columns / (6 * part)), 0, 5),
                new(3 * Rows / part),
                new(30 / part, 1, 1),
            ];

        float[] Read(WeightTensor[] tensors) => [.. tensors.SelectMany(bench.Read)];
    }

    /// <summary>
    /// In the order of a training step, in which a device may do several of them in one launch: query, key and value; AbsTopK with what
    /// comes before or after it; sums over tokens. And some that look like these, but must stay apart.
    /// </summary>
    private ComputedTensor[] Consecutive(Bench bench, RandomArrays random)
    {
        IComputeEngine engine = bench.Engine;
        int kept = _channels / 4;
        var results = new List<ComputedTensor>();
        ActivationTensor whole = bench.Input(random.Activations(_sequences, _tokens, 3 * _channels));
        ActivationTensor wholeGradient = bench.Gradient(random.Activations(_sequences, _tokens, 3 * _channels));
        int[] starts = [0, _channels, 2 * _channels, _channels / 2];
        SelectionTensor[] selections = [.. starts.Select(_ => bench.Selection(Output(bench)))];
        ActivationTensor[] slices = [.. starts.Select(start => whole.Slice(start, _channels))];
        ActivationTensor[] gradients = [.. starts.Select(start => wholeGradient.Slice(start, _channels))];
        for (int i = 0; i < 3; i++)
        {
            engine.AbsTopKForward(slices[i], kept, selections[i]);
        }

        // Of two that overlap, the second sees what the first has done.
        engine.AbsTopKForward(slices[2], kept, selections[2]);
        engine.AbsTopKForward(slices[3], kept - 1, selections[3]);
        engine.AbsTopKForward(slices[0], kept - 1, selections[0]);
        for (int i = 2; i >= 0; i--)
        {
            engine.AbsTopKBackward(selections[i], gradients[i]);
        }

        engine.AbsTopKBackward(selections[3], gradients[3]);
        Add("three at once", whole, wholeGradient);

        (ActivationTensor residual, ActivationTensor delta, ActivationTensor sum) = (
            Input(bench, random),
            Input(bench, random),
            Output(bench)
        );
        engine.AbsTopKForward(delta, kept, selections[0]);
        engine.Add(residual, delta, sum);
        Add("AbsTopK, then Add", delta, sum);
        ActivationTensor ranked = Input(bench, random);
        engine.AbsTopKForward(ranked, kept, selections[1]);
        engine.Add(residual, ranked, ranked);
        Add("AbsTopK, then Add in place", ranked);

        (ActivationTensor before, ActivationTensor after) = (Input(bench, random), Output(bench));
        engine.ActivationForward(ActivationKind.Relu, before, after);
        engine.AbsTopKForward(after, kept, selections[1]);
        SavedForBackward saved = bench.Kept(before);
        engine.SaveForActivationBackward(ActivationKind.Relu, before, selections[1], saved);
        Add("ReLU, then AbsTopK", after);

        (ActivationTensor source, ActivationTensor copy, ActivationTensor neurons) = (
            Gradient(bench, random),
            Gradient(bench, random),
            Gradient(bench, random)
        );
        engine.Copy(source, copy);
        engine.AbsTopKBackward(selections[0], copy);
        engine.AbsTopKBackward(selections[1], neurons);
        engine.ActivationBackward(ActivationKind.Relu, saved, neurons);
        Add("backward of both", source, copy, neurons);

        WeightTensor weight = bench.Weights(random.Vector(_channels));
        WeightTensor weightGradient = bench.Weights(random.Vector(_channels));
        WeightTensor[] biases = [bench.Weights(random.Vector(_channels)), bench.Weights(random.Vector(3 * _channels))];
        ActivationTensor statistics = bench.Output(_sequences, _tokens, 2);
        ActivationTensor inputGradient = Gradient(bench, random);
        engine.NormForward(NormKind.RmsNorm, residual, weight, null, sum, statistics);
        engine.AbsTopKBackward(selections[3], neurons);
        engine.NormBackward(
            NormKind.RmsNorm,
            residual,
            statistics,
            weight,
            neurons.Slice(0, _channels),
            inputGradient,
            weightGradient,
            null
        );
        engine.LinearBackwardBias(copy, biases[0]);
        engine.LinearBackwardBias(wholeGradient, biases[1]);
        engine.LinearBackwardBias(copy, biases[0]);
        Add("norm, then biases", inputGradient, neurons);
        results.Add(new("norm weight and biases", [.. bench.Read(weightGradient), .. bench.Read(biases[0]), .. bench.Read(biases[1])]));
        return [.. results];

        void Add(string name, params ActivationTensor[] tensors) => results.Add(new(name, [.. tensors.SelectMany(bench.Read)]));
    }

    /// <summary>To more digits than one float has: each value, and what rounding it to a float leaves.</summary>
    private static float[] InTwoFloats(params double[] values) =>
        [.. values.SelectMany(value => new[] { (float)value, (float)(value - (float)value) })];

    private ActivationTensor Input(Bench bench, RandomArrays random) => bench.Input(random.Activations(_sequences, _tokens, _channels));

    private ActivationTensor Gradient(Bench bench, RandomArrays random) =>
        bench.Gradient(random.Activations(_sequences, _tokens, _channels));

    private ActivationTensor Output(Bench bench) => bench.Output(_sequences, _tokens, _channels);
}
