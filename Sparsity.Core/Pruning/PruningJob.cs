namespace Sparsity.Core.Pruning;

/// <summary>One search.</summary>
/// <param name="Task">Name or path.</param>
internal readonly record struct PruningJob(string Task, ulong Seed);
