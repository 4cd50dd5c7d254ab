namespace Sparsity.Core.Training;

/// <summary>
/// What a run has seen of its losses: their running mean and deviation, against which spikes stand out, and the steps it skipped. Kept in
/// checkpoints.
/// </summary>
/// <param name="Steps">Losses seen.</param>
/// <param name="Mean">Running mean in nats.</param>
/// <param name="Variance">Running mean of the squared distance from it.</param>
/// <param name="Skipped">Steps skipped because a number was not finite.</param>
internal sealed record LossWatch(long Steps = 0, double Mean = 0, double Variance = 0, int Skipped = 0)
{
    /// <summary>In the metadata of train_state.safetensors.</summary>
    internal const string Key = "loss_watch";

    /// <summary>The means are over about this many steps, and no step before is a spike.</summary>
    private const int Window = 50;

    private const double LeastDeviations = 6;

    /// <summary>A smooth loss has a deviation near 0: at least this share of the mean counts as one.</summary>
    private const double LeastDeviation = 0.01;

    /// <summary>Takes in one more loss.</summary>
    /// <param name="loss">In nats, finite.</param>
    /// <returns>The watch after it; and, if it is a spike, how many deviations above the mean it lies.</returns>
    public (LossWatch Watch, double? Spike) After(double loss)
    {
        double weight = 1 / (double)Math.Min(Steps + 1, Window);
        double distance = loss - Mean;
        double deviations = distance / Math.Max(Math.Sqrt(Variance), LeastDeviation * Math.Abs(Mean));
        var after = this with
        {
            Steps = Steps + 1,
            Mean = Mean + (weight * distance),
            Variance = (1 - weight) * (Variance + (weight * distance * distance)),
        };
        return (after, Steps >= Window && deviations > LeastDeviations ? Math.Round(deviations, 1) : null);
    }
}
