using Sparsity.Core.Engine;
using Sparsity.Kernels;

namespace Sparsity.Benchmarks;

/// <summary>One kernel's time, and what that means.</summary>
/// <param name="Kernel">Which operation, on which shape.</param>
/// <param name="Ms">Median milliseconds.</param>
/// <param name="MsSpread">Half the distance between the quartiles.</param>
/// <param name="Gflops">Billions of floating-point operations per second, counting only those that are needed: products with a zero are
/// not.</param>
/// <param name="Gbps">Billions of bytes per second, counting each operand once.</param>
/// <param name="FloorMs">What the operations take at the arithmetic roof, or the bytes at the copy's speed, whichever is more.</param>
/// <param name="ShareOfRoof">The floor as a share of the time.</param>
internal sealed record KernelBenchmarkResult(
    string Kernel,
    double Ms,
    double MsSpread,
    double Gflops,
    double Gbps,
    double FloorMs,
    double ShareOfRoof
);

/// <summary>
/// Times the operations of a training step one by one, at the shapes of one size, with weights and activations as sparse as there.
/// </summary>
internal sealed class KernelBenchmark : IDisposable
{
    private const int WarmUp = 2;

    private readonly List<IDisposable> _owned = [];
    private readonly List<KernelBenchmarkResult> _results = [];
    private readonly IMeasuredEngine _engine;
    private readonly BenchmarkSize _size;
    private readonly Roofs _roofs;
    private readonly int _repetitions;
    private readonly CancellationToken _stop;
    private readonly long _tokens;
    private ulong _seed = 1;

    private KernelBenchmark(IMeasuredEngine engine, BenchmarkSize size, int repetitions, Roofs roofs, CancellationToken stop)
    {
        _stop = stop;
        _engine = engine;
        _size = size;
        _roofs = roofs;
        _repetitions = repetitions;
        _tokens = (long)size.Sequences * BenchmarkSize.Context;
    }

    /// <summary>Every kernel, in the order of a step.</summary>
    /// <exception cref="InvalidOperationException">A product is wrong: its time would mean nothing.</exception>
    public static IReadOnlyList<KernelBenchmarkResult> Run(
        IMeasuredEngine engine,
        BenchmarkSize size,
        int repetitions,
        Roofs roofs,
        CancellationToken stop
    )
    {
        using var benchmark = new KernelBenchmark(engine, size, repetitions, roofs, stop);
        benchmark.Linear(density: 1);
        benchmark.Linear(size.Density);
        benchmark.Attention();
        benchmark.Elementwise();
        benchmark.Head();
        benchmark.Optimizer();
        return benchmark._results;
    }

    public void Dispose()
    {
        foreach (IDisposable tensor in _owned)
        {
            tensor.Dispose();
        }
    }

    /// <summary>c_fc: D to 4D. The input is behind AbsTopK, and so is the gradient of the output.</summary>
    private void Linear(double density)
    {
        int inner = _size.Channels;
        int outer = 4 * _size.Channels;
        WeightTensor weight = Weights(outer, inner, density);
        ActivationTensor input = Activations(inner, 0.25);
        ActivationTensor output = Activations(outer, 1);
        string name = $"[{_tokens}, {inner}] to {outer}, {density * 100:0.##} % of weights";
        double operations = 2.0 * _tokens * outer * inner * density;
        double bytes = 4.0 * _tokens * (inner + outer);
        Measure("linear forward " + name, operations, bytes, () => _engine.LinearForward(input, weight, null, output));
        RequireProduct(input, weight, output);
        ActivationTensor outputGradient = Activations(outer, 0.25);
        ActivationTensor inputGradient = Activations(inner, 1);
        Measure(
            "linear input gradient " + name,
            operations,
            bytes,
            () => _engine.LinearBackwardInput(weight, outputGradient, inputGradient)
        );
        if (density < 1)
        {
            return;
        }

        WeightTensor weightGradient = Weights(outer, inner, 0);
        Measure(
            $"linear weight gradient [{_tokens}, {inner}] to {outer}, 25 % of output gradients",
            0.25 * operations,
            bytes + (8.0 * weight.Length),
            () => _engine.LinearBackwardWeight(input, outputGradient, weightGradient)
        );
        ActivationTensor dense = Activations(inner, 1);
        Measure(
            $"linear weight gradient [{_tokens}, {inner}] to {outer}, dense",
            operations,
            bytes + (8.0 * weight.Length),
            () => _engine.LinearBackwardWeight(dense, output, weightGradient)
        );
    }

    private void Attention()
    {
        int heads = _size.Channels / 16;
        ActivationTensor query = Activations(_size.Channels, 0.25);
        ActivationTensor key = Activations(_size.Channels, 0.25);
        ActivationTensor value = Activations(_size.Channels, 0.25);
        ActivationTensor output = Activations(_size.Channels, 1);
        ActivationTensor logSumExp = Activations(heads, 1);
        ActivationTensor outputGradient = Activations(_size.Channels, 1);
        ActivationTensor[] gradients = [Activations(_size.Channels, 1), Activations(_size.Channels, 1), Activations(_size.Channels, 1)];
        double pairs = _tokens * (BenchmarkSize.Context + 1) / 2.0;
        double bytes = 4.0 * _tokens * _size.Channels;
        string name = $"[{_tokens}, {_size.Channels}], {heads} heads";
        Measure(
            "attention forward " + name,
            pairs * _size.Channels * 4,
            4 * bytes,
            () => _engine.AttentionForward(query, key, value, heads, null, output, logSumExp)
        );
        Measure(
            "attention backward " + name,
            pairs * _size.Channels * 10,
            8 * bytes,
            () =>
                _engine.AttentionBackward(
                    query,
                    key,
                    value,
                    heads,
                    null,
                    output,
                    logSumExp,
                    outputGradient,
                    gradients[0],
                    gradients[1],
                    gradients[2],
                    null
                )
        );
    }

    /// <summary>What acts on one activation [N, 4D] or [N, D]: the bytes decide.</summary>
    private void Elementwise()
    {
        int neurons = 4 * _size.Channels;
        ActivationTensor before = Activations(neurons, 1);
        ActivationTensor values = Activations(neurons, 1);
        ActivationTensor gradient = Activations(neurons, 1);
        double bytes = 4.0 * before.Length;
        string name = $"[{_tokens}, {neurons}]";
        Measure("GELU forward " + name, 0, 2 * bytes, () => _engine.ActivationForward(ActivationKind.Gelu, before, values));
        SelectionTensor selection = Own(_engine.AllocateSelection("selection", _size.Sequences, BenchmarkSize.Context, neurons));
        Measure(
            "copy, then AbsTopK forward 1/4 " + name,
            0,
            4 * bytes,
            () =>
            {
                _engine.Copy(before, values);
                _engine.AbsTopKForward(values, neurons / 4, selection);
            }
        );
        Measure("AbsTopK backward " + name, 0, 2 * bytes, () => _engine.AbsTopKBackward(selection, gradient));
        ActivationTensor preActivation = Activations(neurons, 1);
        SavedForBackward kept = Own(_engine.AllocateSavedForBackward("kept", _size.Sequences, BenchmarkSize.Context, neurons));
        Action keep = () => _engine.SaveForActivationBackward(ActivationKind.Gelu, preActivation, selection, kept);
        if (_engine.Name == "cpu")
        {
            Measure("GELU keep 1/4 " + name, 0, 1.25 * bytes, keep);
        }
        else
        {
            keep(); // exchanges memory: there is nothing to measure
        }

        Measure("GELU backward 1/4 " + name, 0, 2.25 * bytes, () => _engine.ActivationBackward(ActivationKind.Gelu, kept, gradient));
        WeightTensor mask = Weights(1, neurons, 1);
        WeightTensor mean = Weights(1, neurons, 1);
        WeightTensor maskGradient = Weights(1, neurons, 0);
        Measure("gate forward 1/4 " + name, 0, 2.25 * bytes, () => _engine.GateForward(values, mask, mean, values, kept));
        Measure("gate backward 1/4 " + name, 0, 2.25 * bytes, () => _engine.GateBackward(kept, mask, mean, gradient, maskGradient));

        ActivationTensor input = Activations(_size.Channels, 1);
        ActivationTensor output = Activations(_size.Channels, 1);
        ActivationTensor outputGradient = Activations(_size.Channels, 1);
        ActivationTensor statistics = Activations(2, 1);
        WeightTensor weight = Weights(1, _size.Channels, 1);
        WeightTensor weightGradient = Weights(1, _size.Channels, 0);
        bytes = 4.0 * input.Length;
        name = $"[{_tokens}, {_size.Channels}]";
        Measure(
            "RMSNorm forward " + name,
            0,
            2 * bytes,
            () => _engine.NormForward(NormKind.RmsNorm, input, weight, null, output, statistics)
        );
        Measure(
            "RMSNorm backward " + name,
            0,
            4 * bytes,
            () => _engine.NormBackward(NormKind.RmsNorm, input, statistics, weight, outputGradient, output, weightGradient, null)
        );
        Measure("add " + name, 0, 3 * bytes, () => _engine.Add(input, outputGradient, output));
    }

    private void Head()
    {
        int vocabulary = _size.Model.VocabSize;
        TokenTensor tokens = Own(_engine.AllocateTokens("tokens", _size.Sequences, BenchmarkSize.Context));
        _engine.Write(tokens, RandomNumbers.Tokens((int)_tokens, vocabulary, _seed++));
        WeightTensor embedding = Weights(vocabulary, _size.Channels, 1);
        ActivationTensor residual = Activations(_size.Channels, 1);
        Measure(
            $"embedding forward [{_tokens}, {_size.Channels}]",
            0,
            8.0 * residual.Length,
            () => _engine.EmbeddingForward(tokens, embedding, null, residual)
        );
        Measure(
            $"embedding backward [{_tokens}, {_size.Channels}]",
            0,
            12.0 * residual.Length,
            () => _engine.EmbeddingBackward(tokens, residual, embedding, null)
        );
        WeightTensor table = Weights(vocabulary, vocabulary, 0);
        ActivationTensor logits = Activations(vocabulary, 1);
        ActivationTensor losses = Activations(1, 1);
        double bytes = 4.0 * logits.Length;
        Measure($"bigram forward [{_tokens}, {vocabulary}]", 0, 3 * bytes, () => _engine.BigramForward(tokens, table, logits));
        Measure($"bigram backward [{_tokens}, {vocabulary}]", 0, 3 * bytes, () => _engine.BigramBackward(tokens, logits, table));
        Measure(
            $"cross-entropy and gradient [{_tokens}, {vocabulary}]",
            0,
            2 * bytes,
            () => _engine.CrossEntropy(logits, tokens, losses, logits, 1)
        );
    }

    private void Optimizer()
    {
        int rows = 4 * _size.Channels;
        WeightList weights = List(rows, 1);
        WeightList gradients = List(rows, 1);
        WeightList first = List(rows, 1);
        WeightList second = List(rows, 0);
        using ScalarTensor rms = _engine.AllocateScalars("RMS", 1);
        int length = rows * _size.Channels;
        int keep = Math.Max((int)(_size.Density * length), rows * _size.MinimumAlive);
        WeightBudget[] budgets = [new(keep, 1, _size.MinimumAlive)];
        string name = $"[{rows}, {_size.Channels}]";
        double bytes = 4.0 * length;
        Measure("gradient RMS " + name, 0, bytes, () => _engine.RootMeanSquare(gradients, rms, 0));
        Measure("Adam step " + name, 0, 8 * bytes, AdamStep);
        Measure(
            $"Adam step, then top-k {keep}, {_size.MinimumAlive} alive in each row {name}",
            0,
            10 * bytes,
            () =>
            {
                AdamStep();
                _engine.KeepLargest(weights, budgets);
            }
        );

        void AdamStep() => _engine.AdamStep(weights, gradients, first, second, 1, 1e-3f, 0.9f, 0.95f, 0.1f, 1);

        WeightList List(int outputs, double density) => Own(_engine.ListWeights("weights", [Weights(outputs, _size.Channels, density)]));
    }

    private void Measure(string kernel, double operations, double bytes, Action work)
    {
        _stop.ThrowIfCancellationRequested();
        Measurement time = Measurement.Of(_engine, WarmUp, _repetitions, work);
        double floor = Math.Max(operations / _roofs.ArithmeticGflops, bytes / _roofs.CopyGbps) / 1e6;
        _results.Add(
            new KernelBenchmarkResult(
                kernel,
                Math.Round(time.Median, 4),
                Math.Round(time.Spread, 4),
                Math.Round(operations / time.Median / 1e6, 2),
                Math.Round(bytes / time.Median / 1e6, 2),
                Math.Round(floor, 4),
                Math.Round(floor / time.Median, 3)
            )
        );
    }

    /// <summary>Compares some entries with sums in double.</summary>
    private void RequireProduct(ActivationTensor input, WeightTensor weight, ActivationTensor output)
    {
        var x = new float[input.Length];
        var w = new float[weight.Length];
        var y = new float[output.Length];
        _engine.Read(input, x);
        _engine.Read(weight, w);
        _engine.Read(output, y);
        for (int i = 0; i < y.Length; i += (y.Length / 97) + 1)
        {
            int token = i / weight.Rows;
            int row = i % weight.Rows;
            double sum = 0;
            for (int column = 0; column < weight.Columns; column++)
            {
                sum += (double)x[(token * weight.Columns) + column] * w[(row * weight.Columns) + column];
            }

            if (!(Math.Abs(sum - y[i]) <= 1e-3 * Math.Sqrt(weight.Columns)))
            {
                throw new InvalidOperationException(
                    $"The product at token {token}, row {row} is {y[i]}, but should be {sum}: its time means nothing."
                );
            }
        }
    }

    private WeightTensor Weights(int rows, int columns, double density)
    {
        WeightTensor tensor = Own(_engine.AllocateWeights("weights", rows, columns));
        _engine.Write(tensor, RandomNumbers.Normal(tensor.Length, density, _seed++));
        return tensor;
    }

    private ActivationTensor Activations(int channels, double density)
    {
        ActivationTensor tensor = Own(_engine.AllocateActivations("activations", _size.Sequences, BenchmarkSize.Context, channels));
        _engine.Write(tensor, RandomNumbers.Normal(tensor.Length, density, _seed++));
        return tensor;
    }

    private T Own<T>(T tensor)
        where T : IDisposable
    {
        _owned.Add(tensor);
        return tensor;
    }
}
