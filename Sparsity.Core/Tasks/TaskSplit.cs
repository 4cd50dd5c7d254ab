namespace Sparsity.Core.Tasks;

/// <summary>Which prompts of a task: those to choose a circuit on, or those to report on. No prompt is in both.</summary>
public enum TaskSplit
{
    /// <summary>To prune on.</summary>
    Train,

    /// <summary>To report on: statements of other shapes.</summary>
    Test,
}
