namespace Sparsity.Core.Tasks;

/// <summary>Pairs of one task, drawn together.</summary>
/// <param name="Pairs">The pairs, in the order in which they were drawn.</param>
internal sealed record TaskBatch(IReadOnlyList<TokenizedPair> Pairs)
{
    /// <summary>The number of pairs; there are twice as many prompts.</summary>
    public int Count => Pairs.Count;
}
