using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Tasks;

/// <summary>
/// Runs a model on pairs of prompts and measures the binary loss of docs/method.md section 3: with d = z[a] - z[b] at each prompt's last
/// token, the pair's loss is (softplus(-d1) + softplus(d2)) / 2; or the cross-entropy of the right answers among all tokens. Prompts are
/// padded on the right, which nothing to the left can see, up to the longest of their batch. Behind the last attention only last tokens
/// count, and unless a hook wants to see them all, nothing is computed for the others. Activations of a batch have a sequence, here called
/// a row, for each prompt: pair by pair, first and second.
/// </summary>
internal sealed class TaskRunner : IDisposable
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
    private TokenizedPrompt[] _prompts = [];
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

    /// <summary>The row of a pair's first prompt in a batch.</summary>
    public static int FirstRow(int pair) => 2 * pair;

    /// <summary>The row of a pair's second prompt in a batch.</summary>
    public static int SecondRow(int pair) => FirstRow(pair) + 1;

    /// <summary>The prompts of a batch, row by row.</summary>
    public static TokenizedPrompt[] PromptsOf(IReadOnlyList<TokenizedPair> pairs) =>
        [.. pairs.SelectMany(pair => new[] { pair.FirstPrompt, pair.SecondPrompt })];

    /// <summary>Runs a batch.</summary>
    /// <param name="pairs">At most <see cref="Pairs"/>.</param>
    /// <returns>
    /// z[a] - z[b] of each pair. A second prompt with answers of its own has its wrong one for a and its right one for b.
    /// </returns>
    public LogitDifferences Differences(IReadOnlyList<TokenizedPair> pairs)
    {
        Forward(pairs);
        _engine.Read(_head.Logits, _logits);
        return new LogitDifferences([
            .. pairs.Select(
                (pair, i) =>
                    (
                        Difference(FirstRow(i), pair.FirstPrompt.Right, pair.FirstPrompt.Wrong),
                        Difference(SecondRow(i), pair.SecondPrompt.Wrong, pair.SecondPrompt.Right)
                    )
            ),
        ]);

        double Difference(int row, int a, int b) => Logits(row)[a] - Logits(row)[b];
    }

    /// <summary>[V]: the logits after a prompt of the last batch; valid until the next call.</summary>
    /// <param name="row">The prompt's.</param>
    public ReadOnlySpan<float> Logits(int row) => _logits.AsSpan(row * _model.Config.VocabSize, _model.Config.VocabSize);

    /// <summary>The probability, among all tokens, of one after a prompt of the last batch.</summary>
    /// <param name="row">The prompt's.</param>
    /// <param name="token">The next token.</param>
    public double Probability(int row, int token)
    {
        ReadOnlySpan<float> logits = Logits(row);
        double sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - logits[token]);
        }

        return 1 / sum;
    }

    /// <summary>Sends gradients of the last batch's logit differences, one entry per pair, back through the model and its hooks.</summary>
    public void Backward(IReadOnlyList<(double First, double Second)> gradients)
    {
        _logits.AsSpan().Clear();
        for (int i = 0; i < gradients.Count; i++)
        {
            TokenizedPrompt first = _prompts[FirstRow(i)];
            TokenizedPrompt second = _prompts[SecondRow(i)];
            Set(FirstRow(i), first.Right, first.Wrong, (float)gradients[i].First);
            Set(SecondRow(i), second.Wrong, second.Right, (float)gradients[i].Second);
        }

        _engine.Write(_head.Logits, _logits);
        BackwardFromLogits();

        void Set(int row, int a, int b, float gradient)
        {
            _logits[(row * _model.Config.VocabSize) + a] = gradient;
            _logits[(row * _model.Config.VocabSize) + b] = -gradient;
        }
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
    /// <exception cref="NumericalException">One is not finite.</exception>
    public LogitDifferences AllDifferences(IReadOnlyList<TokenizedPair> pairs)
    {
        var all = new (double, double)[pairs.Count];
        foreach (int[] batch in Batches(pairs))
        {
            foreach ((int i, (double first, double second)) in batch.Zip(Differences([.. batch.Select(i => pairs[i])]).Pairs))
            {
                all[i] = (Finite(first), Finite(second));
            }
        }

        return new LogitDifferences(all);

        static double Finite(double difference) => NumericalException.RequireFinite(difference, "a difference of logits");
    }

    /// <summary>Mean loss of any number of pairs, in batches of similar length, in nats.</summary>
    public double MeanLoss(IReadOnlyList<TokenizedPair> pairs, TaskLoss loss)
    {
        if (loss == TaskLoss.Binary)
        {
            return AllDifferences(pairs).BinaryLoss();
        }

        double sum = 0;
        foreach (int[] batch in Batches(pairs))
        {
            Differences([.. batch.Select(i => pairs[i])]);
            for (int row = 0; row < _prompts.Length; row++)
            {
                sum -= Math.Log(Probability(row, _prompts[row].Right));
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
        LogitDifferences differences = Differences(pairs);
        Backward([.. differences.BinaryLossGradient().Select(gradient => (gradient.First * share, gradient.Second * share))]);
        return differences.BinaryLoss() * share;
    }

    private double FullAndBackward(TokenizedPair[] pairs, int total)
    {
        Forward(pairs);
        var answers = new int[2 * Pairs];
        answers.AsSpan().Fill(-1);
        for (int row = 0; row < _prompts.Length; row++)
        {
            answers[row] = _prompts[row].Right;
        }

        _engine.Write(_head.Targets, answers);
        _head.CrossEntropy(2 * total, withGradient: true);
        double sum = _head.ReadLossSum();
        BackwardFromLogits();
        return sum / (2 * total);
    }

    private static int LengthOf(TokenizedPair pair) => Math.Max(pair.First.Length, pair.Second.Length);

    private void Forward(IReadOnlyList<TokenizedPair> pairs)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pairs.Count, Pairs);
        _prompts = PromptsOf(pairs);
        int longest = _prompts.Max(prompt => prompt.Tokens.Length);
        if (longest > Tokens || Array.Exists(_prompts, prompt => prompt.Tokens.Length == 0))
        {
            throw new ArgumentException($"A prompt is empty or has more than {Tokens} tokens; the longest has {longest}.");
        }

        _length = Math.Min(Tokens, (longest + LengthStep - 1) / LengthStep * LengthStep);
        ForwardState state = _states[_length];
        var tokens = new int[2 * Pairs * _length];
        var last = new int[2 * Pairs];
        var lastTokens = new int[2 * Pairs];
        for (int row = 0; row < _prompts.Length; row++)
        {
            int[] prompt = _prompts[row].Tokens;
            prompt.CopyTo(tokens, row * _length);
            last[row] = prompt.Length - 1;
            lastTokens[row] = prompt[^1];
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
