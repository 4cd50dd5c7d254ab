using System.Runtime.InteropServices;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Generation;

/// <summary>
/// Continues a sequence of tokens, one at a time; contexts longer than block_size lose their oldest tokens (official GPT.generate).
/// </summary>
public sealed class TextGenerator : IDisposable
{
    /// <summary>
    /// Tokens that go through the model together, largest first: a prompt goes in few pieces, an odd rest token by token.
    /// </summary>
    private static readonly int[] PieceSizes = [64, 16, 1];

    private readonly Transformer _model;
    private readonly IComputeEngine _engine;
    private readonly AttentionCache? _cache;
    private readonly Dictionary<int, ForwardState> _states = [];
    private readonly List<int> _remembered = [];
    private readonly HeadState _head;
    private readonly TokenTensor _position;
    private readonly ActivationTensor _picked;
    private readonly float[] _logits;

    /// <param name="model">The model.</param>
    /// <param name="useCache"> Whether to remember the keys and values of earlier tokens. Without, every token takes the whole context
    /// through the model anew. Past block_size there is no choice: when the oldest token goes, all others move to other positions.
    /// </param>
    public TextGenerator(Transformer model, bool useCache = true)
    {
        _model = model;
        _engine = model.Parameters.Engine;
        _cache = useCache ? new AttentionCache(_engine, model.Config) : null;
        _head = new HeadState(_engine, model.Config, 1, 1);
        _position = _engine.AllocateTokens("last position", 1, 1);
        _picked = _engine.AllocateActivations("final residual of the last token", 1, 1, model.Config.DModel);
        _logits = new float[model.Config.VocabSize];
    }

    /// <summary>
    /// The logits [V] after a sequence of at least one token; valid until the next call. With a cache, only what differs from the last
    /// sequence is computed.
    /// </summary>
    /// <exception cref="BadInputException">There is no token, or one is no id of the vocabulary.</exception>
    /// <exception cref="NumericalException">A logit is not finite.</exception>
    public ReadOnlySpan<float> NextLogits(ReadOnlySpan<int> tokens)
    {
        if (tokens.IsEmpty)
        {
            throw new BadInputException("a text to be continued has at least one token. Begin with the end-of-text token.");
        }

        _model.RequireIds(tokens);
        int block = _model.Config.BlockSize;
        if (_cache is null || tokens.Length > block)
        {
            ForwardWhole(tokens[Math.Max(0, tokens.Length - block)..]);
        }
        else
        {
            ForwardRest(_cache, tokens);
        }

        _engine.Write(_head.TokenIds, [tokens[^1]]);
        _model.Head.Forward(_picked, _head);
        _engine.Read(_head.Logits, _logits);
        foreach (float logit in _logits)
        {
            NumericalException.RequireFinite(logit, "a logit");
        }

        return _logits;
    }

    /// <summary>New tokens, until <paramref name="count"/> or the end-of-text token, which is not returned.</summary>
    /// <param name="prompt">At least one token.</param>
    /// <param name="count">Most new tokens.</param>
    /// <param name="sampling">How each is drawn.</param>
    /// <param name="seed">Of the draws.</param>
    /// <param name="endOfText">Ends the text.</param>
    /// <param name="isToken">Which ids may be drawn; null for all. A vocabulary that was padded has ids that stand for no token.</param>
    public IEnumerable<int> Continue(
        IReadOnlyList<int> prompt,
        int count,
        SamplingConfig sampling,
        ulong seed,
        int endOfText,
        Func<int, bool>? isToken = null
    )
    {
        sampling.Validated();
        int[] excluded = isToken is null ? [] : [.. Enumerable.Range(0, _logits.Length).Where(id => !isToken(id))];
        var random = RandomSource.For(seed, "generation");
        var tokens = new List<int>(prompt);
        for (int i = 0; i < count; i++)
        {
            NextLogits(CollectionsMarshal.AsSpan(tokens));
            foreach (int id in excluded)
            {
                _logits[id] = float.NegativeInfinity;
            }

            int next = sampling.Draw(_logits, random);
            if (next == endOfText)
            {
                yield break;
            }

            tokens.Add(next);
            yield return next;
        }
    }

    public void Dispose()
    {
        foreach (ForwardState state in _states.Values)
        {
            state.Dispose();
        }

        _cache?.Dispose();
        _head.Dispose();
        _position.Dispose();
        _picked.Dispose();
    }

    /// <summary>One pass over the context, padded on the right to a power of two, so that a growing one needs few states.</summary>
    private void ForwardWhole(ReadOnlySpan<int> context)
    {
        int length = Math.Min(
            _model.Config.BlockSize,
            Math.Max(PieceSizes[0], (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)context.Length))
        );
        var padded = new int[length];
        context.CopyTo(padded);
        Forward(padded, context.Length - 1, null);
    }

    private void ForwardRest(AttentionCache cache, ReadOnlySpan<int> tokens)
    {
        // At least the last token goes through the model: its logits are wanted.
        cache.Length = Math.Min(CollectionsMarshal.AsSpan(_remembered).CommonPrefixLength(tokens), tokens.Length - 1);
        while (cache.Length < tokens.Length)
        {
            ReadOnlySpan<int> rest = tokens[cache.Length..];
            int size = PieceSizes[0];
            foreach (int candidate in PieceSizes)
            {
                size = candidate;
                if (candidate <= rest.Length)
                {
                    break;
                }
            }

            Forward(rest[..size], size - 1, cache);
            cache.Length += size;
        }

        _remembered.Clear();
        _remembered.AddRange(tokens);
    }

    /// <summary>Overwrites the picked final residual with that of token <paramref name="last"/>.</summary>
    private void Forward(ReadOnlySpan<int> tokens, int last, AttentionCache? cache)
    {
        // States with a cache and without differ in size only by chance; the negative sizes keep them apart.
        int key = cache is null ? -tokens.Length : tokens.Length;
        if (!_states.TryGetValue(key, out ForwardState? state))
        {
            _states[key] = state = _model.CreateForwardState(1, tokens.Length, cache);
        }

        _engine.Write(state.TokenIds, tokens);
        _engine.Write(_position, [last]);
        _model.Forward(state);
        _engine.GatherTokens(state.FinalResidual, _position, _picked);
    }
}
