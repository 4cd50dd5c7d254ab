using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Generation;

/// <summary>Continues a sequence of tokens, one at a time; contexts longer than block_size lose their oldest tokens.</summary>
public sealed class TextGenerator : IDisposable
{
    private readonly Transformer _model;
    private readonly IComputeEngine _engine;
    private readonly ForwardState _state;
    private readonly HeadState _head;
    private readonly TokenTensor _position;
    private readonly ActivationTensor _picked;
    private readonly float[] _logits;

    /// <param name="model">The model.</param>
    /// <param name="longest">Tokens that prompt and continuation may have together before the oldest are dropped; at most block_size.</param>
    public TextGenerator(Transformer model, int longest)
    {
        _model = model;
        _engine = model.Parameters.Engine;
        _state = model.CreateForwardState(1, Math.Min(longest, model.Config.BlockSize));
        _head = new HeadState(_engine, model.Config, 1, 1);
        _position = _engine.AllocateTokens("last position", 1, 1);
        _picked = _engine.AllocateActivations("final residual of the last token", 1, 1, model.Config.DModel);
        _logits = new float[model.Config.VocabSize];
    }

    /// <summary>The logits [V] after a sequence of at least one token; valid until the next call.</summary>
    public ReadOnlySpan<float> NextLogits(ReadOnlySpan<int> tokens)
    {
        var padded = new int[_state.Tokens];
        ReadOnlySpan<int> context = tokens[Math.Max(0, tokens.Length - padded.Length)..];
        context.CopyTo(padded);
        _engine.Write(_state.TokenIds, padded);
        _engine.Write(_position, [context.Length - 1]);
        _engine.Write(_head.TokenIds, [context[^1]]);
        _model.Forward(_state);
        _engine.GatherTokens(_state.FinalResidual, _position, _picked);
        _model.Head.Forward(_picked, _head);
        _engine.Read(_head.Logits, _logits);
        return _logits;
    }

    /// <summary>New tokens, until <paramref name="count"/> or the end-of-text token, which is not returned.</summary>
    public IEnumerable<int> Continue(IReadOnlyList<int> prompt, int count, SamplingConfig sampling, ulong seed, int endOfText)
    {
        var random = RandomSource.For(seed, "generation");
        var tokens = new List<int>(prompt);
        for (int i = 0; i < count; i++)
        {
            int next = sampling.Draw(NextLogits(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(tokens)), random);
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
        _state.Dispose();
        _head.Dispose();
        _position.Dispose();
        _picked.Dispose();
    }
}
