using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// Runs a model on pairs of prompts and measures the binary loss of spec section 3: with d = z[a] - z[b] at each prompt's last token, the pair's loss is
/// (softplus(-d1) + softplus(d2)) / 2. Prompts are padded on the right, which nothing to the left can see.
/// </summary>
public sealed class TaskRunner : IDisposable
{
    private readonly Transformer _model;
    private readonly IComputeEngine _engine;
    private readonly ForwardState _forward;
    private readonly BackwardState _backward;
    private readonly HeadState _head;
    private readonly TokenTensor _positions;
    private readonly ActivationTensor _picked;
    private readonly ActivationTensor _pickedGradient;
    private readonly float[] _logits;
    private readonly double[] _differences;
    private IReadOnlyList<TokenizedPair> _pairs = [];

    /// <param name="model">The model, frozen or not.</param>
    /// <param name="pairs">Most pairs of one batch.</param>
    /// <param name="tokens">Longest prompt.</param>
    public TaskRunner(Transformer model, int pairs, int tokens)
    {
        _model = model;
        _engine = model.Parameters.Engine;
        Pairs = pairs;
        Tokens = tokens;
        int sequences = 2 * pairs;
        _forward = model.CreateForwardState(sequences, tokens);
        _backward = model.CreateBackwardState(sequences, tokens);
        _head = new HeadState(_engine, model.Config, sequences, 1);
        _positions = _engine.AllocateTokens("last positions", sequences, 1);
        _picked = _engine.AllocateActivations("final residual of the last tokens", sequences, 1, model.Config.DModel);
        _pickedGradient = _engine.AllocateActivations("gradient of the last tokens' final residual", sequences, 1, model.Config.DModel);
        _logits = new float[sequences * model.Config.VocabSize];
        _differences = new double[sequences];
    }

    /// <summary>Most pairs of one batch.</summary>
    public int Pairs { get; }

    /// <summary>Longest prompt.</summary>
    public int Tokens { get; }

    /// <summary>What looks at or changes activations.</summary>
    public IList<ISiteHook> Hooks => _forward.Hooks;

    /// <summary>Runs a batch; the result is valid until the next call.</summary>
    /// <param name="pairs">At most <see cref="Pairs"/>.</param>
    /// <returns>Logit differences z[a] - z[b] in nats: entry 2i of pair i's first prompt, 2i+1 of its second.</returns>
    public ReadOnlySpan<double> Differences(IReadOnlyList<TokenizedPair> pairs)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pairs.Count, Pairs);
        _pairs = pairs;
        var tokens = new int[2 * Pairs * Tokens];
        var last = new int[2 * Pairs];
        var lastTokens = new int[2 * Pairs];
        for (int i = 0; i < 2 * pairs.Count; i++)
        {
            int[] prompt = i % 2 == 0 ? pairs[i / 2].First : pairs[i / 2].Second;
            if (prompt.Length == 0 || prompt.Length > Tokens)
            {
                throw new ArgumentException($"A prompt has {prompt.Length} tokens, outside 1 to {Tokens}.");
            }

            prompt.CopyTo(tokens, i * Tokens);
            last[i] = prompt.Length - 1;
            lastTokens[i] = prompt[^1];
        }

        _engine.Write(_forward.TokenIds, tokens);
        _engine.Write(_positions, last);
        _engine.Write(_head.TokenIds, lastTokens);
        _model.Forward(_forward);
        _engine.GatherTokens(_forward.FinalResidual, _positions, _picked);
        _model.Head.Forward(_picked, _head);
        _engine.Read(_head.Logits, _logits);
        int vocabulary = _model.Config.VocabSize;
        for (int i = 0; i < 2 * pairs.Count; i++)
        {
            TokenizedPair pair = pairs[i / 2];
            _differences[i] = _logits[(i * vocabulary) + pair.AnswerA] - _logits[(i * vocabulary) + pair.AnswerB];
        }

        return _differences.AsSpan(0, 2 * pairs.Count);
    }

    /// <summary>Sends gradients of the last batch's logit differences back through the model and its hooks.</summary>
    public void Backward(ReadOnlySpan<double> differenceGradients)
    {
        int vocabulary = _model.Config.VocabSize;
        _logits.AsSpan().Clear();
        for (int i = 0; i < 2 * _pairs.Count; i++)
        {
            TokenizedPair pair = _pairs[i / 2];
            _logits[(i * vocabulary) + pair.AnswerA] = (float)differenceGradients[i];
            _logits[(i * vocabulary) + pair.AnswerB] = -(float)differenceGradients[i];
        }

        _engine.Write(_head.Logits, _logits);
        _model.Head.Backward(_picked, _head, _pickedGradient);
        _engine.ScatterTokens(_pickedGradient, _positions, _backward.Residual);
        _model.Backward(_forward, _backward);
    }

    /// <summary>The logit differences of any number of pairs, batch by batch.</summary>
    public double[] AllDifferences(IReadOnlyList<TokenizedPair> pairs)
    {
        var all = new double[2 * pairs.Count];
        for (int start = 0; start < pairs.Count; start += Pairs)
        {
            Differences([.. pairs.Skip(start).Take(Pairs)]).CopyTo(all.AsSpan(2 * start));
        }

        return all;
    }

    public void Dispose()
    {
        _forward.Dispose();
        _backward.Dispose();
        _head.Dispose();
        _positions.Dispose();
        _picked.Dispose();
        _pickedGradient.Dispose();
    }
}

/// <summary>The binary task loss over logit differences, entry 2i of pair i's first prompt (a is right), 2i+1 of its second (b is right).</summary>
public static class BinaryLoss
{
    /// <summary>Mean over pairs, in nats, of differences after scale * d + shift.</summary>
    public static double Mean(ReadOnlySpan<double> differences, double scale = 1, double shift = 0)
    {
        double sum = 0;
        for (int i = 0; i < differences.Length; i++)
        {
            double d = (scale * differences[i]) + shift;
            sum += SoftPlus(i % 2 == 0 ? -d : d);
        }

        return sum / differences.Length;
    }

    /// <summary>Overwrites <paramref name="gradients"/> with the derivative of <see cref="Mean"/> with respect to each scale * d + shift.</summary>
    public static void Gradient(ReadOnlySpan<double> differences, Span<double> gradients, double scale = 1, double shift = 0)
    {
        for (int i = 0; i < differences.Length; i++)
        {
            double d = (scale * differences[i]) + shift;
            gradients[i] = (i % 2 == 0 ? -1 / (1 + Math.Exp(d)) : 1 / (1 + Math.Exp(-d))) / differences.Length;
        }
    }

    /// <summary>Share of prompts whose right answer has the larger logit; an exact tie counts half.</summary>
    public static double Accuracy(ReadOnlySpan<double> differences)
    {
        double right = 0;
        for (int i = 0; i < differences.Length; i++)
        {
            double d = i % 2 == 0 ? differences[i] : -differences[i];
            right += d > 0 ? 1 : d == 0 ? 0.5 : 0;
        }

        return right / differences.Length;
    }

    /// <summary>log(1 + e^x) without overflow.</summary>
    private static double SoftPlus(double x) => Math.Max(x, 0) + Math.Log(1 + Math.Exp(-Math.Abs(x)));
}
