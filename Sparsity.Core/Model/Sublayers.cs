using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>What attention and MLP have in common: the norm of the residual, with concatenated positions, and the linear layers.</summary>
internal abstract class Sublayer(Transformer model, int layer, string norm, string positionNorm, SiteKind inputSite)
{
    private readonly WeightAndBias _norm = WeightAndBias.Of(model, layer, norm);
    private readonly WeightAndBias? _positionNorm = model.Config.DPosEmb is null ? null : WeightAndBias.Of(model, layer, positionNorm);

    protected Transformer Model { get; } = model;

    protected IComputeEngine Engine { get; } = model.Parameters.Engine;

    protected int Layer { get; } = layer;

    /// <summary>Overwrites state.Input: norm(residual), then norm(positions).</summary>
    protected void ForwardInput(ForwardState state, SublayerState sublayer, ActivationTensor residual)
    {
        (ActivationTensor normed, ActivationTensor? positions) = sublayer.InputParts;
        Engine.NormForward(
            Model.Config.NormKind,
            residual,
            _norm.Weight.Value,
            _norm.Bias?.Value,
            normed,
            sublayer.NormStatistics,
            state.AreNormScalesFrozen
        );
        if (positions is not null)
        {
            // The same in every pass, frozen or not.
            Engine.NormForward(
                Model.Config.NormKind,
                state.Positions!,
                _positionNorm!.Weight.Value,
                _positionNorm.Bias?.Value,
                positions,
                sublayer.PositionStatistics!
            );
        }

        Model.AfterSite(state, new Site(Layer, inputSite), sublayer.Input);
    }

    /// <summary>
    /// From gradients.Input; accumulates into gradients.Residual and gradients.Positions, and into the gradients of the sublayer's vectors:
    /// of its norms, and of the biases of its linear layers, whose outputs' gradients are still there. All are sums over tokens, which a
    /// device can take at once.
    /// </summary>
    protected void BackwardInput(
        ForwardState state,
        BackwardState gradients,
        SublayerState sublayer,
        ActivationTensor residual,
        (WeightAndBias Linear, ActivationTensor OutputGradient) first,
        (WeightAndBias Linear, ActivationTensor OutputGradient) second
    )
    {
        Model.BeforeSite(state, new Site(Layer, inputSite), gradients.Input);
        Engine.NormBackward(
            Model.Config.NormKind,
            residual,
            sublayer.NormStatistics,
            _norm.Weight.Value,
            gradients.InputResidual,
            gradients.Residual,
            _norm.Weight.Gradient,
            _norm.Bias?.Gradient,
            state.AreNormScalesFrozen
        );
        BackwardBias(first.Linear, first.OutputGradient);
        BackwardBias(second.Linear, second.OutputGradient);
        if (gradients.InputPositions is not null)
        {
            Engine.NormBackward(
                Model.Config.NormKind,
                state.Positions!,
                sublayer.PositionStatistics!,
                _positionNorm!.Weight.Value,
                gradients.InputPositions,
                gradients.Positions!,
                _positionNorm.Weight.Gradient,
                _positionNorm.Bias?.Gradient
            );
        }
    }

    protected void ForwardLinear(WeightAndBias linear, ActivationTensor input, ActivationTensor output) =>
        Engine.LinearForward(input, linear.Weight.Value, linear.Bias?.Value, output);

    /// <summary>Overwrites <paramref name="inputGradient"/>; accumulates into the gradient of the weight where it has one.</summary>
    protected void BackwardLinear(
        WeightAndBias linear,
        ActivationTensor input,
        ActivationTensor outputGradient,
        ActivationTensor inputGradient
    )
    {
        if (linear.Weight.Gradient is not null)
        {
            Engine.LinearBackwardWeight(input, outputGradient, linear.Weight.Gradient);
        }

        Engine.LinearBackwardInput(linear.Weight.Value, outputGradient, inputGradient);
    }

    private void BackwardBias(WeightAndBias linear, ActivationTensor outputGradient)
    {
        if (linear.Bias?.Gradient is { } gradient)
        {
            Engine.LinearBackwardBias(outputGradient, gradient);
        }
    }
}

/// <summary>The parameters of a norm or a linear layer, looked up once.</summary>
internal sealed record WeightAndBias(Parameter Weight, Parameter? Bias)
{
    public static WeightAndBias Of(Transformer model, int layer, string name)
    {
        string prefix = ParameterNames.Layer(layer) + name;
        return new WeightAndBias(model.Parameters[prefix + ".weight"], model.Parameters.Find(prefix + ".bias"));
    }
}

/// <summary>act_in -> c_attn -> q, k, v -> attention -> y -> c_proj -> resid_delta (official CausalSelfAttention).</summary>
internal sealed class AttentionSublayer(Transformer model, int layer) : Sublayer(model, layer, "ln_1", "ln_p1", SiteKind.AttnActIn)
{
    private readonly WeightAndBias _attention = WeightAndBias.Of(model, layer, "attn.c_attn");
    private readonly WeightAndBias _projection = WeightAndBias.Of(model, layer, "attn.c_proj");
    private readonly Parameter? _sink = model.Parameters.Find(ParameterNames.Layer(layer) + "attn.attn_imp.sink_logit");

    /// <summary>Overwrites the layer's Output with y as the heads give it.</summary>
    public void ForwardHeads(ForwardState state, ActivationTensor residual)
    {
        AttentionState own = state.Attention[Layer];
        ForwardInput(state, own, residual);
        ForwardLinear(_attention, own.Input, own.QueryKeyValue);
        Model.AfterSite(state, new Site(Layer, SiteKind.AttnQ), own.Query);
        Model.AfterSite(state, new Site(Layer, SiteKind.AttnK), own.Key);
        Model.AfterSite(state, new Site(Layer, SiteKind.AttnV), own.Value);
        if (state.Cache is { } cache)
        {
            Engine.CachedAttentionForward(
                own.Query,
                own.Key,
                own.Value,
                Model.Config.NHead,
                _sink?.Value,
                cache.Layers[Layer],
                cache.Length,
                own.Output
            );
        }
        else
        {
            Engine.AttentionForward(own.Query, own.Key, own.Value, Model.Config.NHead, _sink?.Value, own.Output, own.LogSumExp);
        }

        own.HeadOutput = own.Output;
    }

    /// <summary>From the layer's Output, which goes through its site in place; overwrites state.ResidualDelta.</summary>
    public void ForwardProjection(ForwardState state)
    {
        AttentionState own = state.Attention[Layer];
        var site = new Site(Layer, SiteKind.AttnY);
        if (state.Cache is null && state.IsChangedByHooks(site))
        {
            own.HeadOutput = own.OutputBeforeHooks;
            Engine.Copy(own.Output, own.OutputBeforeHooks);
        }

        Model.AfterSite(state, site, own.Output);
        ForwardLinear(_projection, own.Output, state.ResidualDelta);
        Model.AfterSite(state, new Site(Layer, SiteKind.AttnResidDelta), state.ResidualDelta);
    }

    /// <summary>From gradients.ResidualDelta; overwrites gradients.AttentionOutput.</summary>
    public void BackwardProjection(ForwardState state, BackwardState gradients)
    {
        AttentionState own = state.Attention[Layer];
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnResidDelta), gradients.ResidualDelta);
        BackwardLinear(_projection, own.Output, gradients.ResidualDelta, gradients.AttentionOutput);
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnY), gradients.AttentionOutput);
    }

    /// <summary>From gradients.AttentionOutput; accumulates into gradients.Residual.</summary>
    public void BackwardHeads(ForwardState state, BackwardState gradients, ActivationTensor residual)
    {
        AttentionState own = state.Attention[Layer];
        Engine.AttentionBackward(
            own.Query,
            own.Key,
            own.Value,
            Model.Config.NHead,
            _sink?.Value,
            own.HeadOutput,
            own.LogSumExp,
            gradients.AttentionOutput,
            gradients.Query,
            gradients.Key,
            gradients.Value,
            _sink?.Gradient
        );
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnV), gradients.Value);
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnK), gradients.Key);
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnQ), gradients.Query);
        BackwardLinear(_attention, own.Input, gradients.QueryKeyValue, gradients.Input);
        BackwardInput(state, gradients, own, residual, (_projection, gradients.ResidualDelta), (_attention, gradients.QueryKeyValue));
    }
}

/// <summary>act_in -> c_fc -> pre_act -> activation -> post_act -> c_proj -> resid_delta (official MLP).</summary>
internal sealed class MlpSublayer(Transformer model, int layer) : Sublayer(model, layer, "ln_2", "ln_p2", SiteKind.MlpActIn)
{
    private readonly WeightAndBias _neurons = WeightAndBias.Of(model, layer, "mlp.c_fc");
    private readonly WeightAndBias _projection = WeightAndBias.Of(model, layer, "mlp.c_proj");

    /// <summary>Overwrites state.ResidualDelta.</summary>
    public void Forward(ForwardState state, ActivationTensor residual)
    {
        MlpState own = state.Mlp[Layer];
        ForwardInput(state, own, residual);
        var site = new Site(Layer, SiteKind.MlpPostAct);
        ForwardLinear(_neurons, own.Input, state.PreActivation);
        Model.AfterSite(state, new Site(Layer, SiteKind.MlpPreAct), state.PreActivation);
        Engine.ActivationForward(Model.Config.ActivationKind, state.PreActivation, own.PostActivation);
        Model.AfterSite(state, site, own.PostActivation);
        if (state.Cache is null)
        {
            SelectionTensor? chosen = state.Selections.TryGetValue(site, out (SelectionTensor Chosen, int) selection)
                ? selection.Chosen
                : null;
            Engine.SaveForActivationBackward(Model.Config.ActivationKind, state.PreActivation, chosen, own.PreActivation);
        }

        ForwardLinear(_projection, own.PostActivation, state.ResidualDelta);
        Model.AfterSite(state, new Site(Layer, SiteKind.MlpResidDelta), state.ResidualDelta);
    }

    /// <summary>From gradients.ResidualDelta; accumulates into gradients.Residual.</summary>
    public void Backward(ForwardState state, BackwardState gradients, ActivationTensor residual)
    {
        MlpState own = state.Mlp[Layer];
        Model.BeforeSite(state, new Site(Layer, SiteKind.MlpResidDelta), gradients.ResidualDelta);
        BackwardLinear(_projection, own.PostActivation, gradients.ResidualDelta, gradients.Neurons);
        Model.BeforeSite(state, new Site(Layer, SiteKind.MlpPostAct), gradients.Neurons);
        Engine.ActivationBackward(Model.Config.ActivationKind, own.PreActivation, gradients.Neurons);
        Model.BeforeSite(state, new Site(Layer, SiteKind.MlpPreAct), gradients.Neurons);
        BackwardLinear(_neurons, own.Input, gradients.Neurons, gradients.Input);
        BackwardInput(state, gradients, own, residual, (_projection, gradients.ResidualDelta), (_neurons, gradients.Neurons));
    }
}
