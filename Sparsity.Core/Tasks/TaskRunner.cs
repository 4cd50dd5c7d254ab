using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Tasks;

/// <summary>
/// Runs a model on pairs of prompts and measures the binary loss of docs/method.md section 3: with d = z[a] - z[b] at each prompt's last
/// token, the pair's loss is (softplus(-d1) + softplus(d2)) / 2; or the cross-entropy of the right answers among all tokens. Prompts are
/// padded on the right, which nothing to the left can see, up to the longest of their batch. Behind the last attention only last tokens
/// count, and unless a hook wants to see them all, nothing is computed for the others.
/// </summary>
public sealed class TaskRunner : IDisposable
{
    /// <summary>Batches are padded to multiples of this, so that there are only few shapes.</summary>
    private const int LengthStep = 8;

    private readonly Transformer _model;
    private readonly IComputeEngine _engine;
    private readonly ByLength<ForwardState> _states;
    private readonly ByLength<BackwardState> _gradients;
    private readonly HeadState _head;
    private readonly TokenTensor _positions;
    private readonly ForwardState _last;
    private readonly BackwardState _lastGradients;
    private readonly float[] _logits;
    private readonly double[] _differences;
    private IReadOnlyList<TokenizedPair> _pairs = [];
    private int _length;

    /// <param name="model">Frozen.</param>
    /// <param name="pairs">Most pairs of one batch.</param>
    /// <param name="tokens">Longest prompt.</param>
    public TaskRunner(Transformer model, int pairs, int tokens)
    {
        _model = model;
        _engine = model.Parameters.Engine;
        Pairs = pairs;
        Tokens = tokens;
        int sequences = 2 * pairs;
        _states = new(length => model.CreateForwardState(sequences, length), (state, length) => state.Shortened(length));
        _gradients = new(length => model.CreateBackwardState(sequences, length), (state, length) => state.Shortened(length));

        // The last tokens of all prompts, as if of one sequence: nothing behind the last attention looks at neighbours, and engines work on
        // neighbouring tokens together.
        _head = new HeadState(_engine, model.Config, 1, sequences);
        _last = model.CreateForwardState(1, sequences);
        _lastGradients = model.CreateBackwardState(1, sequences);
        _positions = _engine.AllocateTokens("last positions", sequences, 1);
        _logits = new float[sequences * model.Config.VocabSize];
        _differences = new double[sequences];
    }

    /// <summary>Most pairs of one batch.</summary>
    public int Pairs { get; }

    /// <summary>Longest prompt.</summary>
    public int Tokens { get; }

    /// <summary>
    /// Whether the hooks leave the norms' scales alone: each batch first runs without hooks, and keeps the scales of that pass.
    /// </summary>
    public bool FreezesNormScale { get; init; }

    /// <summary>What looks at or changes activations, in the order it is called.</summary>
    public List<ISiteHook> Hooks { get; } = [];

    private bool NeedsEveryToken => Hooks.Exists(hook => hook.NeedsEveryToken);

    /// <summary>Runs a batch; the result is valid until the next call.</summary>
    /// <param name="pairs">At most <see cref="Pairs"/>.</param>
    /// <returns> Logit differences z[a] - z[b] in nats: entry 2i of pair i's first prompt, where a is right, 2i+1 of its second, where b
    /// is. A second prompt with answers of its own has its wrong one for a and its right one for b.
    /// </returns>
    public ReadOnlySpan<double> Differences(IReadOnlyList<TokenizedPair> pairs)
    {
        Forward(pairs);
        _engine.Read(_head.Logits, _logits);
        int vocabulary = _model.Config.VocabSize;
        for (int i = 0; i < 2 * pairs.Count; i++)
        {
            (int a, int b) = Compared(pairs[i / 2], i);
            _differences[i] = _logits[(i * vocabulary) + a] - _logits[(i * vocabulary) + b];
        }

        return _differences.AsSpan(0, 2 * pairs.Count);
    }

    /// <summary>[V]: the logits after a prompt of the last batch; valid until the next call.</summary>
    /// <param name="prompt">2i for pair i's first prompt, 2i+1 for its second.</param>
    public ReadOnlySpan<float> Logits(int prompt) => _logits.AsSpan(prompt * _model.Config.VocabSize, _model.Config.VocabSize);

    /// <summary>The probability, among all tokens, of one after a prompt of the last batch.</summary>
    /// <param name="prompt">2i for pair i's first prompt, 2i+1 for its second.</param>
    /// <param name="token">The next token.</param>
    public double Probability(int prompt, int token)
    {
        ReadOnlySpan<float> logits = Logits(prompt);
        double sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - logits[token]);
        }

        return 1 / sum;
    }

    /// <summary>Sends gradients of the last batch's logit differences back through the model and its hooks.</summary>
    public void Backward(ReadOnlySpan<double> differenceGradients)
    {
        int vocabulary = _model.Config.VocabSize;
        _logits.AsSpan().Clear();
        for (int i = 0; i < 2 * _pairs.Count; i++)
        {
            (int a, int b) = Compared(_pairs[i / 2], i);
            _logits[(i * vocabulary) + a] = (float)differenceGradients[i];
            _logits[(i * vocabulary) + b] = -(float)differenceGradients[i];
        }

        _engine.Write(_head.Logits, _logits);
        BackwardFromLogits();
    }

    /// <summary>
    /// Runs any number of pairs, in batches of similar length, and sends the gradient of their mean loss back through the model and its
    /// hooks.
    /// </summary>
    /// <param name="pairs">From 1.</param>
    /// <param name="loss">Which loss.</param>
    /// <returns>The loss in nats.</returns>
    public double LossAndBackward(IReadOnlyList<TokenizedPair> pairs, TaskLoss loss)
    {
        double sum = 0;
        foreach (int[] batch in Batches(pairs))
        {
            TokenizedPair[] chosen = [.. batch.Select(i => pairs[i])];
            sum += loss == TaskLoss.Binary ? BinaryAndBackward(chosen, pairs.Count) : FullAndBackward(chosen, pairs.Count);
        }

        return sum;
    }

    /// <summary>The logit differences of any number of pairs, in batches of similar length.</summary>
    public double[] AllDifferences(IReadOnlyList<TokenizedPair> pairs)
    {
        var all = new double[2 * pairs.Count];
        foreach (int[] batch in Batches(pairs))
        {
            ReadOnlySpan<double> differences = Differences([.. batch.Select(i => pairs[i])]);
            for (int i = 0; i < batch.Length; i++)
            {
                all[2 * batch[i]] = NumericalException.RequireFinite(differences[2 * i], "a difference of logits");
                all[(2 * batch[i]) + 1] = NumericalException.RequireFinite(differences[(2 * i) + 1], "a difference of logits");
            }
        }

        return all;
    }

    /// <summary>Mean loss of any number of pairs, in batches of similar length, in nats.</summary>
    public double MeanLoss(IReadOnlyList<TokenizedPair> pairs, TaskLoss loss)
    {
        if (loss == TaskLoss.Binary)
        {
            return BinaryLoss.Mean(AllDifferences(pairs));
        }

        double sum = 0;
        foreach (int[] batch in Batches(pairs))
        {
            Differences([.. batch.Select(i => pairs[i])]);
            for (int prompt = 0; prompt < 2 * batch.Length; prompt++)
            {
                sum -= Math.Log(Probability(prompt, pairs[batch[prompt / 2]].RightAfter(prompt)));
            }
        }

        return sum / (2 * pairs.Count);
    }

    public void Dispose()
    {
        _states.Dispose();
        _gradients.Dispose();
        _head.Dispose();
        _positions.Dispose();
        _last.Dispose();
        _lastGradients.Dispose();
    }

    /// <summary>Indices of pairs, as many as a batch takes; a single batch keeps their order.</summary>
    private IEnumerable<int[]> Batches(IReadOnlyList<TokenizedPair> pairs) =>
        pairs.Count <= Pairs
            ?
            [
                [.. Enumerable.Range(0, pairs.Count)],
            ]
            : Enumerable.Range(0, pairs.Count).OrderBy(i => LengthOf(pairs[i])).ThenBy(i => i).Chunk(Pairs);

    /// <summary>This batch's part of the mean loss over <paramref name="total"/> pairs.</summary>
    private double BinaryAndBackward(TokenizedPair[] pairs, int total)
    {
        double share = (double)pairs.Length / total;
        ReadOnlySpan<double> differences = Differences(pairs);
        var gradients = new double[differences.Length];
        BinaryLoss.Gradient(differences, gradients);
        for (int i = 0; i < gradients.Length; i++)
        {
            gradients[i] *= share;
        }

        Backward(gradients);
        return BinaryLoss.Mean(differences) * share;
    }

    private double FullAndBackward(TokenizedPair[] pairs, int total)
    {
        Forward(pairs);
        var answers = new int[2 * Pairs];
        answers.AsSpan().Fill(-1);
        for (int i = 0; i < 2 * pairs.Length; i++)
        {
            answers[i] = pairs[i / 2].RightAfter(i);
        }

        _engine.Write(_head.Targets, answers);
        _head.CrossEntropy(2 * total, withGradient: true);
        double sum = _head.ReadLossSum();
        BackwardFromLogits();
        return sum / (2 * total);
    }

    private static (int A, int B) Compared(TokenizedPair pair, int prompt) =>
        prompt % 2 == 0 ? (pair.RightAfter(prompt), pair.WrongAfter(prompt)) : (pair.WrongAfter(prompt), pair.RightAfter(prompt));

    private static int LengthOf(TokenizedPair pair) => Math.Max(pair.First.Length, pair.Second.Length);

    private void Forward(IReadOnlyList<TokenizedPair> pairs)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pairs.Count, Pairs);
        _pairs = pairs;
        int longest = pairs.Max(LengthOf);
        if (longest > Tokens || pairs.Any(pair => pair.First.Length == 0 || pair.Second.Length == 0))
        {
            throw new ArgumentException($"A prompt is empty or has more than {Tokens} tokens; the longest has {longest}.");
        }

        _length = Math.Min(Tokens, (longest + LengthStep - 1) / LengthStep * LengthStep);
        ForwardState state = _states[_length];
        var tokens = new int[2 * Pairs * _length];
        var last = new int[2 * Pairs];
        var lastTokens = new int[2 * Pairs];
        for (int i = 0; i < 2 * pairs.Count; i++)
        {
            int[] prompt = i % 2 == 0 ? pairs[i / 2].First : pairs[i / 2].Second;
            prompt.CopyTo(tokens, i * _length);
            last[i] = prompt.Length - 1;
            lastTokens[i] = prompt[^1];
        }

        _engine.Write(state.TokenIds, tokens);
        _engine.Write(_positions, last);
        _engine.Write(_head.TokenIds, lastTokens);
        state.Hooks.Clear();
        _last.Hooks.Clear();
        state.AreNormScalesFrozen = _last.AreNormScalesFrozen = _head.IsNormScaleFrozen = false;
        if (FreezesNormScale)
        {
            Run(state);
            state.AreNormScalesFrozen = _last.AreNormScalesFrozen = _head.IsNormScaleFrozen = true;
        }

        Hooks.ForEach(state.Hooks.Add);
        Hooks.ForEach(_last.Hooks.Add);
        Run(state);
    }

    private void Run(ForwardState state)
    {
        if (NeedsEveryToken)
        {
            _model.Forward(state);
            _engine.GatherTokens(state.FinalResidual, _positions, _last.FinalResidual);
        }
        else
        {
            _model.Forward(state, _positions, _last);
        }

        _model.Head.Forward(_last.FinalResidual, _head);
    }

    private void BackwardFromLogits()
    {
        ForwardState forward = _states[_length];
        BackwardState backward = _gradients[_length];
        _model.Head.Backward(_last.FinalResidual, _head, _lastGradients.Residual);
        if (NeedsEveryToken)
        {
            _engine.ScatterTokens(_lastGradients.Residual, _positions, backward.Residual);
            _model.Backward(forward, backward);
        }
        else
        {
            _model.BackwardPicked(forward, backward, _positions, _last, _lastGradients);
        }
    }
}
