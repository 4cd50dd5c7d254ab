using ILGPU;
using ILGPU.Runtime;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>The engine for GPUs: ILGPU kernels on one device, launched one behind the other; only reading results waits for them.</summary>
internal sealed class GpuEngine : IMeasuredEngine, IDeviceMemory
{
    /// <summary>NVIDIA's, and AMD's of gaming cards.</summary>
    private const int UsualWarpSize = 32;

    private readonly GpuDevice _device;
    private float[] _fetched = [];

    internal GpuEngine(GpuDevice device, string name, string description)
    {
        _device = device;
        Name = name;
        Description = description;
    }

    public string Name { get; }

    public string Description { get; }

    /// <summary>What is wrong with the device, though it can be used; null if nothing is.</summary>
    public string? Warning { get; init; }

    public long PreferredActivationBytes => long.MaxValue;

    public IDeviceMemory Memory => this;

    /// <summary>Bytes of device memory in use: tensors and workspaces.</summary>
    public long AllocatedBytes => _device.AllocatedBytes;

    public long TotalBytes => _device.MemorySize;

    public long FreeBytes => _device.FreeMemory;

    public long PeakBytes => _device.PeakBytes;

    public IComputeEngine CreateCounter() => new GpuEngine(_device.CreateCounter(), Name, Description + ", counted only");

    /// <summary>An engine that counts what one on a GPU of no particular kind, and without limits to its kernels, would take.</summary>
    public static GpuEngine CreateUsualCounter() =>
        new(new GpuDevice(null, null, long.MaxValue, UsualWarpSize, rowThreads: 0) { HasLimits = false }, "gpu", "any GPU, counted only");

    /// <summary>Whether dense products are on tensor cores.</summary>
    internal bool UsesTensorCores => _device.TensorPrecision is not null;

    /// <inheritdoc cref="TensorProductCheck.Difference{TUnit}"/>
    internal double TensorCoreDifference(GpuPrecision precision) => TensorProductCheck.Difference<TensorCores>(_device, precision);

    /// <summary>For benchmarks of the device itself.</summary>
    internal Accelerator Accelerator => _device.Accelerator;

    /// <inheritdoc/>
    public KernelTimes? KernelTimes
    {
        get => _device.KernelTimes;
        set => _device.KernelTimes = value;
    }

    public void Wait() => _device.Wait();

    public void Dispose() => _device.Dispose();

    public WeightTensor AllocateWeights(string name, int rows, int columns) => AllocateWeights([(name, rows, columns)])[0];

    public IReadOnlyList<WeightTensor> AllocateWeights(IReadOnlyList<(string Name, int Rows, int Columns)> tensors)
    {
        var allocated = new List<WeightTensor>(tensors.Count);
        while (allocated.Count < tensors.Count)
        {
            (string Name, int Rows, int Columns)[] rest = [.. tensors.Skip(allocated.Count)];
            int[] lengths = [.. rest.Select(tensor => TensorSize.Of(tensor.Name, tensor.Rows, tensor.Columns))];
            int count = Arena<float>.HowManyFit(lengths);
            string name = rest[0].Name + (count == 1 ? "" : $" and {count - 1} more");
            var arena = new Arena<float>(_device, name, lengths[..count]);
            allocated.AddRange(
                rest.Take(count).Select((tensor, i) => new GpuWeights(_device, arena, i, tensor.Name, tensor.Rows, tensor.Columns))
            );
        }

        return allocated;
    }

    public WeightList ListWeights(string name, IReadOnlyList<WeightTensor> tensors) => new GpuWeightList(_device, name, tensors);

    public ActivationTensor AllocateActivations(string name, int sequences, int tokens, int channels) =>
        new GpuActivations(_device, name, sequences, tokens, channels);

    public SelectionTensor AllocateSelection(string name, int sequences, int tokens, int channels) =>
        new GpuSelection(_device, name, sequences, tokens, channels);

    public SavedForBackward AllocateSavedForBackward(string name, int sequences, int tokens, int channels) =>
        new GpuSavedForBackward(new GpuActivations(_device, name, sequences, tokens, channels));

    public ScalarTensor AllocateScalars(string name, int count) => new GpuScalars(_device, name, count);

    public TokenTensor AllocateTokens(string name, int sequences, int tokens) => new GpuTokens(_device, name, sequences, tokens);

    public KeyValueCache AllocateKeyValueCache(string name, int sequences, int tokens, int channels) =>
        new GpuKeyValueCache(_device, name, sequences, tokens, channels);

    public void Write(WeightTensor target, ReadOnlySpan<float> values)
    {
        RequireLength(target, target.Length, values.Length);
        GpuWeights weights = Of(target);
        _device.Write(weights.View, values);
        weights.Changed(values.Length - values.Count(0f));
    }

    public void Read(WeightTensor source, Span<float> values)
    {
        RequireLength(source, source.Length, values.Length);
        _device.Read(Of(source).View, values);
    }

    public void Read(IReadOnlyList<WeightTensor> sources, Span<float> values)
    {
        ArrayView<float> gathered = Staging(values.Length);
        int at = 0;
        for (int i = 0; i < sources.Count; i++)
        {
            _device.Copy(Of(sources[i]).View, gathered.SubView(at, sources[i].Length));
            at += sources[i].Length;
        }

        if (at != values.Length)
        {
            throw new ArgumentException($"The tensors hold {at} numbers, but {values.Length} were asked for.");
        }

        _device.Read(gathered, values);
    }

    public void Fetch(params ReadOnlySpan<ScalarTensor> scalars)
    {
        int length = 0;
        foreach (ScalarTensor tensor in scalars)
        {
            length += (int)Of(tensor).View.Length;
        }

        ArrayView<float> gathered = Staging(length);
        int at = 0;
        foreach (ScalarTensor tensor in scalars)
        {
            ArrayView<float> view = Of(tensor).View;
            _device.Copy(view, gathered.SubView(at, (int)view.Length));
            at += (int)view.Length;
        }

        if (_fetched.Length < length)
        {
            _fetched = new float[length];
        }

        Span<float> parts = _fetched.AsSpan(0, length);
        _device.Read(gathered, parts);
        foreach (ScalarTensor tensor in scalars)
        {
            int own = (int)Of(tensor).View.Length;
            Of(tensor).Fetch(parts[..own]);
            parts = parts[own..];
        }
    }

    public void Write(ActivationTensor target, ReadOnlySpan<float> values)
    {
        RequireLength(target, target.Length, values.Length);
        GpuActivations activations = Written(target);
        if (activations.HasNoGaps)
        {
            _device.Write(activations.View, values);
            return;
        }

        ArrayView<float> staged = Staging(target.Length);
        _device.Write(staged, values);
        Elementwise.Copy(_device, staged, activations);
    }

    public void Read(ActivationTensor source, Span<float> values)
    {
        RequireLength(source, source.Length, values.Length);
        GpuActivations activations = Of(source);
        if (activations.HasNoGaps)
        {
            _device.Read(activations.View, values);
            return;
        }

        ArrayView<float> staged = Staging(source.Length);
        Elementwise.Copy(_device, activations, staged);
        _device.Read(staged, values);
    }

    public void Write(TokenTensor target, ReadOnlySpan<int> values)
    {
        GpuTokens tokens = Of(target);
        RequireLength(target, tokens.Length, values.Length);
        _device.Write(tokens.View, values);
        tokens.Changed();
    }

    public void Zero(WeightTensor target)
    {
        GpuWeights weights = Of(target);
        _device.Clear(weights.View);
        weights.Changed(0);
    }

    public void Zero(ActivationTensor target) => Elementwise.Zero(_device, Written(target));

    public void Copy(ActivationTensor source, ActivationTensor target) => Elementwise.Copy(_device, Of(source), Written(target));

    public void Add(ActivationTensor a, ActivationTensor b, ActivationTensor sum) => Elementwise.Add(_device, Of(a), Of(b), Written(sum));

    public void EmbeddingForward(
        TokenTensor tokens,
        WeightTensor tokenEmbedding,
        WeightTensor? positionEmbedding,
        ActivationTensor output,
        int firstPosition
    ) => Embedding.Forward(_device, Of(tokens), Of(tokenEmbedding), OfOptional(positionEmbedding), Written(output), firstPosition);

    public void EmbeddingBackward(
        TokenTensor tokens,
        ActivationTensor outputGradient,
        WeightTensor tokenEmbeddingGradient,
        WeightTensor? positionEmbeddingGradient
    ) =>
        Embedding.Backward(
            _device,
            Of(tokens),
            Of(outputGradient),
            Written(tokenEmbeddingGradient),
            WrittenOptional(positionEmbeddingGradient)
        );

    public void PositionForward(WeightTensor positionEmbedding, ActivationTensor output, int firstPosition) =>
        Embedding.PositionForward(_device, Of(positionEmbedding), Written(output), firstPosition);

    public void PositionBackward(ActivationTensor outputGradient, WeightTensor positionEmbeddingGradient) =>
        Embedding.PositionBackward(_device, Of(outputGradient), Written(positionEmbeddingGradient));

    public void NormForward(
        NormKind kind,
        ActivationTensor input,
        WeightTensor weight,
        WeightTensor? bias,
        ActivationTensor output,
        ActivationTensor statistics,
        bool isScaleFrozen
    ) => Norm.Forward(_device, kind, Of(input), Of(weight), OfOptional(bias), Written(output), Written(statistics), isScaleFrozen);

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
            _device,
            kind,
            Of(input),
            Of(statistics),
            Of(weight),
            Of(outputGradient),
            Written(inputGradient),
            WrittenOptional(weightGradient),
            WrittenOptional(biasGradient),
            isScaleFrozen
        );

    public void LinearForward(ActivationTensor input, WeightTensor weight, WeightTensor? bias, ActivationTensor output) =>
        Linear.Forward(_device, Of(input), Of(weight), OfOptional(bias), Written(output));

    public void LinearBackwardInput(WeightTensor weight, ActivationTensor outputGradient, ActivationTensor inputGradient) =>
        Linear.BackwardInput(_device, Of(weight), Of(outputGradient), Written(inputGradient));

    public void LinearBackwardWeight(ActivationTensor input, ActivationTensor outputGradient, WeightTensor weightGradient) =>
        Linear.BackwardWeight(_device, Of(input), Of(outputGradient), Written(weightGradient));

    public void LinearBackwardBias(ActivationTensor outputGradient, WeightTensor biasGradient) =>
        ChannelReduction.AccumulateSums(_device, Of(outputGradient), Written(biasGradient));

    public void AbsTopKForward(ActivationTensor values, int keep, SelectionTensor selection) =>
        AbsTopK.Forward(_device, Of(values), keep, (GpuSelection)selection);

    public void AbsTopKBackward(SelectionTensor selection, ActivationTensor gradient) =>
        AbsTopK.Backward(_device, (GpuSelection)selection, Of(gradient));

    public void ActivationForward(ActivationKind kind, ActivationTensor input, ActivationTensor output) =>
        Activation.Forward(_device, kind, Of(input), Written(output));

    public void ActivationBackward(ActivationKind kind, ActivationTensor input, ActivationTensor gradient) =>
        Activation.Backward(_device, kind, Of(input), Of(gradient));

    public void SaveForActivationBackward(ActivationKind kind, ActivationTensor input, SelectionTensor? selection, SavedForBackward kept)
    {
        _device.RunHeld(); // knows its tensors, not their memory
        ((GpuSavedForBackward)kept).Values.ExchangeMemory(Of(input));
    }

    public void ActivationBackward(ActivationKind kind, SavedForBackward input, ActivationTensor gradient) =>
        ActivationBackward(kind, ((GpuSavedForBackward)input).Values, gradient);

    public void AttentionForward(
        ActivationTensor query,
        ActivationTensor key,
        ActivationTensor value,
        int heads,
        WeightTensor? sinkLogits,
        ActivationTensor output,
        ActivationTensor logSumExp
    ) => Attention.Forward(_device, Of(query), Of(key), Of(value), heads, OfOptional(sinkLogits), Written(output), Written(logSumExp));

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
            _device,
            Of(query),
            Of(key),
            Of(value),
            heads,
            OfOptional(sinkLogits),
            Of(output),
            Of(logSumExp),
            Of(outputGradient),
            Written(queryGradient),
            Written(keyGradient),
            Written(valueGradient),
            WrittenOptional(sinkGradient)
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
            _device,
            Of(query),
            Of(key),
            Of(value),
            heads,
            OfOptional(sinkLogits),
            (GpuKeyValueCache)cache,
            position,
            Written(output)
        );

    public void BigramForward(TokenTensor tokens, WeightTensor table, ActivationTensor logits) =>
        Loss.BigramForward(_device, Of(tokens), Of(table), Of(logits));

    public void BigramBackward(TokenTensor tokens, ActivationTensor logitsGradient, WeightTensor tableGradient) =>
        Loss.BigramBackward(_device, Of(tokens), Of(logitsGradient), Written(tableGradient));

    public void CrossEntropy(
        ActivationTensor logits,
        TokenTensor targets,
        ActivationTensor losses,
        ActivationTensor? logitsGradient,
        float gradientScale
    ) => Loss.CrossEntropy(_device, Of(logits), Of(targets), Written(losses), WrittenOptional(logitsGradient), gradientScale);

    public void Sum(ActivationTensor values, ScalarTensor sums, int index) => ScalarSums.Sum(_device, Of(values), Of(sums), index);

    public void GatherTokens(ActivationTensor input, TokenTensor positions, ActivationTensor output) =>
        Embedding.Gather(_device, Of(input), Of(positions), Written(output));

    public void ScatterTokens(ActivationTensor outputGradient, TokenTensor positions, ActivationTensor inputGradient) =>
        Embedding.ScatterGradient(_device, Of(outputGradient), Of(positions), Written(inputGradient));

    public void KullbackLeibler(
        ActivationTensor targetLogits,
        ActivationTensor logits,
        ActivationTensor losses,
        ActivationTensor? logitsGradient,
        float gradientScale
    ) => Gpu.KullbackLeibler.Run(_device, Of(targetLogits), Of(logits), Written(losses), WrittenOptional(logitsGradient), gradientScale);

    public void NormalisedErrorForward(ActivationTensor prediction, ActivationTensor target, ScalarTensor sums, int index) =>
        NormalisedError.Forward(_device, Of(prediction), Of(target), Of(sums), index);

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
            _device,
            Of(prediction),
            Of(target),
            Of(sums),
            index,
            gradientScale,
            WrittenOptional(predictionGradient),
            WrittenOptional(targetGradient)
        );

    public void GateForward(
        ActivationTensor input,
        WeightTensor mask,
        WeightTensor mean,
        ActivationTensor output,
        SavedForBackward? kept = null
    )
    {
        if (kept is not null)
        {
            Copy(input, ((GpuSavedForBackward)kept).Values);
        }

        Gate.Forward(_device, Of(input), Of(mask), Of(mean), Written(output));
    }

    public void GateBackward(
        SavedForBackward input,
        WeightTensor mask,
        WeightTensor mean,
        ActivationTensor gradient,
        WeightTensor maskGradient
    ) => Gate.Backward(_device, ((GpuSavedForBackward)input).Values, Of(mask), Of(mean), Of(gradient), Written(maskGradient));

    public void ChannelSums(ActivationTensor input, Span<double> sums)
    {
        RequireLength(input, input.Channels, sums.Length);
        ChannelReduction.AddChannelSums(_device, Of(input), sums);
    }

    public void RootMeanSquare(WeightList tensors, ScalarTensor results, int index) =>
        AdamW.RootMeanSquare(_device, Of(tensors), Of(results), index);

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
    ) =>
        AdamW.Step(
            Written(weights),
            Written(gradients),
            Written(firstMoments),
            Written(secondMoments),
            gradientScale,
            learningRate,
            beta1,
            beta2,
            epsilon,
            step
        );

    public void MoveInto(WeightList sources, WeightList targets) => Elementwise.MoveInto(Written(sources), Written(targets));

    public void Scale(WeightList weights, float factor) => Elementwise.Scale(Of(weights), factor);

    public void KeepLargest(WeightList weights, ReadOnlySpan<WeightBudget> budgets) =>
        WeightTopK.KeepLargest(_device, Of(weights), budgets);

    public int CountNonzero(WeightTensor weights) => Elementwise.CountNonzero(_device, Of(weights));

    private static GpuWeights Of(WeightTensor tensor) => (GpuWeights)tensor;

    private static GpuWeights? OfOptional(WeightTensor? tensor) => (GpuWeights?)tensor;

    private static GpuWeightList Of(WeightList list) => (GpuWeightList)list;

    private static GpuActivations Of(ActivationTensor tensor) => (GpuActivations)tensor;

    private static GpuActivations? OfOptional(ActivationTensor? tensor) => (GpuActivations?)tensor;

    /// <summary>
    /// For a tensor that an operation writes: any entry may differ from zero afterwards, and lists of nonzero entries no longer hold. An
    /// operation that knows better says so itself.
    /// </summary>
    private static GpuWeights Written(WeightTensor tensor)
    {
        GpuWeights weights = Of(tensor);
        weights.Changed(weights.Length);
        return weights;
    }

    private static GpuWeightList Written(WeightList list)
    {
        for (int i = 0; i < list.Tensors.Count; i++)
        {
            Written(list.Tensors[i]);
        }

        return Of(list);
    }

    private static GpuWeights? WrittenOptional(WeightTensor? tensor) => tensor is null ? null : Written(tensor);

    private static GpuActivations Written(ActivationTensor tensor)
    {
        GpuActivations activations = Of(tensor);
        activations.IsMostlyZero = false;
        return activations;
    }

    private static GpuActivations? WrittenOptional(ActivationTensor? tensor) => tensor is null ? null : Written(tensor);

    private static GpuScalars Of(ScalarTensor tensor) => (GpuScalars)tensor;

    private static GpuTokens Of(TokenTensor tensor) => (GpuTokens)tensor;

    private static void RequireLength(DeviceTensor tensor, int expected, int given)
    {
        if (expected != given)
        {
            throw new ArgumentException($"{tensor.Name} holds {expected} numbers, but {given} were given.");
        }
    }

    /// <summary>Exactly so much of a workspace: copies take the length of the view.</summary>
    private ArrayView<float> Staging(int length) => _device.Workspace<float>("staging", length).SubView(0, length);
}
