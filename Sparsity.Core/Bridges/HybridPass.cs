using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;

namespace Sparsity.Core.Bridges;

/// <summary>
/// A model run from a residual that did not come from its own sublayers: put there, then the sublayers from that place on, then the head.
/// </summary>
internal sealed class HybridPass : IDisposable
{
    private readonly Transformer _model;
    private readonly LanguageModelLoss _loss;

    /// <param name="model">The model that receives residuals.</param>
    /// <param name="sequences">B.</param>
    /// <param name="tokens">T.</param>
    public HybridPass(Transformer model, int sequences, int tokens)
    {
        _model = model;
        _loss = new LanguageModelLoss(model, sequences, tokens);
    }

    /// <summary>[B,T,V] of the last run, or their gradient.</summary>
    public ActivationTensor Logits => _loss.Head.Logits;

    /// <summary>Takes a batch's tokens [B,T]: bigram tables, positions and targets need them.</summary>
    public void Load(ReadOnlySpan<int> tokens)
    {
        _loss.Load(tokens);
        _model.Embed(_loss.Forward); // for concatenated positions; its residual is overwritten by a location's
    }

    /// <summary>
    /// [B,T,D], to be overwritten before <see cref="Run"/>: the residual that sublayer <paramref name="location"/> reads; 2L for the final
    /// one.
    /// </summary>
    public ActivationTensor Residual(int location) => _loss.Forward.Residuals[location];

    /// <summary>From the residual at <paramref name="location"/> to the logits.</summary>
    public void Run(int location)
    {
        for (int sublayer = location; sublayer < _model.Sublayers; sublayer++)
        {
            _model.ForwardSublayer(_loss.Forward, sublayer);
        }

        _model.Head.Forward(_loss.Forward.FinalResidual, _loss.Head);
    }

    /// <summary>Mean next-token cross-entropy of the last run; waits for the device.</summary>
    public double CrossEntropy() => _loss.CrossEntropy();

    /// <summary>
    /// From the gradient of the logits, in their place: overwrites gradients.Residual with that of the residual at
    /// <paramref name="location"/>; accumulates into the parameters' gradients where they have them.
    /// </summary>
    public void Backward(int location, BackwardState gradients)
    {
        _model.Head.Backward(_loss.Forward.FinalResidual, _loss.Head, gradients.Residual);
        for (int sublayer = _model.Sublayers - 1; sublayer >= location; sublayer--)
        {
            _model.BackwardSublayer(_loss.Forward, gradients, sublayer);
        }
    }

    public void Dispose() => _loss.Dispose();
}
