using Sparsity.Core.Circuits;

namespace Sparsity.Core.Pruning;

/// <summary>A choice of nodes and where it came from.</summary>
/// <param name="Nodes">Those of the circuit.</param>
/// <param name="Scores">What all nodes were ranked by: tau, or an attribution; one per node of the model.</param>
/// <param name="KCoef">Penalty of the mask training; 0 for none.</param>
/// <param name="SelectionLoss">Task loss on the selection prompts.</param>
/// <param name="PassesSelection">Whether that is low enough, with the selection's margin.</param>
internal sealed record ChosenNodes(NodeSet Nodes, double[] Scores, double KCoef, double SelectionLoss, bool PassesSelection)
{
    /// <summary>
    /// Where circuits were asked to survive interchange: the smallest that passes without that, which may be this one. Null where not
    /// asked.
    /// </summary>
    public NodeSet? Smallest { get; init; }

    /// <summary>Whether it survives interchange on the selection prompts; null where not asked.</summary>
    public bool? Survives { get; init; }

    /// <summary>Sizes of the same ranking that were tried for the target; null where no search chose.</summary>
    public IReadOnlyList<TriedSize>? Tried { get; init; }
}
