namespace Sparsity.Core.Training;

/// <summary>
/// Batches from a stream of tokens. The windows of step i depend on the seed and on i alone, so a resumed run sees the same data as one
/// never stopped.
/// </summary>
/// <param name="tokens">The whole stream, at least <paramref name="contextTokens"/> long.</param>
/// <param name="sequences">B.</param>
/// <param name="contextTokens">T.</param>
internal sealed class BatchSource(ReadOnlyMemory<ushort> tokens, int sequences, int contextTokens)
{
    private readonly int[] _batch = new int[Engine.TensorSize.Of("a batch", sequences, contextTokens)];

    /// <summary>How many batches <see cref="Consecutive"/> can give.</summary>
    public int ConsecutiveBatches => tokens.Length / contextTokens / sequences;

    /// <summary>[B,T]: windows from random places, each place equally likely. Valid until the next call.</summary>
    public ReadOnlySpan<int> Random(ulong seed, int step)
    {
        var random = RandomSource.For(seed, "batch", step);
        for (int sequence = 0; sequence < sequences; sequence++)
        {
            Fill(sequence, random.NextInt(tokens.Length - contextTokens + 1));
        }

        return _batch;
    }

    /// <summary>
    /// [B,T]: the <paramref name="index"/>-th batch of windows that follow one another without overlap. Valid until the next call.
    /// </summary>
    public ReadOnlySpan<int> Consecutive(int index)
    {
        for (int sequence = 0; sequence < sequences; sequence++)
        {
            Fill(sequence, ((index * sequences) + sequence) * contextTokens);
        }

        return _batch;
    }

    private void Fill(int sequence, int start)
    {
        ReadOnlySpan<ushort> window = tokens.Span.Slice(start, contextTokens);
        for (int t = 0; t < contextTokens; t++)
        {
            _batch[(sequence * contextTokens) + t] = window[t];
        }
    }
}
