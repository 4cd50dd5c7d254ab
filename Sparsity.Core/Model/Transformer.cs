using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>
/// The model of docs/method.md section 1, sublayer by sublayer: sublayer 2l is layer l's attention, 2l+1 its MLP. Whoever composes calls
/// them in order, and may start from any residual. Backward goes the same way back; gradients of parameters accumulate wherever these have
/// them.
/// </summary>
public sealed class Transformer
{
    private readonly IComputeEngine _engine;
    private readonly AttentionSublayer[] _attention;
    private readonly MlpSublayer[] _mlp;

    public Transformer(ModelParameters parameters)
    {
        Parameters = parameters;
        Config = parameters.Config;
        _engine = parameters.Engine;
        _attention = [.. Enumerable.Range(0, Config.NLayer).Select(layer => new AttentionSublayer(this, layer))];
        _mlp = [.. Enumerable.Range(0, Config.NLayer).Select(layer => new MlpSublayer(this, layer))];
        Head = new OutputHead(parameters);
    }

    public ModelParameters Parameters { get; }

    public ModelConfig Config { get; }

    internal OutputHead Head { get; }

    /// <summary>2L.</summary>
    internal int Sublayers => 2 * Config.NLayer;

    /// <param name="sequences">B.</param>
    /// <param name="tokens">T, at most block_size.</param>
    /// <param name="cache">The tokens that came before, for generation.</param>
    internal ForwardState CreateForwardState(int sequences, int tokens, AttentionCache? cache = null) =>
        new(_engine, Config, sequences, tokens, keepsInputs: Parameters.Trained.Any(), cache);

    /// <summary>Checks token ids that come from outside: engines use them as row numbers without a check.</summary>
    /// <exception cref="BadInputException">One is no id of the vocabulary.</exception>
    /// <exception cref="ObjectDisposedException">The parameters are gone.</exception>
    internal void RequireIds(ReadOnlySpan<int> tokens)
    {
        ObjectDisposedException.ThrowIf(Parameters.IsDisposed, this);
        foreach (int token in tokens)
        {
            if ((uint)token >= (uint)Config.VocabSize)
            {
                throw new BadInputException($"token {token} is outside 0 to {Config.VocabSize - 1}, the model's vocabulary.");
            }
        }
    }

    internal BackwardState CreateBackwardState(int sequences, int tokens) => new(_engine, Config, sequences, tokens);

    /// <summary>From token ids to final_resid.</summary>
    internal void Forward(ForwardState state)
    {
        Embed(state);
        for (int sublayer = 0; sublayer < Sublayers; sublayer++)
        {
            ForwardSublayer(state, sublayer);
        }
    }

    /// <summary>
    /// The same where only the final_resid of some tokens is wanted: behind the last attention nothing looks at the others, and nothing is
    /// computed for them.
    /// </summary>
    /// <param name="state">All tokens [B,T].</param>
    /// <param name="positions">[B,P]: those wanted.</param>
    /// <param name="picked">Takes them over, as in <see cref="IComputeEngine.GatherTokens"/>; its final_resid is the result.</param>
    internal void Forward(ForwardState state, TokenTensor positions, ForwardState picked)
    {
        int lastAttention = Sublayers - 2;
        Embed(state);
        for (int sublayer = 0; sublayer < lastAttention; sublayer++)
        {
            ForwardSublayer(state, sublayer);
        }

        _attention[^1].ForwardHeads(state, state.Residuals[lastAttention]);
        _engine.GatherTokens(state.Residuals[lastAttention], positions, picked.Residuals[lastAttention]);
        _engine.GatherTokens(state.Attention[^1].Output, positions, picked.Attention[^1].Output);
        if (state.Positions is not null)
        {
            _engine.GatherTokens(state.Positions, positions, picked.Positions!);
        }

        _attention[^1].ForwardProjection(picked);
        AddDelta(picked, lastAttention);
        ForwardSublayer(picked, lastAttention + 1);
    }

    /// <summary>From the gradient of final_resid, in <paramref name="gradients"/>.Residual, to the embeddings.</summary>
    /// <param name="finished">Called after each sublayer, and with -1 after the embeddings: gradients of parameters with that
    /// <see cref="ParameterSpec.Sublayer"/> are done.</param>
    internal void Backward(ForwardState state, BackwardState gradients, Action<int>? finished = null)
    {
        if (gradients.Positions is not null)
        {
            _engine.Zero(gradients.Positions);
        }

        for (int sublayer = Sublayers - 1; sublayer >= 0; sublayer--)
        {
            BackwardSublayer(state, gradients, sublayer);
            finished?.Invoke(sublayer);
        }

        BackwardEmbed(state, gradients);
        finished?.Invoke(-1);
    }

    /// <summary>
    /// From the gradient of final_resid in <paramref name="pickedGradients"/>.Residual, after the forward pass of the same tokens.
    /// Gradients of position embeddings are not carried over: for frozen models.
    /// </summary>
    internal void BackwardPicked(
        ForwardState state,
        BackwardState gradients,
        TokenTensor positions,
        ForwardState picked,
        BackwardState pickedGradients
    )
    {
        int lastAttention = Sublayers - 2;
        BackwardSublayer(picked, pickedGradients, lastAttention + 1);
        BackwardDelta(picked, pickedGradients, lastAttention);
        _attention[^1].BackwardProjection(picked, pickedGradients);
        _engine.ScatterTokens(pickedGradients.Residual, positions, gradients.Residual);
        _engine.ScatterTokens(pickedGradients.AttentionOutput, positions, gradients.AttentionOutput);
        _attention[^1].BackwardHeads(state, gradients, state.Residuals[lastAttention]);
        for (int sublayer = lastAttention - 1; sublayer >= 0; sublayer--)
        {
            BackwardSublayer(state, gradients, sublayer);
        }

        BackwardEmbed(state, gradients);
    }

    /// <summary>Token ids to the first residual; overwrites it.</summary>
    internal void Embed(ForwardState state)
    {
        bool concatenated = Config.DPosEmb is not null;
        WeightTensor positions = Parameters[ParameterNames.Position].Value;
        int first = state.Cache?.Length ?? 0;
        _engine.EmbeddingForward(
            state.TokenIds,
            Parameters[ParameterNames.Token].Value,
            concatenated ? null : positions,
            state.Residuals[0],
            first
        );
        if (concatenated)
        {
            _engine.PositionForward(positions, state.Positions!, first);
        }

        AfterSite(state, SiteOfResidual(Config, 0), state.Residuals[0]);
    }

    /// <summary>Reads residual <paramref name="sublayer"/>, overwrites the next.</summary>
    internal void ForwardSublayer(ForwardState state, int sublayer)
    {
        if (sublayer % 2 == 0)
        {
            _attention[sublayer / 2].ForwardHeads(state, state.Residuals[sublayer]);
            _attention[sublayer / 2].ForwardProjection(state);
        }
        else
        {
            _mlp[sublayer / 2].Forward(state, state.Residuals[sublayer]);
        }

        AddDelta(state, sublayer);
    }

    private void AddDelta(ForwardState state, int sublayer)
    {
        ActivationTensor output = state.Residuals[sublayer + 1];
        _engine.Add(state.Residuals[sublayer], state.ResidualDelta, output);
        if (Config.ResidualActivationType == "relu")
        {
            _engine.ActivationForward(ActivationKind.Relu, output, output);
        }

        AfterSite(state, SiteOfResidual(Config, sublayer + 1), output);
    }

    /// <summary>
    /// Turns gradients.Residual from the gradient of residual <paramref name="sublayer"/> + 1 into that of residual
    /// <paramref name="sublayer"/>.
    /// </summary>
    internal void BackwardSublayer(ForwardState state, BackwardState gradients, int sublayer)
    {
        BackwardDelta(state, gradients, sublayer);
        if (sublayer % 2 == 0)
        {
            _attention[sublayer / 2].BackwardProjection(state, gradients);
            _attention[sublayer / 2].BackwardHeads(state, gradients, state.Residuals[sublayer]);
        }
        else
        {
            _mlp[sublayer / 2].Backward(state, gradients, state.Residuals[sublayer]);
        }
    }

    /// <summary>From the gradient of residual <paramref name="sublayer"/> + 1 to that of what the sublayer added to it.</summary>
    private void BackwardDelta(ForwardState state, BackwardState gradients, int sublayer)
    {
        BeforeSite(state, SiteOfResidual(Config, sublayer + 1), gradients.Residual);
        if (Config.ResidualActivationType == "relu")
        {
            // The output is zero wherever the sum was not positive; where AbsTopK zeroed it the gradient is zero already.
            _engine.ActivationBackward(ActivationKind.Relu, state.Residuals[sublayer + 1], gradients.Residual);
        }

        _engine.Copy(gradients.Residual, gradients.ResidualDelta);
    }

    /// <summary>From the gradient of the first residual into those of the embeddings.</summary>
    internal void BackwardEmbed(ForwardState state, BackwardState gradients)
    {
        BeforeSite(state, SiteOfResidual(Config, 0), gradients.Residual);
        WeightTensor? positionGradient = Parameters[ParameterNames.Position].Gradient;
        if (Parameters[ParameterNames.Token].Gradient is { } tokenGradient)
        {
            _engine.EmbeddingBackward(state.TokenIds, gradients.Residual, tokenGradient, Config.DPosEmb is null ? positionGradient : null);
        }

        if (gradients.Positions is not null && positionGradient is not null)
        {
            _engine.PositionBackward(gradients.Positions, positionGradient);
        }
    }

    /// <summary>The site at which residual i is seen.</summary>
    internal static Site SiteOfResidual(ModelConfig config, int i) =>
        i == 2 * config.NLayer ? Site.Final : new Site(i / 2, i % 2 == 0 ? SiteKind.ResidIn : SiteKind.ResidMid);

    /// <summary>Everything that acts at a site, forward: AbsTopK, then the hooks.</summary>
    internal void AfterSite(ForwardState state, Site site, ActivationTensor activation)
    {
        if (state.Selections.TryGetValue(site, out (SelectionTensor Chosen, int Kept) selection))
        {
            _engine.AbsTopKForward(activation, selection.Kept, selection.Chosen);
        }

        for (int i = 0; i < state.Hooks.Count; i++)
        {
            state.Hooks[i].Forward(site, activation);
        }
    }

    /// <summary>Everything that acts at a site, backward: the hooks in reverse, then AbsTopK.</summary>
    internal void BeforeSite(ForwardState state, Site site, ActivationTensor gradient)
    {
        for (int i = state.Hooks.Count - 1; i >= 0; i--)
        {
            state.Hooks[i].Backward(site, gradient);
        }

        if (state.Selections.TryGetValue(site, out (SelectionTensor Chosen, int Kept) selection))
        {
            _engine.AbsTopKBackward(selection.Chosen, gradient);
        }
    }
}
