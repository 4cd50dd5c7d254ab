using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>
/// final_resid -> ln_f -> lm_head -> + final_logits_bias + bigram_table[token] -> logits, for all tokens of a batch or for picked ones.
/// </summary>
internal sealed class OutputHead(ModelParameters parameters)
{
    private readonly IComputeEngine _engine = parameters.Engine;
    private readonly ModelConfig _config = parameters.Config;

    /// <summary>Overwrites state.Logits.</summary>
    /// <param name="residual">[B,P,D].</param>
    /// <param name="state">Of the same B and P, with the token ids written if the model has a bigram table.</param>
    public void Forward(ActivationTensor residual, HeadState state)
    {
        _engine.NormForward(
            _config.NormKind,
            residual,
            FinalNorm.Value,
            FinalNormBias?.Value,
            state.Normed,
            state.NormStatistics,
            state.IsNormScaleFrozen
        );
        _engine.LinearForward(state.Normed, parameters.Unembedding.Value, parameters[ParameterNames.LogitsBias].Value, state.Logits);
        if (_config.EnableBigramTable)
        {
            _engine.BigramForward(state.TokenIds, parameters[ParameterNames.Bigram].Value, state.Logits);
        }
    }

    /// <summary>From the gradient of the logits, in state.Logits; overwrites <paramref name="residualGradient"/> [B,P,D].</summary>
    public void Backward(ActivationTensor residual, HeadState state, ActivationTensor residualGradient)
    {
        if (parameters.Find(ParameterNames.Bigram)?.Gradient is { } tableGradient)
        {
            _engine.BigramBackward(state.TokenIds, state.Logits, tableGradient);
        }

        if (parameters.Unembedding.Gradient is { } weightGradient)
        {
            _engine.LinearBackwardWeight(state.Normed, state.Logits, weightGradient);
        }

        _engine.LinearBackwardInput(parameters.Unembedding.Value, state.Logits, state.NormedGradient);
        _engine.Zero(residualGradient);
        _engine.NormBackward(
            _config.NormKind,
            residual,
            state.NormStatistics,
            FinalNorm.Value,
            state.NormedGradient,
            residualGradient,
            FinalNorm.Gradient,
            FinalNormBias?.Gradient,
            state.IsNormScaleFrozen
        );
    }

    private Parameter FinalNorm => parameters[ParameterNames.FinalNorm + ".weight"];

    private Parameter? FinalNormBias => parameters.Find(ParameterNames.FinalNorm + ".bias");
}

/// <summary>The head's activations for [B,P] tokens, and the mean cross-entropy there.</summary>
internal sealed class HeadState : IDisposable
{
    private readonly IComputeEngine _engine;

    /// <param name="engine">Where they live.</param>
    /// <param name="config">The model.</param>
    /// <param name="sequences">B.</param>
    /// <param name="tokens">P: tokens of each sequence that get logits.</param>
    /// <param name="tokenIds">The current tokens [B,P], where they already are in the engine's memory.</param>
    public HeadState(IComputeEngine engine, ModelConfig config, int sequences, int tokens, TokenTensor? tokenIds = null)
    {
        _engine = engine;
        OwnsTokenIds = tokenIds is null;
        TokenIds = tokenIds ?? engine.AllocateTokens("head token ids", sequences, tokens);
        Targets = engine.AllocateTokens("targets", sequences, tokens);
        NormStatistics = engine.AllocateActivations("ln_f statistics", sequences, tokens, 2);
        Normed = engine.AllocateActivations("ln_f", sequences, tokens, config.DModel);
        NormedGradient = engine.AllocateActivations("gradient of ln_f", sequences, tokens, config.DModel);
        Logits = engine.AllocateActivations("logits", sequences, tokens, config.VocabSize);
        Losses = engine.AllocateActivations("losses", sequences, tokens, 1);
        LossSum = engine.AllocateScalars("sum of the losses", 1);
    }

    /// <summary>[B,P]: the tokens whose successors are predicted; only read where the model has a bigram table.</summary>
    public TokenTensor TokenIds { get; }

    /// <summary>[B,P]: the next tokens; a negative one is not counted.</summary>
    public TokenTensor Targets { get; }

    /// <summary>As <see cref="ForwardState.AreNormScalesFrozen"/>, for ln_f.</summary>
    public bool IsNormScaleFrozen { get; set; }

    /// <summary>[B,P,V]; the backward pass puts its gradient in the same place.</summary>
    public ActivationTensor Logits { get; }

    /// <summary>[B,P,1]: -log probability of each target.</summary>
    public ActivationTensor Losses { get; }

    /// <summary>The sum of <see cref="Losses"/>.</summary>
    public ScalarTensor LossSum { get; }

    internal ActivationTensor NormStatistics { get; }

    internal ActivationTensor Normed { get; }

    internal ActivationTensor NormedGradient { get; }

    private bool OwnsTokenIds { get; }

    /// <summary>
    /// Losses and their sum from logits and targets; where a gradient is wanted, overwrites the logits with that of the mean over
    /// <paramref name="counted"/> targets.
    /// </summary>
    public void CrossEntropy(int counted, bool withGradient)
    {
        _engine.CrossEntropy(Logits, Targets, Losses, withGradient ? Logits : null, 1f / counted);
        _engine.Sum(Losses, LossSum, 0);
    }

    /// <summary>Sum of the losses; waits for the device.</summary>
    public double ReadLossSum()
    {
        _engine.Fetch(LossSum);
        return LossSum[0];
    }

    public void Dispose()
    {
        if (OwnsTokenIds)
        {
            TokenIds.Dispose();
        }

        foreach (DeviceTensor tensor in new DeviceTensor[] { Targets, NormStatistics, Normed, NormedGradient, Logits, Losses, LossSum })
        {
            tensor.Dispose();
        }
    }
}
