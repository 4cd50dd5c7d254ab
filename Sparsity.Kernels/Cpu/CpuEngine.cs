using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>The engine for the CPU: vectors of 16 tokens, a fixed set of threads, results that do not depend on their number.</summary>
internal sealed unsafe class CpuEngine : IMeasuredEngine
{
    private readonly WorkerPool _pool;

    /// <param name="threads">Threads to use, from 1; 0 for all processors.</param>
    public CpuEngine(int threads = 0)
    {
        Threads = threads > 0 ? threads : Environment.ProcessorCount;
        _pool = new WorkerPool(Threads);
    }

    public int Threads { get; }

    public string Name => "cpu";

    public long PreferredActivationBytes => 1 << 20;

    public IDeviceMemory? Memory => null;

    public string Description =>
        $"CPU, {Threads} thread{(Threads == 1 ? "" : "s")}, "
        + $"{(Vector512.IsHardwareAccelerated ? "512" : Vector256.IsHardwareAccelerated ? "256" : "128")}-bit vectors"
        + (Fma.IsSupported || System.Runtime.Intrinsics.Arm.AdvSimd.IsSupported ? "" : " without fused multiply-add");

    /// <inheritdoc/>
    public KernelTimes? KernelTimes
    {
        get => _pool.Times;
        set => _pool.Times = value;
    }

    /// <summary>Nothing is ever under way: operations return when they are done.</summary>
    public void Wait() { }

    public void Dispose() => _pool.Dispose();

    public WeightTensor AllocateWeights(string name, int rows, int columns) => new CpuWeights(name, rows, columns);

    public IReadOnlyList<WeightTensor> AllocateWeights(IReadOnlyList<(string Name, int Rows, int Columns)> tensors) =>
        [.. tensors.Select(tensor => AllocateWeights(tensor.Name, tensor.Rows, tensor.Columns))];

    public WeightList ListWeights(string name, IReadOnlyList<WeightTensor> tensors) => new CpuWeightList(name, tensors);

    public ActivationTensor AllocateActivations(string name, int sequences, int tokens, int channels) =>
        new CpuActivations(name, sequences, tokens, channels);

    public SelectionTensor AllocateSelection(string name, int sequences, int tokens, int channels) =>
        new CpuSelection(name, sequences, tokens, channels);

    public SavedForBackward AllocateSavedForBackward(string name, int sequences, int tokens, int channels) =>
        new CpuSavedForBackward(name, sequences, tokens, channels);

    public ScalarTensor AllocateScalars(string name, int count) => new CpuScalars(name, count);

    public TokenTensor AllocateTokens(string name, int sequences, int tokens) => new CpuTokens(name, sequences, tokens);

    public KeyValueCache AllocateKeyValueCache(string name, int sequences, int tokens, int channels) =>
        new CpuKeyValueCache(name, sequences, tokens, channels);

    public void Write(WeightTensor target, ReadOnlySpan<float> values)
    {
        RequireLength(target, target.Length, values.Length);
        values.CopyTo(Changed(target).Values);
    }

    public void Read(WeightTensor source, Span<float> values)
    {
        RequireLength(source, source.Length, values.Length);
        Of(source).Values.CopyTo(values);
    }

    public void Read(IReadOnlyList<WeightTensor> sources, Span<float> values)
    {
        for (int i = 0; i < sources.Count; i++)
        {
            Of(sources[i]).Values.CopyTo(values);
            values = values[sources[i].Length..];
        }
    }

    public void Fetch(params ReadOnlySpan<ScalarTensor> scalars)
    {
        foreach (ScalarTensor tensor in scalars)
        {
            Of(tensor).Fetch();
        }
    }

    public void Write(ActivationTensor target, ReadOnlySpan<float> values)
    {
        RequireLength(target, target.Length, values.Length);
        CpuActivations cpu = Of(target);
        for (int tile = 0; tile < cpu.Tiles; tile++)
        {
            int valid = cpu.ValidLanes(tile);
            int token = FirstToken(cpu, tile);
            for (int channel = 0; channel < cpu.Channels; channel++)
            {
                float* lanes = cpu.Lanes(tile, channel);
                for (int lane = 0; lane < cpu.Width; lane++)
                {
                    lanes[lane] = lane < valid ? values[((token + lane) * cpu.Channels) + channel] : 0f;
                }
            }
        }
    }

    public void Read(ActivationTensor source, Span<float> values)
    {
        RequireLength(source, source.Length, values.Length);
        if (((CpuActivations)source).IsSingleToken)
        {
            SingleToken.Values((CpuActivations)source).CopyTo(values);
            return;
        }

        CpuActivations cpu = Of(source);
        for (int tile = 0; tile < cpu.Tiles; tile++)
        {
            int valid = cpu.ValidLanes(tile);
            int token = FirstToken(cpu, tile);
            for (int channel = 0; channel < cpu.Channels; channel++)
            {
                float* lanes = cpu.Lanes(tile, channel);
                for (int lane = 0; lane < valid; lane++)
                {
                    values[((token + lane) * cpu.Channels) + channel] = lanes[lane];
                }
            }
        }
    }

    public void Write(TokenTensor target, ReadOnlySpan<int> values)
    {
        RequireLength(target, target.Length, values.Length);
        values.CopyTo(new Span<int>(Of(target).Data, values.Length));
    }

    public void Zero(WeightTensor target) => Elementwise.Zero(_pool, Changed(target));

    public void Zero(ActivationTensor target) => Elementwise.Zero(_pool, Of(target));

    public void Copy(ActivationTensor source, ActivationTensor target) => Elementwise.Copy(_pool, RowOrLanes(source), RowOrLanes(target));

    public void Add(ActivationTensor a, ActivationTensor b, ActivationTensor sum) =>
        Elementwise.Add(_pool, RowOrLanes(a), RowOrLanes(b), RowOrLanes(sum));

    public void EmbeddingForward(
        TokenTensor tokens,
        WeightTensor tokenEmbedding,
        WeightTensor? positionEmbedding,
        ActivationTensor output,
        int firstPosition
    ) => Embedding.Forward(_pool, Of(tokens), Of(tokenEmbedding), OfOptional(positionEmbedding), RowOrLanes(output), firstPosition);

    public void EmbeddingBackward(
        TokenTensor tokens,
        ActivationTensor outputGradient,
        WeightTensor tokenEmbeddingGradient,
        WeightTensor? positionEmbeddingGradient
    ) =>
        Embedding.Backward(
            _pool,
            Of(tokens),
            Of(outputGradient),
            Changed(tokenEmbeddingGradient),
            ChangedOptional(positionEmbeddingGradient)
        );

    public void PositionForward(WeightTensor positionEmbedding, ActivationTensor output, int firstPosition) =>
        Embedding.PositionForward(_pool, Of(positionEmbedding), RowOrLanes(output), firstPosition);

    public void PositionBackward(ActivationTensor outputGradient, WeightTensor positionEmbeddingGradient) =>
        Embedding.PositionBackward(_pool, Of(outputGradient), Changed(positionEmbeddingGradient));

    public void NormForward(
        NormKind kind,
        ActivationTensor input,
        WeightTensor weight,
        WeightTensor? bias,
        ActivationTensor output,
        ActivationTensor statistics,
        bool isScaleFrozen
    ) =>
        Norm.Forward(
            _pool,
            kind,
            RowOrLanes(input),
            Of(weight),
            OfOptional(bias),
            RowOrLanes(output),
            RowOrLanes(statistics),
            isScaleFrozen
        );

    public void NormBackward(
        NormKind kind,
        ActivationTensor input,
        ActivationTensor statistics,
        WeightTensor weight,
        ActivationTensor outputGradient,
        ActivationTensor inputGradient,
        WeightTensor? weightGradient,
        WeightTensor? biasGradient,
        bool isScaleFrozen
    ) =>
        Norm.Backward(
            _pool,
            kind,
            Of(input),
            Of(statistics),
            Of(weight),
            Of(outputGradient),
            Of(inputGradient),
            ChangedOptional(weightGradient),
            ChangedOptional(biasGradient),
            isScaleFrozen
        );

    public void LinearForward(ActivationTensor input, WeightTensor weight, WeightTensor? bias, ActivationTensor output) =>
        Linear.Forward(_pool, RowOrLanes(input), Of(weight), OfOptional(bias), RowOrLanes(output));

    public void LinearBackwardInput(WeightTensor weight, ActivationTensor outputGradient, ActivationTensor inputGradient) =>
        Linear.BackwardInput(_pool, Of(weight), Of(outputGradient), Of(inputGradient));

    public void LinearBackwardWeight(ActivationTensor input, ActivationTensor outputGradient, WeightTensor weightGradient) =>
        LinearWeightGradient.Run(_pool, Of(input), Of(outputGradient), Changed(weightGradient));

    public void LinearBackwardBias(ActivationTensor outputGradient, WeightTensor biasGradient) =>
        ChannelReduction.AccumulateSums(_pool, Of(outputGradient), Changed(biasGradient).Data);

    public void AbsTopKForward(ActivationTensor values, int keep, SelectionTensor selection) =>
        AbsTopK.Forward(_pool, RowOrLanes(values), keep, (CpuSelection)selection);

    public void AbsTopKBackward(SelectionTensor selection, ActivationTensor gradient) =>
        AbsTopK.Backward(_pool, (CpuSelection)selection, Of(gradient));

    public void ActivationForward(ActivationKind kind, ActivationTensor input, ActivationTensor output) =>
        Activation.Forward(_pool, kind, RowOrLanes(input), RowOrLanes(output));

    public void ActivationBackward(ActivationKind kind, ActivationTensor input, ActivationTensor gradient) =>
        Activation.Backward(_pool, kind, Of(input), Of(gradient));

    public void SaveForActivationBackward(ActivationKind kind, ActivationTensor input, SelectionTensor? selection, SavedForBackward kept) =>
        Activation.Keep(_pool, kind, Of(input), (CpuSelection?)selection, (CpuSavedForBackward)kept);

    public void ActivationBackward(ActivationKind kind, SavedForBackward input, ActivationTensor gradient) =>
        Activation.Backward(_pool, (CpuSavedForBackward)input, Of(gradient));

    public void AttentionForward(
        ActivationTensor query,
        ActivationTensor key,
        ActivationTensor value,
        int heads,
        WeightTensor? sinkLogits,
        ActivationTensor output,
        ActivationTensor logSumExp
    ) => Attention.Forward(_pool, Of(query), Of(key), Of(value), heads, OfOptional(sinkLogits), Of(output), Of(logSumExp));

    public void AttentionBackward(
        ActivationTensor query,
        ActivationTensor key,
        ActivationTensor value,
        int heads,
        WeightTensor? sinkLogits,
        ActivationTensor output,
        ActivationTensor logSumExp,
        ActivationTensor outputGradient,
        ActivationTensor queryGradient,
        ActivationTensor keyGradient,
        ActivationTensor valueGradient,
        WeightTensor? sinkGradient
    ) =>
        Attention.Backward(
            _pool,
            Of(query),
            Of(key),
            Of(value),
            heads,
            OfOptional(sinkLogits),
            Of(output),
            Of(logSumExp),
            Of(outputGradient),
            Of(queryGradient),
            Of(keyGradient),
            Of(valueGradient),
            ChangedOptional(sinkGradient)
        );

    public void CachedAttentionForward(
        ActivationTensor query,
        ActivationTensor key,
        ActivationTensor value,
        int heads,
        WeightTensor? sinkLogits,
        KeyValueCache cache,
        int position,
        ActivationTensor output
    ) =>
        CachedAttention.Forward(
            _pool,
            RowOrLanes(query),
            RowOrLanes(key),
            RowOrLanes(value),
            heads,
            OfOptional(sinkLogits),
            (CpuKeyValueCache)cache,
            position,
            RowOrLanes(output)
        );

    public void BigramForward(TokenTensor tokens, WeightTensor table, ActivationTensor logits) =>
        Loss.BigramForward(_pool, Of(tokens), Of(table), RowOrLanes(logits));

    public void BigramBackward(TokenTensor tokens, ActivationTensor logitsGradient, WeightTensor tableGradient) =>
        Loss.BigramBackward(_pool, Of(tokens), Of(logitsGradient), Changed(tableGradient));

    public void CrossEntropy(
        ActivationTensor logits,
        TokenTensor targets,
        ActivationTensor losses,
        ActivationTensor? logitsGradient,
        float gradientScale
    ) => Loss.CrossEntropy(_pool, Of(logits), Of(targets), Of(losses), OfOptional(logitsGradient), gradientScale);

    public void Sum(ActivationTensor values, ScalarTensor sums, int index) => Of(sums).Values[index] = Loss.Sum(Of(values));

    public void GatherTokens(ActivationTensor input, TokenTensor positions, ActivationTensor output) =>
        Embedding.Gather(_pool, RowOrLanes(input), Of(positions), RowOrLanes(output));

    public void ScatterTokens(ActivationTensor outputGradient, TokenTensor positions, ActivationTensor inputGradient) =>
        Embedding.ScatterGradient(_pool, Of(outputGradient), Of(positions), Of(inputGradient));

    public void KullbackLeibler(
        ActivationTensor targetLogits,
        ActivationTensor logits,
        ActivationTensor losses,
        ActivationTensor? logitsGradient,
        float gradientScale
    ) => Cpu.KullbackLeibler.Run(_pool, Of(targetLogits), Of(logits), Of(losses), OfOptional(logitsGradient), gradientScale);

    public void NormalisedErrorForward(ActivationTensor prediction, ActivationTensor target, ScalarTensor sums, int index) =>
        NormalisedError.Forward(_pool, Of(prediction), Of(target), Of(sums).Values.AsSpan(index, 2));

    public void NormalisedErrorBackward(
        ActivationTensor prediction,
        ActivationTensor target,
        ScalarTensor sums,
        int index,
        float gradientScale,
        ActivationTensor? predictionGradient,
        ActivationTensor? targetGradient
    ) =>
        NormalisedError.Backward(
            _pool,
            Of(prediction),
            Of(target),
            (float)Of(sums).Values[index + 1],
            gradientScale,
            OfOptional(predictionGradient),
            OfOptional(targetGradient)
        );

    public void GateForward(
        ActivationTensor input,
        WeightTensor mask,
        WeightTensor mean,
        ActivationTensor output,
        SavedForBackward? kept = null
    ) => Gate.Forward(_pool, Of(input), Of(mask), Of(mean), Of(output), (CpuSavedForBackward?)kept);

    public void GateBackward(
        SavedForBackward input,
        WeightTensor mask,
        WeightTensor mean,
        ActivationTensor gradient,
        WeightTensor maskGradient
    ) => Gate.Backward(_pool, (CpuSavedForBackward)input, Of(mask), Of(mean), Of(gradient), Changed(maskGradient));

    public void ChannelSums(ActivationTensor input, Span<double> sums)
    {
        RequireLength(input, input.Channels, sums.Length);
        ChannelReduction.AddChannelSums(_pool, Of(input), sums);
    }

    public void RootMeanSquare(WeightList tensors, ScalarTensor results, int index) =>
        Of(results).Values[index] = AdamW.RootMeanSquare(_pool, tensors.Tensors);

    public void AdamStep(
        WeightList weights,
        WeightList gradients,
        WeightList firstMoments,
        WeightList secondMoments,
        float gradientScale,
        float learningRate,
        float beta1,
        float beta2,
        float epsilon,
        int step
    )
    {
        for (int i = 0; i < weights.Tensors.Count; i++)
        {
            AdamW.Step(
                _pool,
                Changed(weights.Tensors[i]),
                Changed(gradients.Tensors[i]),
                Changed(firstMoments.Tensors[i]),
                Changed(secondMoments.Tensors[i]),
                gradientScale,
                learningRate,
                beta1,
                beta2,
                epsilon,
                step
            );
        }
    }

    public void MoveInto(WeightList sources, WeightList targets)
    {
        for (int i = 0; i < sources.Tensors.Count; i++)
        {
            Elementwise.MoveInto(_pool, Changed(sources.Tensors[i]), Changed(targets.Tensors[i]));
        }
    }

    public void Scale(WeightList weights, float factor)
    {
        for (int i = 0; i < weights.Tensors.Count; i++)
        {
            CpuWeights own = Of(weights.Tensors[i]);
            own.Sparse.Scale(_pool, own, factor);
        }
    }

    public void KeepLargest(WeightList weights, ReadOnlySpan<WeightBudget> budgets)
    {
        for (int i = 0; i < weights.Tensors.Count; i++)
        {
            if (budgets[i].Keep != weights.Tensors[i].Length)
            {
                WeightTopK.KeepLargest(_pool, Changed(weights.Tensors[i]), budgets[i]);
            }
        }
    }

    public int CountNonzero(WeightTensor weights) => Elementwise.CountNonzero(Of(weights).Values);

    private static CpuWeights Of(WeightTensor tensor) => (CpuWeights)tensor;

    private static CpuWeights? OfOptional(WeightTensor? tensor) => (CpuWeights?)tensor;

    /// <summary>For weights that the operation writes: their lists of nonzero entries are to be made anew.</summary>
    private static CpuWeights Changed(WeightTensor tensor)
    {
        CpuWeights weights = Of(tensor);
        weights.Changed();
        return weights;
    }

    private static CpuWeights? ChangedOptional(WeightTensor? tensor) => tensor is null ? null : Changed(tensor);

    private static CpuActivations Of(ActivationTensor tensor) => ((CpuActivations)tensor).InLanes();

    /// <summary>For operations that take a single token's row, and look after where the numbers are by themselves.</summary>
    private static CpuActivations RowOrLanes(ActivationTensor tensor) => (CpuActivations)tensor;

    private static CpuActivations? OfOptional(ActivationTensor? tensor) => tensor is null ? null : Of(tensor);

    private static CpuScalars Of(ScalarTensor tensor) => (CpuScalars)tensor;

    private static CpuTokens Of(TokenTensor tensor) => (CpuTokens)tensor;

    private static int FirstToken(CpuActivations tensor, int tile) =>
        (tile / tensor.TilesPerSequence * tensor.Tokens) + (tile % tensor.TilesPerSequence * tensor.Width);

    private static void RequireLength(DeviceTensor tensor, int expected, int given)
    {
        if (expected != given)
        {
            throw new ArgumentException($"{tensor.Name} holds {expected} numbers, but {given} were given.");
        }
    }
}
