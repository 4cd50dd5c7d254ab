using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// Chooses a circuit for a target loss among rankings of the nodes (docs/method.md section 4): of each the fewest nodes that meet it, dead
/// ends dropped; of these the fewest edges among those whose removal also breaks the task. Where the settings ask, the circuit must also
/// survive interchange with the full model, and nodes that it passes without are taken out.
/// </summary>
internal sealed class CircuitChooser : IDisposable
{
    private const int InterchangeOrders = 3;

    /// <summary>How often the number of nodes may grow past the mask's own, and by how much each time.</summary>
    private const int MostGrowths = 4;
    private const double Growth = 1.5;

    /// <summary>The number of nodes that survives is found up to this share of itself.</summary>
    private const int Precision = 16;

    private readonly CircuitEvaluator _evaluator;
    private readonly PruningConfig _config;
    private readonly IReadOnlyList<TokenizedPair> _selection;
    private readonly Interchange? _interchange;

    /// <param name="evaluator">Of the model.</param>
    /// <param name="selection">The prompts to choose on.</param>
    public CircuitChooser(CircuitEvaluator evaluator, IReadOnlyList<TokenizedPair> selection)
    {
        _evaluator = evaluator;
        _config = evaluator.Config;
        _selection = selection;
        _interchange =
            _config.InterchangeFactor == 0
                ? null
                : new Interchange(
                    evaluator,
                    [.. selection.Take(evaluator.Masked.Runner.Pairs)],
                    InterchangeOrders,
                    "interchange while choosing" // other orders than the report's
                );
    }

    /// <summary>
    /// The circuit of the fewest edges that meets a target on the selection prompts, or, where none does, the one with the lowest loss.
    /// </summary>
    /// <param name="rankings">To choose among, from 1; their losses are of the selection prompts.</param>
    /// <param name="targetLoss">In nats; the configuration's margin applies.</param>
    public ChosenNodes Choose(IReadOnlyList<NodeRanking> rankings, double targetLoss)
    {
        double target = targetLoss * _config.SelectionMargin;
        List<Candidate> candidates = [.. rankings.Select(ranking => Fewest(ranking, target))];
        Candidate smallest = Best(candidates, target);
        if (!(smallest.Loss <= target))
        {
            return Chosen(smallest, smallest.Nodes, target);
        }

        bool isNecessary = smallest.LossWithout >= _config.NecessityLoss;
        if (_interchange is null)
        {
            return Chosen(smallest, Shrunk(smallest.Nodes, Passes), target);
        }

        double rise = (_config.InterchangeFactor - 1) * target;
        NodeSet least = Shrunk(smallest.Nodes, Passes);
        return Survivor() is { } survivor
            ? Chosen(survivor.Candidate, Shrunk(survivor.Nodes, Survives), target) with
            {
                Smallest = least,
                Survives = true,
            }
            : Chosen(smallest, least, target) with
            {
                Smallest = least,
                Survives = false,
            };

        bool Passes(NodeSet nodes) =>
            _evaluator.SelectionLoss(nodes, _selection) <= target
            && (!isNecessary || _evaluator.Loss(nodes.Complement(), _selection) >= _config.NecessityLoss);

        bool Survives(NodeSet nodes) => Passes(nodes) && _interchange.Survives(nodes, rise);

        // A ranking's nodes are nested, and so are their edges: what begins with more edges than were found is not looked at.
        (Candidate Candidate, NodeSet Nodes)? Survivor()
        {
            (Candidate Candidate, NodeSet Nodes, int Edges)? best = null;
            foreach (Candidate candidate in candidates.Where(candidate => candidate.Loss <= target).OrderBy(candidate => candidate.Edges))
            {
                NodeRanking ranking = candidate.Ranking;
                int most = best?.Edges ?? int.MaxValue;
                int failing = candidate.Count;
                int passing = 0;
                foreach (int count in Numbers(candidate))
                {
                    NodeSet nodes = ranking.First(count);
                    if (Edges(nodes) >= most)
                    {
                        break;
                    }

                    if (Survives(nodes))
                    {
                        passing = count;
                        break;
                    }

                    failing = count;
                }

                while (passing - failing > Math.Max(1, passing / Precision))
                {
                    int middle = (passing + failing) / 2;
                    (passing, failing) = Survives(ranking.First(middle)) ? (middle, failing) : (passing, middle);
                }

                if (passing > 0)
                {
                    NodeSet nodes = ranking.First(passing);
                    best = (candidate, nodes, Edges(nodes));
                }
            }

            return best is { } survivor ? (survivor.Candidate, survivor.Nodes) : null;
        }
    }

    public void Dispose() => _interchange?.Dispose();

    /// <summary>Numbers of nodes to try for interchange, from the fewest that meet the target.</summary>
    private static IEnumerable<int> Numbers(Candidate candidate)
    {
        NodeRanking ranking = candidate.Ranking;
        double start = Math.Max(candidate.Count, ranking.Mask?.Kept ?? 0);
        return Enumerable
            .Range(0, MostGrowths + 1)
            .Select(growth => (int)Math.Min(ranking.Count, Math.Ceiling(start * Math.Pow(Growth, growth))))
            .Prepend(candidate.Count)
            .Distinct();
    }

    private Candidate Fewest(NodeRanking ranking, double target)
    {
        (int count, double loss, IReadOnlyList<TriedSize> tried) = ranking.Fewest(target);
        NodeSet nodes = ranking.First(count);
        return new Candidate(ranking, count, nodes, loss, _evaluator.Loss(nodes.Complement(), _selection), Edges(nodes), tried);
    }

    private Candidate Best(List<Candidate> candidates, double target)
    {
        List<Candidate> passing = [.. candidates.Where(candidate => candidate.Loss <= target)];
        List<Candidate> necessary = [.. passing.Where(candidate => candidate.LossWithout >= _config.NecessityLoss)];
        return necessary.Count > 0 ? necessary.MinBy(candidate => candidate.Edges)!
            : passing.Count > 0 ? passing.MaxBy(candidate => candidate.LossWithout)!
            : candidates.MinBy(candidate => candidate.Loss)!;
    }

    private ChosenNodes Chosen(Candidate candidate, NodeSet nodes, double target)
    {
        double loss = _evaluator.SelectionLoss(nodes, _selection);
        NodeRanking ranking = candidate.Ranking;
        return new ChosenNodes(nodes, ranking.Scores, ranking.Mask?.KCoef ?? 0, loss, loss <= target) { Tried = candidate.Tried };
    }

    /// <summary>
    /// Takes out the nodes with the least effect, several at a time while that goes well, as long as the rest passes; where the settings
    /// ask for it, and the circuit is not too large to be measured node by node.
    /// </summary>
    private NodeSet Shrunk(NodeSet nodes, Func<NodeSet, bool> passes)
    {
        bool goesOn = _config.RemovalPass && nodes.Count <= CircuitEvaluator.MostNodesInDetail;
        TokenizedPair[] some = [.. _selection.Take(CircuitEvaluator.PairsInDetail(nodes.Count))];
        while (goesOn)
        {
            goesOn = false;
            int[] byEffect =
            [
                .. nodes.Numbers.Zip(_evaluator.AblationEffects(nodes, some)).OrderBy(entry => entry.Second).Select(entry => entry.First),
            ];
            int next = 0;
            int atOnce = Math.Max(1, byEffect.Length / 8);
            while (next < byEffect.Length)
            {
                int[] removed = [.. byEffect.Skip(next).Take(atOnce).Where(nodes.Contains)];
                NodeSet left = _evaluator.Graph.WithoutDeadEnds(new NodeSet(nodes.Layout, nodes.Numbers.Except(removed)));
                if (removed.Length == 0 || passes(left))
                {
                    goesOn |= removed.Length > 0;
                    nodes = left;
                    next += atOnce;
                }
                else if (atOnce > 1)
                {
                    atOnce /= 2;
                }
                else
                {
                    next++;
                }
            }
        }

        return nodes;
    }

    private int Edges(NodeSet nodes) => _evaluator.Graph.Edges(nodes).Count();

    private sealed record Candidate(
        NodeRanking Ranking,
        int Count,
        NodeSet Nodes,
        double Loss,
        double LossWithout,
        int Edges,
        IReadOnlyList<TriedSize> Tried
    );
}
