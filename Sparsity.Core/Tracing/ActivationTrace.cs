using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Tracing;

/// <summary>What a model computes for a batch of tokens: activations under their official hook names, logits, loss, and the loss's gradients.</summary>
public sealed class ActivationTrace
{
    private const string GradientPrefix = "grad/";

    private readonly ModelConfig _config;
    private readonly int[] _tokens;
    private readonly int _sequences;

    private ActivationTrace(ModelConfig config, int[] tokens, int sequences, float[] logits, double? loss, ActivationRecorder recorder)
    {
        _config = config;
        _tokens = tokens;
        _sequences = sequences;
        Logits = logits;
        Loss = loss;
        Activations = recorder.Activations;
        Gradients = recorder.Gradients;
    }

    /// <summary>[B,T,V].</summary>
    public IReadOnlyList<float> Logits { get; }

    /// <summary>Mean next-token cross-entropy in nats over the T-1 predicted positions of each sequence; null for a single token.</summary>
    public double? Loss { get; }

    /// <summary>[B,T,C] by site, after AbsTopK and interventions.</summary>
    public IReadOnlyDictionary<Site, float[]> Activations { get; }

    /// <summary>[B,T,C] by site: the derivative of <see cref="Loss"/> with respect to the activation; empty where not asked for.</summary>
    public IReadOnlyDictionary<Site, float[]> Gradients { get; }

    /// <param name="model">The model.</param>
    /// <param name="tokens">[B,T] in row-major order, checked.</param>
    /// <param name="sequences">B.</param>
    /// <param name="isWanted">Which sites to record.</param>
    /// <param name="interventions">What to change, if anything.</param>
    /// <param name="withGradients">Whether to record gradients too; T must be at least 2.</param>
    public static ActivationTrace Run(Transformer model, int[] tokens, int sequences, Func<Site, bool> isWanted, ISiteHook? interventions, bool withGradients)
    {
        IComputeEngine engine = model.Parameters.Engine;
        int length = tokens.Length / sequences;
        using ForwardState forward = model.CreateForwardState(sequences, length);
        using var head = new HeadState(engine, model.Config, sequences, length, forward.TokenIds);
        var recorder = new ActivationRecorder(engine, isWanted);
        if (interventions is not null)
        {
            forward.Hooks.Add(interventions);
        }

        forward.Hooks.Add(recorder);
        engine.Write(forward.TokenIds, tokens);
        engine.Write(head.Targets, [.. Enumerable.Range(0, tokens.Length).Select(i => i % length == length - 1 ? -1 : tokens[i + 1])]);
        model.Forward(forward);
        model.Head.Forward(forward.FinalResidual, head);
        var logits = new float[head.Logits.Length];
        engine.Read(head.Logits, logits);
        foreach (float logit in logits)
        {
            _ = NumericalException.RequireFinite(logit, "a logit");
        }

        int counted = sequences * (length - 1);
        double? loss = null;
        if (counted > 0)
        {
            head.CrossEntropy(counted, withGradients);
            loss = head.ReadLossSum() / counted;
        }

        if (withGradients)
        {
            using BackwardState backward = model.CreateBackwardState(sequences, length);
            model.Head.Backward(forward.FinalResidual, head, backward.Residual);
            model.Backward(forward, backward);
        }

        return new ActivationTrace(model.Config, tokens, sequences, logits, loss, recorder);
    }

    /// <summary>Writes safetensors: tokens, logits, loss, each activation under its hook name and each gradient under "grad/" and that name.</summary>
    public void Write(string path)
    {
        int length = _tokens.Length / _sequences;
        var tensors = new List<TensorToWrite>
        {
            TensorToWrite.Of("tokens", [_sequences, length], () => _tokens),
            TensorToWrite.Of("logits", [_sequences, length, _config.VocabSize], () => [.. Logits]),
        };
        if (Loss is { } loss)
        {
            tensors.Add(TensorToWrite.Of("loss", [], () => new[] { (float)loss }));
        }

        foreach (Site site in Site.AllOf(_config))
        {
            int[] shape = [_sequences, length, _config.ChannelsAt(site.Kind)];
            if (Activations.TryGetValue(site, out float[]? values))
            {
                tensors.Add(TensorToWrite.Of(site.Name, shape, () => values));
            }

            if (Gradients.TryGetValue(site, out float[]? gradients))
            {
                tensors.Add(TensorToWrite.Of(GradientPrefix + site.Name, shape, () => gradients));
            }
        }

        Safetensors.Write(path, tensors, new Dictionary<string, string> { ["format"] = "pt", ["format_version"] = $"{FileFormat.Version}" });
    }
}
