using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Verbs;

/// <summary>Runs a training run and says how it goes.</summary>
internal static class TrainingProgress
{
    /// <summary>Trains to the last step, or until asked to stop; returns whether the last step was reached.</summary>
    public static bool Run(TrainingRun run, CancellationToken stop, Action<TrainingMetrics>? onMetrics = null)
    {
        bool isFinished = run.Run(metrics => Report(metrics, run, onMetrics), stop, reason => Terminal.Line($"{reason}"));
        if (run.SkippedSteps > 0)
        {
            Terminal.Line(
                $"{run.SkippedSteps} steps were skipped because a number was not finite; metrics.jsonl counts them as skipped_steps"
            );
        }

        return isFinished;
    }

    /// <summary>The same with a run that is gone on with.</summary>
    public static bool Resume(TrainingRun run, CancellationToken stop, Action<TrainingMetrics>? onMetrics = null)
    {
        if (run.ResumeWarning is { } warning)
        {
            Terminal.Line($"{warning}");
        }

        Terminal.Line(
            run.NextStep > run.LastStep
                ? (InvariantText)$"{run.Folder.Directory} has done all of its {run.LastStep} steps already"
                : $"continuing {run.Folder.Directory} at step {run.NextStep} of {run.LastStep}"
        );
        return Run(run, stop, onMetrics);
    }

    private static void Report(TrainingMetrics metrics, TrainingRun run, Action<TrainingMetrics>? onMetrics)
    {
        int lastStep = run.LastStep;
        double tokensLeft = (lastStep - metrics.Step) * ((double)metrics.Tokens / (metrics.Step + 1));
        string left = Terminal.Duration(tokensLeft / metrics.TokensPerSecond);
        if (metrics.LossSpike is { } deviations)
        {
            Terminal.Line(
                $"step {metrics.Step}/{lastStep}: the loss spiked to {metrics.Loss:0.000}, {deviations:0.0} standard deviations above "
                    + $"its running mean"
            );
        }

        if (metrics.ValidationLoss is { } validation)
        {
            Terminal.Line(
                $"step {metrics.Step}/{lastStep}: loss {metrics.Loss:0.000}, validation {validation:0.000}, nonzero "
                    + $"{metrics.Statistics!.NonzeroFraction:0.0000}, {metrics.TokensPerSecond:0} tokens/s, {left} left"
            );
        }
        else
        {
            Terminal.Status(
                $"step {metrics.Step}/{lastStep}: loss {metrics.Loss:0.000}, {metrics.TokensPerSecond:0} tokens/s, {left} left"
            );
        }

        onMetrics?.Invoke(metrics);
    }
}
