namespace Sparsity.Core.Tasks;

/// <summary>How right a model is about a task.</summary>
public enum TaskLoss
{
    /// <summary>The choice between the two answers (docs/method.md section 3).</summary>
    Binary,

    /// <summary>Cross-entropy of the right answer among all tokens.</summary>
    Full,
}
