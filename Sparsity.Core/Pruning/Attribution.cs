using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>
/// The baselines that mask training is compared with: nodes ranked by how much freezing them changes the loss to first order, summed over
/// prompts and tokens. Attribution takes the slope at the whole model, gradient times (activation - replacement); integrated gradients its
/// mean on the way from all nodes frozen to none.
/// </summary>
internal static class Attribution
{
    /// <summary>Places on the way at which integrated gradients takes the slope.</summary>
    private const int PathSteps = 16;

    /// <summary>The slope of the task loss in each node's mask, in absolute value; one per node.</summary>
    /// <param name="evaluator">Of the model.</param>
    /// <param name="pairs">The prompts.</param>
    /// <param name="method">A baseline.</param>
    public static double[] Scores(CircuitEvaluator evaluator, IReadOnlyList<TokenizedPair> pairs, PruningMethod method)
    {
        float[] levels =
            method == PruningMethod.Integrated ? [.. Enumerable.Range(0, PathSteps).Select(step => (step + 0.5f) / PathSteps)] : [1];
        float[] whole = NodeSet.Of(evaluator.Layout, evaluator.Config.Exclude).Complement().ToMask();
        var scores = new double[whole.Length];
        var gradient = new float[scores.Length];
        foreach (float level in levels)
        {
            float[] mask = [.. whole.Select(value => value * level)];
            foreach (TokenizedPair[] batch in pairs.Chunk(evaluator.Masked.Runner.Pairs))
            {
                // The activation is replacement + mask * (activation - replacement): the slope in the mask is gradient times difference.
                evaluator.Masked.LossAndMaskGradient(mask, batch, evaluator.Config.Loss, gradient);
                for (int i = 0; i < scores.Length; i++)
                {
                    scores[i] += (double)gradient[i] * batch.Length / pairs.Count / levels.Length;
                }
            }
        }

        return [.. scores.Select(Math.Abs)];
    }

    /// <summary>For each target, the first so many nodes of the ranking that meet it; all nodes where none do.</summary>
    /// <param name="evaluator">Of the model.</param>
    /// <param name="selection">The prompts to rank and choose on.</param>
    /// <param name="targetLosses">In nats; the configuration's margin applies.</param>
    /// <param name="method">A baseline.</param>
    public static IReadOnlyList<ChosenNodes> Choose(
        CircuitEvaluator evaluator,
        IReadOnlyList<TokenizedPair> selection,
        IReadOnlyList<double> targetLosses,
        PruningMethod method
    )
    {
        var ranking = new NodeRanking(evaluator, Scores(evaluator, selection, method), selection);
        using var chooser = new CircuitChooser(evaluator, selection);
        return [.. targetLosses.Select(target => chooser.Choose([ranking], target))];
    }
}
