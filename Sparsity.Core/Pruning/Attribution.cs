using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// The baseline that mask training is compared with: nodes ranked by gradient times (activation - mean), summed over prompts and tokens.
/// </summary>
internal static class Attribution
{
    /// <summary>Growth of the number of nodes from one trial to the next until the target is met.</summary>
    private const double Growth = 1.3;

    /// <summary>
    /// How much, to first order, freezing each node changes the task loss of the whole model, in absolute value; one per node.
    /// </summary>
    public static double[] Scores(CircuitEvaluator evaluator, IReadOnlyList<TokenizedPair> pairs)
    {
        // At a full mask the derivative with respect to a node's mask is exactly the sum of gradient times (activation - replacement).
        float[] mask = NodeSet.All(evaluator.Layout).ToMask();
        var scores = new double[mask.Length];
        var gradient = new float[scores.Length];
        foreach (TokenizedPair[] batch in pairs.Chunk(evaluator.Masked.Runner.Pairs))
        {
            evaluator.Masked.LossAndMaskGradient(mask, batch, evaluator.Config.Loss, gradient);
            for (int i = 0; i < scores.Length; i++)
            {
                scores[i] += gradient[i] * batch.Length / pairs.Count;
            }
        }

        return [.. scores.Select(Math.Abs)];
    }

    /// <summary>The first so many nodes of the ranking that meet the target, bisected; all nodes where none do.</summary>
    /// <param name="evaluator">Of the model.</param>
    /// <param name="selection">The prompts to rank and choose on.</param>
    /// <param name="targetLoss">In nats; the configuration's margin applies.</param>
    public static ChosenNodes Choose(CircuitEvaluator evaluator, IReadOnlyList<TokenizedPair> selection, double targetLoss) =>
        Choose(evaluator, selection, [targetLoss])[0];

    /// <summary>The same for several targets, which measures what they share once.</summary>
    /// <inheritdoc cref="Choose(CircuitEvaluator, IReadOnlyList{TokenizedPair}, double)"/>
    public static IReadOnlyList<ChosenNodes> Choose(
        CircuitEvaluator evaluator,
        IReadOnlyList<TokenizedPair> selection,
        IReadOnlyList<double> targetLosses
    )
    {
        double[] scores = Scores(evaluator, selection);
        var ranking = new NodeRanking(evaluator, scores, selection);
        return [.. targetLosses.Select(Fewest)];

        ChosenNodes Fewest(double targetLoss)
        {
            double target = targetLoss * evaluator.Config.SelectionMargin;
            int failing = 0;
            int count = 1;
            while (count < scores.Length && !(ranking.LossOfFirst(count) <= target))
            {
                failing = count;
                count = Math.Min(scores.Length, Math.Max(count + 1, (int)(count * Growth)));
            }

            (NodeSet nodes, double loss) = ranking.Fewest(count, target, failing);
            return new ChosenNodes(nodes, scores, 0, loss, loss <= target);
        }
    }
}
