using Sparsity.Core.Circuits;

namespace Sparsity.Core.Pruning;

/// <summary>What became of a task.</summary>
internal enum PruningStatus
{
    /// <summary><see cref="Circuit.Solved"/>.</summary>
    Solved,

    /// <summary>A circuit was looked for, and the best one misses the target on one of the two.</summary>
    Missed,

    /// <summary>The model itself misses the target on the test prompts; nothing was pruned unless it was asked for by name.</summary>
    Unsolved,

    /// <summary>The tokenizer or the context cannot pose the task.</summary>
    Skipped,
}
