using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;

namespace Sparsity.Core.Tracing;

/// <summary>
/// What a model computes for a batch of tokens: activations under their official hook names, logits, loss, and the loss's gradients.
/// </summary>
public sealed class ActivationTrace
{
    private const string GradientPrefix = "grad/";

    private readonly ModelConfig _config;
    private readonly int[] _tokens;
    private readonly int _sequences;
    private readonly float[] _logits;

    private ActivationTrace(ModelConfig config, int[] tokens, int sequences, float[] logits, double? loss, ActivationRecorder recorder)
    {
        _config = config;
        _tokens = tokens;
        _sequences = sequences;
        _logits = logits;
        Loss = loss;
        Activations = recorder.Activations;
        Gradients = recorder.Gradients;
    }

    /// <summary>[B,T,V].</summary>
    public IReadOnlyList<float> Logits => _logits;

    /// <summary>Mean next-token cross-entropy in nats over the T-1 predicted positions of each sequence; null for a single token.</summary>
    public double? Loss { get; }

    /// <summary>[V]: the logits of what follows a token.</summary>
    /// <param name="position">Of the token in its sequence, from 0.</param>
    /// <param name="sequence">From 0.</param>
    public ReadOnlySpan<float> LogitsAt(int position, int sequence = 0) => Row(_logits, _config.VocabSize, position, sequence);

    /// <summary>[C]: the activations of a recorded site at a token.</summary>
    /// <inheritdoc cref="LogitsAt"/>
    /// <exception cref="BadInputException">The site was not recorded.</exception>
    public ReadOnlySpan<float> ActivationsAt(Site site, int position, int sequence = 0) =>
        Activations.TryGetValue(site, out float[]? values)
            ? Row(values, _config.ChannelsAt(site.Kind), position, sequence)
            : throw new BadInputException($"{site} was not recorded. Record it with isWanted, or name a site that the model has.");

    /// <summary>[B,T,C] by site, after AbsTopK and interventions.</summary>
    public IReadOnlyDictionary<Site, float[]> Activations { get; }

    /// <summary>[B,T,C] by site: the derivative of <see cref="Loss"/> with respect to the activation; empty where not asked for.</summary>
    public IReadOnlyDictionary<Site, float[]> Gradients { get; }

    /// <param name="model">The model.</param>
    /// <param name="tokens">[B,T] in row-major order: ids of the vocabulary, T from 1 to block_size.</param>
    /// <param name="sequences">B, from 1.</param>
    /// <param name="isWanted">Which sites to record; null for all.</param>
    /// <param name="interventions">What to change, if anything.</param>
    /// <param name="withGradients">Whether to record gradients too; T must be at least 2.</param>
    /// <exception cref="BadInputException">The tokens make no sequences of one length that the model reads, or one is no id.</exception>
    /// <exception cref="NumericalException">A logit is not finite.</exception>
    public static ActivationTrace Run(
        Transformer model,
        int[] tokens,
        int sequences = 1,
        Func<Site, bool>? isWanted = null,
        ISiteHook? interventions = null,
        bool withGradients = false
    )
    {
        IComputeEngine engine = model.Parameters.Engine;
        int block = model.Config.BlockSize;
        if (sequences < 1 || tokens.Length == 0 || tokens.Length % sequences != 0 || tokens.Length / sequences > block)
        {
            throw new BadInputException(
                $"{tokens.Length} tokens do not make {sequences} sequences of one length from 1 to {block}, which is what the model reads."
            );
        }

        model.RequireIds(tokens);
        int length = tokens.Length / sequences;
        using ForwardState forward = model.CreateForwardState(sequences, length);
        using var head = new HeadState(engine, model.Config, sequences, length, forward.TokenIds);
        var recorder = new ActivationRecorder(engine, isWanted ?? (_ => true));
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

    /// <summary>
    /// Writes safetensors: tokens, logits, loss, each activation under its hook name and each gradient under "grad/" and that name.
    /// </summary>
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

        Safetensors.Write(
            path,
            tensors,
            new Dictionary<string, string> { ["format"] = "pt", ["format_version"] = $"{FileFormat.Version}" }
        );
    }

    private ReadOnlySpan<float> Row(float[] rows, int width, int position, int sequence)
    {
        int length = _tokens.Length / _sequences;
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(position, length);
        ArgumentOutOfRangeException.ThrowIfNegative(sequence);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(sequence, _sequences);
        return rows.AsSpan(((sequence * length) + position) * width, width);
    }
}
