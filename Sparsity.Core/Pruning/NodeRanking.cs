using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>Nodes ranked by a score, best first, and the losses of the first so many of them on one set of prompts.</summary>
internal sealed class NodeRanking
{
    private readonly CircuitEvaluator _evaluator;
    private readonly IReadOnlyList<TokenizedPair> _pairs;
    private readonly int[] _ranked;
    private readonly (int Query, int Key)[] _tied;
    private readonly Dictionary<int, double> _losses = [];

    public NodeRanking(CircuitEvaluator evaluator, double[] scores, IReadOnlyList<TokenizedPair> pairs)
    {
        _evaluator = evaluator;
        _pairs = pairs;
        _ranked = [.. Enumerable.Range(0, scores.Length).OrderByDescending(i => scores[i]).ThenBy(i => i)];
        _tied = evaluator.Config.TiedQueryKey ? [.. evaluator.Layout.QueryKeyPairs] : [];
    }

    /// <summary>
    /// Bisects between 0 and <paramref name="passing"/> nodes for the fewest whose loss is at most <paramref name="target"/>; dead ends are
    /// dropped.
    /// </summary>
    /// <param name="passing">A number of nodes to start from; kept as it is where it misses the target.</param>
    /// <param name="target">In nats.</param>
    /// <param name="failing">A number of nodes known to miss the target.</param>
    public (NodeSet Nodes, double Loss) Fewest(int passing, double target, int failing = 0)
    {
        double loss = LossOfFirst(passing);
        while (loss <= target && passing - failing > 1)
        {
            int middle = (passing + failing) / 2;
            double middleLoss = LossOfFirst(middle);
            (passing, failing, loss) = middleLoss <= target ? (middle, failing, middleLoss) : (passing, middle, loss);
        }

        return (First(passing), loss);
    }

    /// <summary>Measured once: searches for several targets ask for the same.</summary>
    public double LossOfFirst(int count)
    {
        if (!_losses.TryGetValue(count, out double loss))
        {
            loss = _evaluator.Loss(First(count), _pairs);
            _losses[count] = loss;
        }

        return loss;
    }

    private NodeSet First(int count)
    {
        var first = new NodeSet(_evaluator.Layout, _ranked.Take(count));
        IEnumerable<int> tied = _tied
            .Where(pair => first.Contains(pair.Query) || first.Contains(pair.Key))
            .SelectMany(pair => new[] { pair.Query, pair.Key });
        return _evaluator.Graph.WithoutDeadEnds(new NodeSet(_evaluator.Layout, first.Numbers.Concat(tied)));
    }
}
