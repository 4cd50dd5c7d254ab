using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>
/// The activations of one pass over a batch [B,T], kept for the backward pass; allocated once per batch shape and used again and again.
/// </summary>
internal sealed class ForwardState : IDisposable
{
    private readonly ModelConfig _config;
    private readonly bool _keepsInputs;
    private readonly PassMemory _memory;

    /// <param name="engine">Where they live.</param>
    /// <param name="config">The model.</param>
    /// <param name="sequences">B.</param>
    /// <param name="tokens">T, at most block_size.</param>
    /// <param name="keepsInputs">Whether each layer's act_in and post_act outlive the layer: only gradients of weights look back at
    /// them.</param>
    /// <param name="cache">The tokens that came before, for a pass without a backward; null where the sequences begin here.</param>
    public ForwardState(
        IComputeEngine engine,
        ModelConfig config,
        int sequences,
        int tokens,
        bool keepsInputs,
        AttentionCache? cache = null
    )
        : this(new PassMemory(engine, sequences, tokens), config, keepsInputs, cache) { }

    private ForwardState(PassMemory memory, ModelConfig config, bool keepsInputs, AttentionCache? cache)
    {
        _memory = memory;
        _config = config;
        _keepsInputs = keepsInputs;
        Cache = cache;
        TokenIds = memory.TokenIds("token ids");

        // With nothing to go back to, layers take turns with the same memory, which then stays in the processor's cache.
        int layers = cache is null ? config.NLayer : 1;
        ActivationTensor[] residuals = [.. Enumerable.Range(0, (2 * layers) + 1).Select(i => Activation($"residual {i}", config.DModel))];
        ActivationTensor? sharedInput = keepsInputs ? null : Activation("act_in", config.SublayerInputChannels);
        ActivationTensor? sharedPostActivation = keepsInputs ? null : Activation("post_act", config.DMlp);
        AttentionState[] attention = [.. Enumerable.Range(0, layers).Select(layer => new AttentionState(this, config, layer, sharedInput))];
        MlpState[] mlp =
        [
            .. Enumerable.Range(0, layers).Select(layer => new MlpState(this, config, layer, sharedInput, sharedPostActivation)),
        ];
        Residuals = [.. Enumerable.Range(0, (2 * config.NLayer) + 1).Select(i => residuals[i % residuals.Length])];
        Attention = [.. Enumerable.Range(0, config.NLayer).Select(layer => attention[layer % layers])];
        Mlp = [.. Enumerable.Range(0, config.NLayer).Select(layer => mlp[layer % layers])];
        ResidualDelta = Activation("residual delta", config.DModel);
        PreActivation = Activation("pre_act", config.DMlp);
        if (config.DPosEmb is { } channels)
        {
            Positions = Activation("position embeddings", channels);
        }

        var selections = new Dictionary<(int Layer, SiteKind Kind), SelectionTensor>();
        var selectionOf = new Dictionary<Site, (SelectionTensor, int)>();
        foreach (Site site in Site.AllOf(config).Where(site => config.KeptAt(site) is not null))
        {
            (int, SiteKind) key = (site.Layer % layers, site.Kind);
            if (!selections.TryGetValue(key, out SelectionTensor? selection))
            {
                selections[key] = selection = memory.Selection($"AbsTopK of {site}", config.ChannelsAt(site.Kind));
            }

            selectionOf[site] = (selection, config.KeptAt(site)!.Value);
        }

        Selections = selectionOf;
    }

    /// <summary>B.</summary>
    public int Sequences => _memory.Sequences;

    /// <summary>T.</summary>
    public int Tokens => _memory.Tokens;

    /// <summary>[B,T], to be written before the pass.</summary>
    public TokenTensor TokenIds { get; }

    /// <summary>What looks at or changes activations, in the order it is called; backward in reverse.</summary>
    public IList<ISiteHook> Hooks { get; } = [];

    /// <summary>
    /// Whether passes take the scale of each norm, token by token, from the pass before in place of their own residual's: for pruning,
    /// where hooks change the residual and are not to act through the norms. Not with a <see cref="Cache"/>, whose layers share their
    /// memory.
    /// </summary>
    public bool AreNormScalesFrozen { get; set; }

    /// <summary>
    /// What attention looks back to besides this state's own tokens, which follow on <see cref="AttentionCache.Length"/> others.
    /// </summary>
    internal AttentionCache? Cache { get; }

    /// <summary>[B,T,D] each: entry i is read by sublayer i; the last is final_resid.</summary>
    internal IReadOnlyList<ActivationTensor> Residuals { get; }

    internal IReadOnlyList<AttentionState> Attention { get; }

    internal IReadOnlyList<MlpState> Mlp { get; }

    /// <summary>[B,T,D], what the sublayer in progress adds.</summary>
    internal ActivationTensor ResidualDelta { get; }

    /// <summary>[B,T,F] before the nonlinearity of the MLP in progress.</summary>
    internal ActivationTensor PreActivation { get; }

    /// <summary>[B,T,d_pos_emb] where positions are concatenated.</summary>
    internal ActivationTensor? Positions { get; }

    internal IReadOnlyDictionary<Site, (SelectionTensor Chosen, int Kept)> Selections { get; }

    /// <summary>final_resid [B,T,D].</summary>
    public ActivationTensor FinalResidual => Residuals[^1];

    /// <summary>
    /// A state for passes over shorter sequences, in the memory of this one as far as the engine can: see
    /// <see cref="ActivationTensor.Shortened"/>.
    /// </summary>
    /// <param name="tokens">At most this one's.</param>
    public ForwardState Shortened(int tokens) => new(_memory.Shortened(tokens), _config, _keepsInputs, Cache);

    public void Dispose() => _memory.Dispose();

    internal ActivationTensor Activation(string name, int channels) => _memory.Activation(name, channels);

    internal bool IsChangedByHooks(Site site)
    {
        for (int i = 0; i < Hooks.Count; i++)
        {
            if (Hooks[i].Changes(site))
            {
                return true;
            }
        }

        return false;
    }

    internal SavedForBackward Kept(string name, int channels) => _memory.Kept(name, channels);
}

/// <summary>The normed input of a sublayer, with concatenated positions where the model has them.</summary>
internal abstract class SublayerState(ForwardState owner, ModelConfig config, string name, ActivationTensor? sharedInput)
{
    private readonly ActivationTensor _input = sharedInput ?? owner.Activation(name + ".act_in", config.SublayerInputChannels);

    /// <summary>[B,T,2].</summary>
    public ActivationTensor NormStatistics { get; } = owner.Activation(name + " norm", 2);

    /// <summary>[B,T,2] of the positions' own norm.</summary>
    public ActivationTensor? PositionStatistics { get; } = config.DPosEmb is null ? null : owner.Activation(name + " position norm", 2);

    /// <summary>act_in [B,T,D+d_pos_emb].</summary>
    public ActivationTensor Input => _input;

    /// <summary>Its first D channels, and the rest.</summary>
    public (ActivationTensor Residual, ActivationTensor? Positions) InputParts =>
        field.Residual is null
            ? field = (_input.Slice(0, config.DModel), config.DPosEmb is { } channels ? _input.Slice(config.DModel, channels) : null)
            : field;
}

internal sealed class AttentionState : SublayerState
{
    private readonly ForwardState _owner;

    public AttentionState(ForwardState owner, ModelConfig config, int layer, ActivationTensor? sharedInput)
        : base(owner, config, $"{layer}.attn", sharedInput)
    {
        int channels = config.AttentionChannels;
        _owner = owner;
        QueryKeyValue = owner.Activation($"{layer}.attn.qkv", 3 * channels);
        Query = QueryKeyValue.Slice(0, channels);
        Key = QueryKeyValue.Slice(channels, channels);
        Value = QueryKeyValue.Slice(2 * channels, channels);
        Output = HeadOutput = owner.Activation($"{layer}.attn.y", channels);
        LogSumExp = owner.Activation($"{layer}.attn log-sum-exp", config.NHead);
    }

    public ActivationTensor QueryKeyValue { get; }

    public ActivationTensor Query { get; }

    public ActivationTensor Key { get; }

    public ActivationTensor Value { get; }

    /// <summary>y [B,T,H*Dh].</summary>
    public ActivationTensor Output { get; }

    /// <summary>
    /// What the way back through the heads takes for y: AbsTopK's zeros do no harm, as no gradient comes from there, but a hook's changes
    /// would.
    /// </summary>
    public ActivationTensor HeadOutput { get; set; }

    /// <summary>A copy of y, for passes whose hooks change it.</summary>
    public ActivationTensor OutputBeforeHooks => field ??= _owner.Activation(Output.Name + " before hooks", Output.Channels);

    public ActivationTensor LogSumExp { get; }
}

internal sealed class MlpState(
    ForwardState owner,
    ModelConfig config,
    int layer,
    ActivationTensor? sharedInput,
    ActivationTensor? sharedPostActivation
) : SublayerState(owner, config, $"{layer}.mlp", sharedInput)
{
    /// <summary>[B,T,F], what the way back needs of the numbers before the nonlinearity.</summary>
    public SavedForBackward PreActivation { get; } = owner.Kept($"{layer}.mlp.pre_act", config.DMlp);

    /// <summary>post_act [B,T,F].</summary>
    public ActivationTensor PostActivation { get; } = sharedPostActivation ?? owner.Activation($"{layer}.mlp.post_act", config.DMlp);
}
