namespace Sparsity.Core.Reproduction;

/// <summary>Whether the circuits of a task at a target can be compared.</summary>
internal enum ComparisonStatus
{
    /// <summary>Both meet the target.</summary>
    Compared,

    /// <summary>Only the subject's does.</summary>
    OnlySubject,

    /// <summary>Only the baseline's does.</summary>
    OnlyBaseline,

    /// <summary>Neither does.</summary>
    Neither,

    /// <summary>One of the two models meets the target with every node frozen.</summary>
    NothingToFind,
}

/// <summary>
/// Two circuits of one task: the subject's (of the sparse model; by trained masks) and the baseline's (of the dense model; by attribution).
/// </summary>
internal sealed record EdgePair(
    ulong Seed,
    string Task,
    double TargetLoss,
    ComparisonStatus Status,
    CircuitSize Subject,
    CircuitSize Baseline
);

/// <summary>Sizes at one target, or over all of them.</summary>
/// <param name="TargetLoss">Null for all.</param>
/// <param name="Tasks">Tasks that are compared with at least one seed.</param>
/// <param name="SubjectEdges">Geometric mean over the pairs compared.</param>
/// <param name="BaselineEdges">The same.</param>
/// <param name="Ratio">Baseline over subject, over the pairs compared, with a bootstrap interval.</param>
/// <param name="OverTasks">The same over the tasks' own ratios, with a t-interval.</param>
internal sealed record EdgeRatio(
    double? TargetLoss,
    int Tasks,
    double SubjectEdges,
    double BaselineEdges,
    RatioEstimate Ratio,
    TaskRatio OverTasks
);
