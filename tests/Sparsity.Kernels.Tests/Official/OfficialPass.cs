using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;

namespace Sparsity.Kernels.Tests.Official;

/// <summary>
/// A model of the official code with a gradient for each parameter, and one batch going through it with every site recorded.
/// </summary>
internal sealed class OfficialPass : IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly Transformer _model;
    private readonly ForwardState _forward;
    private readonly BackwardState _backward;
    private readonly HeadState _head;

    /// <param name="engine">Where it runs.</param>
    /// <param name="folder">Of any layout that is read.</param>
    /// <param name="batch">B and T.</param>
    /// <param name="changed">What the configuration is changed to; null to take it as it is.</param>
    public OfficialPass(IComputeEngine engine, string folder, int[] batch, Func<ModelConfig, ModelConfig>? changed = null)
    {
        _engine = engine;
        using (StoredModel stored = StoredModel.Open(folder))
        {
            Parameters = new ModelParameters(engine, changed is null ? stored.Config : changed(stored.Config), _ => true);
            foreach (Parameter parameter in Parameters.All)
            {
                engine.Write(parameter.Value, stored.Values(parameter.Spec));
            }
        }

        _model = new Transformer(Parameters);
        _forward = _model.CreateForwardState(batch[0], batch[1]);
        _backward = _model.CreateBackwardState(batch[0], batch[1]);
        _head = new HeadState(engine, Parameters.Config, batch[0], batch[1], _forward.TokenIds);
        Recorder = new ActivationRecorder(engine, _ => true);
        _forward.Hooks.Add(Recorder);
    }

    public ModelParameters Parameters { get; }

    public ActivationRecorder Recorder { get; }

    /// <summary>What acts before <see cref="Recorder"/> looks.</summary>
    public void AddHook(ISiteHook hook) => _forward.Hooks.Insert(0, hook);

    /// <summary>Undoes <see cref="AddHook"/>.</summary>
    public void RemoveHook(ISiteHook hook) => _forward.Hooks.Remove(hook);

    /// <summary>[B,T] token ids to logits.</summary>
    public void Forward(int[] tokens)
    {
        _engine.Write(_forward.TokenIds, tokens);
        _model.Forward(_forward);
        _model.Head.Forward(_forward.FinalResidual, _head);
    }

    /// <summary>[B,T,V].</summary>
    public float[] Logits()
    {
        var logits = new float[_head.Logits.Length];
        _engine.Read(_head.Logits, logits);
        return logits;
    }

    /// <summary>Mean over the targets that are not negative.</summary>
    public float MeanLoss(int[] targets, bool withGradient = false)
    {
        int counted = targets.Count(target => target >= 0);
        _engine.Write(_head.Targets, targets);
        _head.CrossEntropy(counted, withGradient);
        return (float)(_head.ReadLossSum() / counted);
    }

    /// <summary>Takes a gradient [B,T,V] of another loss for that of <see cref="MeanLoss"/>.</summary>
    public void SetLogitsGradient(float[] gradient) => _engine.Write(_head.Logits, gradient);

    /// <summary>From the gradient of the last <see cref="MeanLoss"/> to all parameters.</summary>
    public void Backward()
    {
        _model.Head.Backward(_forward.FinalResidual, _head, _backward.Residual);
        _model.Backward(_forward, _backward);
    }

    /// <summary>Each token's successor; -1 for the last of each sequence.</summary>
    public static int[] NextTokens(int[] tokens, int length) =>
        [.. Enumerable.Range(0, tokens.Length).Select(i => i % length == length - 1 ? -1 : tokens[i + 1])];

    public void Dispose()
    {
        _forward.Dispose();
        _backward.Dispose();
        _head.Dispose();
        Parameters.Dispose();
    }
}
