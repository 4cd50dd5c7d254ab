using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>Nodes ranked by a score, best first, and the losses of the first so many of them on one set of prompts.</summary>
internal sealed class NodeRanking
{
    /// <summary>Growth of the number of nodes from one trial to the next until the target is met, where no mask says how many.</summary>
    private const double Growth = 1.3;

    private readonly CircuitEvaluator _evaluator;
    private readonly IReadOnlyList<TokenizedPair> _pairs;
    private readonly int[] _ranked;
    private readonly (int Query, int Key)[] _tied;
    private readonly Dictionary<int, TriedSize> _tried = [];

    /// <param name="evaluator">Of the model.</param>
    /// <param name="scores">One per node; excluded nodes are left out, whatever theirs is.</param>
    /// <param name="pairs">The prompts that losses are measured on.</param>
    /// <param name="mask">The mask whose taus the scores are; null for other scores.</param>
    public NodeRanking(CircuitEvaluator evaluator, double[] scores, IReadOnlyList<TokenizedPair> pairs, TrainedMask? mask = null)
    {
        _evaluator = evaluator;
        _pairs = pairs;
        Scores = scores;
        Mask = mask;
        _ranked =
        [
            .. NodeSet.Of(evaluator.Layout, evaluator.Config.Exclude).Complement().Numbers.OrderByDescending(i => scores[i]).ThenBy(i => i),
        ];
        _tied = evaluator.Config.TiedQueryKey ? [.. evaluator.Layout.QueryKeyPairs] : [];
    }

    /// <summary>One per node of the model.</summary>
    public double[] Scores { get; }

    /// <summary>Where the scores are a mask's taus: the mask.</summary>
    public TrainedMask? Mask { get; }

    /// <summary>Nodes that may be in a circuit.</summary>
    public int Count => _ranked.Length;

    /// <summary>
    /// The fewest nodes whose loss is at most <paramref name="target"/>. The loss is not monotone in their number: bisection starts from
    /// what the mask kept, which stays as it is where it misses the target; without a mask from the first number, growing, that meets it.
    /// </summary>
    /// <param name="target">In nats.</param>
    /// <returns>What was tried on the way, by size, besides the number and its loss.</returns>
    public (int Count, double Loss, IReadOnlyList<TriedSize> Tried) Fewest(double target)
    {
        var asked = new SortedSet<int>();
        int failing = 0;
        int passing = Mask?.Kept ?? 1;
        while (Mask is null && passing < Count && !Meets(passing))
        {
            failing = passing;
            passing = Math.Min(Count, Math.Max(passing + 1, (int)(passing * Growth)));
        }

        while (Meets(passing) && passing - failing > 1)
        {
            int middle = (passing + failing) / 2;
            (passing, failing) = Meets(middle) ? (middle, failing) : (passing, middle);
        }

        return (passing, LossOfFirst(passing), [.. asked.Select(SizeOfFirst).DistinctBy(size => size.Nodes).OrderBy(size => size.Nodes)]);

        bool Meets(int count)
        {
            asked.Add(count);
            return LossOfFirst(count) <= target;
        }
    }

    /// <summary>Measured once: searches for several targets ask for the same.</summary>
    public double LossOfFirst(int count) => SizeOfFirst(count).Loss;

    /// <summary>The first so many nodes, less dead ends.</summary>
    public NodeSet First(int count)
    {
        var first = new NodeSet(_evaluator.Layout, _ranked.Take(count));
        IEnumerable<int> tied = _tied
            .Where(pair => first.Contains(pair.Query) || first.Contains(pair.Key))
            .SelectMany(pair => new[] { pair.Query, pair.Key })
            .Intersect(_ranked);
        return _evaluator.Graph.WithoutDeadEnds(new NodeSet(_evaluator.Layout, first.Numbers.Concat(tied)));
    }

    private TriedSize SizeOfFirst(int count)
    {
        if (!_tried.TryGetValue(count, out TriedSize? size))
        {
            NodeSet nodes = First(count);
            _tried[count] = size = new TriedSize(nodes.Count, _evaluator.SelectionLoss(nodes, _pairs));
        }

        return size;
    }
}
