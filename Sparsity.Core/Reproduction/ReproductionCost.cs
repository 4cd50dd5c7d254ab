namespace Sparsity.Core.Reproduction;

/// <summary>
/// What work takes, in minutes of two cores of the machine that the numbers of docs/results.md come from. Only the choice of a plan follows
/// from it: how long a plan takes elsewhere, on a GPU say, changes nothing of what is done.
/// </summary>
internal static class ReproductionCost
{
    private const double MicrosecondsPerToken = 4;
    private const double MicrosecondsPerChannel = 0.09;
    private const double MicrosecondsPerEntry = 3e-5;

    /// <summary>Average share of a sparse model's weights over its training: the budget falls for half of it.</summary>
    private const double ShareWhileAnnealed = 0.3;

    /// <summary>Forward passes that a pair of prompts of mask training stands for: two prompts, with their way back.</summary>
    private const double PassesPerTrainingPair = 6;

    /// <summary>
    /// The same for choosing and describing the circuit of one target, for each pair chosen on: bisection, controls, single nodes.
    /// </summary>
    private const double PassesPerSelectionPair = 60;

    private const double TokensPerPrompt = 40;

    /// <summary>Dense models that a match takes on average, and those of them that are pruned.</summary>
    internal const double DenseTrained = 2;

    /// <inheritdoc cref="DenseTrained"/>
    internal const double DensePruned = 1.5;

    /// <summary>Training of one model.</summary>
    public static double TrainingMinutes(PlannedModel model) =>
        model.Tokens * MicrosecondsPerPass(model, model.Density < 1 ? ShareWhileAnnealed : 1) / 60e6;

    /// <summary>Pruning one model to all tasks of a plan with one seed.</summary>
    public static double PruningMinutes(PlannedModel model, StagePlan plan)
    {
        double passes =
            (PassesPerTrainingPair * plan.Pruning.Steps * plan.Pruning.BatchPairs * plan.Pruning.KCoef.Count)
            + (PassesPerSelectionPair * plan.Pruning.SelectionPairs * plan.TargetLosses.Count);

        // A way forward is a third of a training step.
        return plan.Tasks.Count * passes * TokensPerPrompt * MicrosecondsPerPass(model, model.Density ?? 1) / 3 / 60e6;
    }

    private static double MicrosecondsPerPass(PlannedModel model, double share) =>
        MicrosecondsPerToken + (MicrosecondsPerChannel * model.Layers * model.Width) + (MicrosecondsPerEntry * model.MatrixEntries * share);
}
