using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>Prompts of one task for one search.</summary>
/// <param name="Training">For mask training, batch after batch.</param>
/// <param name="Selection">From the training templates: circuits are chosen on them.</param>
/// <param name="Test">From other templates: circuits are reported on them.</param>
internal sealed record TaskPrompts(
    IReadOnlyList<TokenizedPair> Training,
    IReadOnlyList<TokenizedPair> Selection,
    IReadOnlyList<TokenizedPair> Test
)
{
    /// <summary>Draws them, as many as <paramref name="config"/> asks for.</summary>
    public static TaskPrompts Draw(TokenizedTask task, PruningConfig config) =>
        new(
            task.Sample(TaskSplit.Train, config.Seed, config.Steps * config.BatchPairs).Pairs,
            task.Sample(TaskSplit.Train, config.Seed + 1, config.SelectionPairs).Pairs,
            task.Sample(TaskSplit.Test, config.Seed, config.TestPairs).Pairs
        );
}
