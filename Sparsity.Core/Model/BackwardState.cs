using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>The gradients in flight during a backward pass over a batch [B,T].</summary>
internal sealed class BackwardState : IDisposable
{
    private readonly ModelConfig _config;
    private readonly PassMemory _memory;

    public BackwardState(IComputeEngine engine, ModelConfig config, int sequences, int tokens)
        : this(new PassMemory(engine, sequences, tokens), config) { }

    private BackwardState(PassMemory memory, ModelConfig config)
    {
        _memory = memory;
        _config = config;
        Residual = Allocate("gradient of the residual", config.DModel);
        ResidualDelta = Allocate("gradient of the residual delta", config.DModel);
        Input = Allocate("gradient of act_in", config.SublayerInputChannels);
        InputResidual = Input.Slice(0, config.DModel);
        QueryKeyValue = Allocate("gradient of qkv", 3 * config.AttentionChannels);
        Query = QueryKeyValue.Slice(0, config.AttentionChannels);
        Key = QueryKeyValue.Slice(config.AttentionChannels, config.AttentionChannels);
        Value = QueryKeyValue.Slice(2 * config.AttentionChannels, config.AttentionChannels);
        AttentionOutput = Allocate("gradient of y", config.AttentionChannels);
        Neurons = Allocate("gradient of post_act", config.DMlp);
        if (config.DPosEmb is { } channels)
        {
            InputPositions = Input.Slice(config.DModel, channels);
            Positions = Allocate("gradient of position embeddings", channels);
        }

        ActivationTensor Allocate(string name, int count) => memory.Activation(name, count);
    }

    /// <summary>[B,T,D]: gradient of the residual at the place the pass has reached.</summary>
    public ActivationTensor Residual { get; }

    internal ActivationTensor ResidualDelta { get; }

    internal ActivationTensor Input { get; }

    internal ActivationTensor InputResidual { get; }

    internal ActivationTensor? InputPositions { get; }

    internal ActivationTensor QueryKeyValue { get; }

    internal ActivationTensor Query { get; }

    internal ActivationTensor Key { get; }

    internal ActivationTensor Value { get; }

    internal ActivationTensor AttentionOutput { get; }

    internal ActivationTensor Neurons { get; }

    internal ActivationTensor? Positions { get; }

    /// <inheritdoc cref="ForwardState.Shortened"/>
    public BackwardState Shortened(int tokens) => new(_memory.Shortened(tokens), _config);

    public void Dispose() => _memory.Dispose();
}
