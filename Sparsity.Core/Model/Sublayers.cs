using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>What attention and MLP have in common: the norm of the residual, with concatenated positions, and the linear layers.</summary>
internal abstract class Sublayer(Transformer model, int layer, string norm, string positionNorm, SiteKind inputSite)
{
    protected Transformer Model { get; } = model;

    protected IComputeEngine Engine { get; } = model.Parameters.Engine;

    protected int Layer { get; } = layer;

    /// <summary>Overwrites state.Input: norm(residual), then norm(positions).</summary>
    protected void ForwardInput(ForwardState state, SublayerState sublayer, ActivationTensor residual)
    {
        (ActivationTensor normed, ActivationTensor? positions) = sublayer.InputParts;
        Engine.NormForward(Model.Config.NormKind, residual, Of(norm + ".weight").Value, Find(norm + ".bias")?.Value, normed, sublayer.NormStatistics);
        if (positions is not null)
        {
            Engine.NormForward(
                Model.Config.NormKind, state.Positions!, Of(positionNorm + ".weight").Value, Find(positionNorm + ".bias")?.Value, positions, sublayer.PositionStatistics!);
        }

        Model.AfterSite(state, new Site(Layer, inputSite), sublayer.Input);
    }

    /// <summary>From gradients.Input; accumulates into gradients.Residual and gradients.Positions.</summary>
    protected void BackwardInput(ForwardState state, BackwardState gradients, SublayerState sublayer, ActivationTensor residual)
    {
        Model.BeforeSite(state, new Site(Layer, inputSite), gradients.Input);
        Parameter weight = Of(norm + ".weight");
        Engine.NormBackward(
            Model.Config.NormKind, residual, sublayer.NormStatistics, weight.Value, gradients.InputResidual, gradients.Residual, weight.Gradient, Find(norm + ".bias")?.Gradient);
        if (gradients.InputPositions is not null)
        {
            weight = Of(positionNorm + ".weight");
            Engine.NormBackward(
                Model.Config.NormKind, state.Positions!, sublayer.PositionStatistics!, weight.Value, gradients.InputPositions, gradients.Positions!,
                weight.Gradient, Find(positionNorm + ".bias")?.Gradient);
        }
    }

    protected void ForwardLinear(string name, ActivationTensor input, ActivationTensor output) =>
        Engine.LinearForward(input, Of(name + ".weight").Value, Find(name + ".bias")?.Value, output);

    /// <summary>Overwrites <paramref name="inputGradient"/>; accumulates into the gradients of weight and bias where they have them.</summary>
    protected void BackwardLinear(string name, ActivationTensor input, ActivationTensor outputGradient, ActivationTensor inputGradient)
    {
        Parameter weight = Of(name + ".weight");
        if (weight.Gradient is not null)
        {
            Engine.LinearBackwardWeight(input, outputGradient, weight.Gradient, Find(name + ".bias")?.Gradient);
        }

        Engine.LinearBackwardInput(weight.Value, outputGradient, inputGradient);
    }

    protected Parameter? Find(string name) => Model.Parameters.Find(ParameterNames.Layer(Layer) + name);

    private Parameter Of(string name) => Model.Parameters[ParameterNames.Layer(Layer) + name];
}

/// <summary>act_in -> c_attn -> q, k, v -> attention -> y -> c_proj -> resid_delta (official CausalSelfAttention).</summary>
internal sealed class AttentionSublayer(Transformer model, int layer) : Sublayer(model, layer, "ln_1", "ln_p1", SiteKind.AttnActIn)
{
    private const string Sink = "attn.attn_imp.sink_logit";

    /// <summary>Overwrites state.ResidualDelta.</summary>
    public void Forward(ForwardState state, ActivationTensor residual)
    {
        AttentionState own = state.Attention[Layer];
        ForwardInput(state, own, residual);
        ForwardLinear("attn.c_attn", own.Input, own.QueryKeyValue);
        Model.AfterSite(state, new Site(Layer, SiteKind.AttnQ), own.Query);
        Model.AfterSite(state, new Site(Layer, SiteKind.AttnK), own.Key);
        Model.AfterSite(state, new Site(Layer, SiteKind.AttnV), own.Value);
        if (state.Cache is { } cache)
        {
            Engine.CachedAttentionForward(own.Query, own.Key, own.Value, Model.Config.NHead, Find(Sink)?.Value, cache.Layers[Layer], cache.Length, own.Output);
        }
        else
        {
            Engine.AttentionForward(own.Query, own.Key, own.Value, Model.Config.NHead, Find(Sink)?.Value, own.Output, own.LogSumExp);
        }

        Model.AfterSite(state, new Site(Layer, SiteKind.AttnY), own.Output);
        ForwardLinear("attn.c_proj", own.Output, state.ResidualDelta);
        Model.AfterSite(state, new Site(Layer, SiteKind.AttnResidDelta), state.ResidualDelta);
    }

    /// <summary>From gradients.ResidualDelta; accumulates into gradients.Residual.</summary>
    public void Backward(ForwardState state, BackwardState gradients, ActivationTensor residual)
    {
        AttentionState own = state.Attention[Layer];
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnResidDelta), gradients.ResidualDelta);
        BackwardLinear("attn.c_proj", own.Output, gradients.ResidualDelta, gradients.AttentionOutput);
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnY), gradients.AttentionOutput);
        Engine.AttentionBackward(
            own.Query, own.Key, own.Value, Model.Config.NHead, Find(Sink)?.Value, own.Output, own.LogSumExp,
            gradients.AttentionOutput, gradients.Query, gradients.Key, gradients.Value, Find(Sink)?.Gradient);
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnV), gradients.Value);
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnK), gradients.Key);
        Model.BeforeSite(state, new Site(Layer, SiteKind.AttnQ), gradients.Query);
        BackwardLinear("attn.c_attn", own.Input, gradients.QueryKeyValue, gradients.Input);
        BackwardInput(state, gradients, own, residual);
    }
}

/// <summary>act_in -> c_fc -> activation -> post_act -> c_proj -> resid_delta (official MLP).</summary>
internal sealed class MlpSublayer(Transformer model, int layer) : Sublayer(model, layer, "ln_2", "ln_p2", SiteKind.MlpActIn)
{
    /// <summary>Overwrites state.ResidualDelta.</summary>
    public void Forward(ForwardState state, ActivationTensor residual)
    {
        MlpState own = state.Mlp[Layer];
        ForwardInput(state, own, residual);
        ForwardLinear("mlp.c_fc", own.Input, own.PreActivation);
        Engine.ActivationForward(Model.Config.ActivationKind, own.PreActivation, own.PostActivation);
        Model.AfterSite(state, new Site(Layer, SiteKind.MlpPostAct), own.PostActivation);
        ForwardLinear("mlp.c_proj", own.PostActivation, state.ResidualDelta);
        Model.AfterSite(state, new Site(Layer, SiteKind.MlpResidDelta), state.ResidualDelta);
    }

    /// <summary>From gradients.ResidualDelta; accumulates into gradients.Residual.</summary>
    public void Backward(ForwardState state, BackwardState gradients, ActivationTensor residual)
    {
        MlpState own = state.Mlp[Layer];
        Model.BeforeSite(state, new Site(Layer, SiteKind.MlpResidDelta), gradients.ResidualDelta);
        BackwardLinear("mlp.c_proj", own.PostActivation, gradients.ResidualDelta, gradients.Neurons);
        Model.BeforeSite(state, new Site(Layer, SiteKind.MlpPostAct), gradients.Neurons);
        Engine.ActivationBackward(Model.Config.ActivationKind, own.PreActivation, gradients.Neurons);
        BackwardLinear("mlp.c_fc", own.Input, gradients.Neurons, gradients.Input);
        BackwardInput(state, gradients, own, residual);
    }
}
