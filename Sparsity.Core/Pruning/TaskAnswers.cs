using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>How a model answers a task's prompts. Probabilities are between the two answers.</summary>
/// <param name="Loss">Mean loss in nats, of the kind that was asked for.</param>
/// <param name="Accuracy">Share of prompts whose right answer has the larger logit.</param>
/// <param name="Probabilities">Probability of the right answer after the first and after the second prompt of each pair.</param>
internal sealed record TaskAnswers(double Loss, double Accuracy, IReadOnlyList<(double First, double Second)> Probabilities)
{
    /// <summary>Mean probability of the first answer after first prompts, where it is right.</summary>
    public double ProbabilityA => Probabilities.Average(pair => pair.First);

    /// <summary>Mean probability of the second answer after second prompts, where it is right.</summary>
    public double ProbabilityB => Probabilities.Average(pair => pair.Second);

    /// <summary>Asks a model with some of its nodes scaled.</summary>
    /// <param name="masked">Of the model.</param>
    /// <param name="scales">One per node: 1 leaves it, 0 freezes it, other values move it along the line through both.</param>
    /// <param name="pairs">The prompts.</param>
    /// <param name="loss">Which loss is answered.</param>
    public static TaskAnswers Of(MaskedRunner masked, ReadOnlySpan<float> scales, IReadOnlyList<TokenizedPair> pairs, TaskLoss loss)
    {
        masked.Gates.SetMask(scales);
        LogitDifferences differences = masked.Runner.AllDifferences(pairs);
        return new TaskAnswers(
            loss == TaskLoss.Binary ? differences.BinaryLoss() : masked.Runner.MeanLoss(pairs, loss),
            differences.Accuracy(),
            [.. differences.Pairs.Select(pair => (1 / (1 + Math.Exp(-pair.First)), 1 / (1 + Math.Exp(pair.Second))))]
        );
    }
}
