using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>Replaces the activations of chosen nodes by two values each: above and below a threshold (paper, appendix C).</summary>
internal sealed class NodeBinarisation(IComputeEngine engine) : ISiteHook
{
    private readonly Dictionary<Node, (float Threshold, float Low, float High)> _levels = [];

    /// <summary>Which nodes are binarised, and how.</summary>
    public void Set(IEnumerable<(Node Node, (float Threshold, float Low, float High) Levels)> levels)
    {
        _levels.Clear();
        foreach ((Node node, (float Threshold, float Low, float High) level) in levels)
        {
            _levels[node] = level;
        }
    }

    public void Forward(Site site, ActivationTensor activation)
    {
        Node[] here = [.. _levels.Keys.Where(node => node.Site == site)];
        if (here.Length == 0)
        {
            return;
        }

        var values = new float[activation.Length];
        engine.Read(activation, values);
        foreach (Node node in here)
        {
            (float threshold, float low, float high) = _levels[node];
            for (int i = node.Channel; i < values.Length; i += activation.Channels)
            {
                values[i] = values[i] >= threshold ? high : low;
            }
        }

        engine.Write(activation, values);
    }

    /// <summary>Only for measuring: a step has no gradient.</summary>
    public void Backward(Site site, ActivationTensor gradient) => throw new NotSupportedException("Binarised nodes have no gradient.");

    /// <summary>The threshold and the two means that leave the least squared error; of equal ones the lowest threshold.</summary>
    public static (float Threshold, float Low, float High) BestLevels(IReadOnlyList<float> values)
    {
        float[] sorted = [.. values.Order()];
        double total = sorted.Sum(value => (double)value);
        double below = 0;
        double best = double.NegativeInfinity;
        (float, float, float) levels = (sorted[0], sorted[0], (float)(total / sorted.Length));
        for (int i = 1; i < sorted.Length; i++)
        {
            below += sorted[i - 1];
            if (sorted[i] == sorted[i - 1])
            {
                continue;
            }

            // The error is the sum of squares minus this.
            double explained = (below * below / i) + ((total - below) * (total - below) / (sorted.Length - i));
            if (explained > best)
            {
                best = explained;
                levels = (
                    ((sorted[i] - sorted[i - 1]) / 2) + sorted[i - 1],
                    (float)(below / i),
                    (float)((total - below) / (sorted.Length - i))
                );
            }
        }

        return levels;
    }

    /// <summary>Binarises the nodes of a circuit one by one and all at once.</summary>
    /// <returns>Per node in order, and the loss with all of them.</returns>
    public static (IReadOnlyList<Binarisation> Nodes, BinarisedLoss Loss) Measure(
        CircuitEvaluator evaluator,
        NodeSet nodes,
        IReadOnlyList<TokenizedPair> training,
        IReadOnlyList<TokenizedPair> test
    )
    {
        Node[] kept = [.. nodes.Nodes];
        IComputeEngine engine = evaluator.Model.Parameters.Engine;
        TokenizedPair[] pairs = [.. test.Take(CircuitEvaluator.PairsInDetail(kept.Length))];
        double whole = evaluator.Loss(nodes, test);
        RecordedText inCircuit = RecordedText.OfPrompts(evaluator, kept, training);
        (float Threshold, float Low, float High)[] levels = [.. inCircuit.Values.Select(BestLevels)];
        var hook = new NodeBinarisation(engine);
        evaluator.Masked.Runner.Hooks.Add(hook);
        var results = new List<Binarisation>();
        for (int i = 0; i < kept.Length; i++)
        {
            hook.Set([(kept[i], levels[i])]);
            results.Add(new Binarisation(levels[i].Threshold, levels[i].Low, levels[i].High, evaluator.Loss(nodes, pairs)));
        }

        hook.Set(kept.Zip(levels));
        double all = evaluator.Loss(nodes, test);
        evaluator.Masked.Runner.Hooks.Remove(hook);
        return (results, new BinarisedLoss(whole, all));
    }
}
