using System.Text.Json.Serialization;

namespace Sparsity.Core.Training;

/// <summary>One line of metrics.jsonl. The fields from validation_loss on are there every evaluate_every steps only.</summary>
public sealed record TrainingMetrics
{
    /// <summary>0-based step, measured before its update.</summary>
    public required int Step { get; init; }

    /// <summary>Tokens seen, this step's included.</summary>
    public required long Tokens { get; init; }

    /// <summary>Mean training loss in nats of this step's batch; absent where the step was skipped.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? Loss { get; init; }

    /// <summary>
    /// Standard deviations by which the loss lies above its running mean, where they are so many that it is a spike; such a step always has
    /// a line.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? LossSpike { get; init; }

    /// <summary>Steps skipped so far because a number was not finite; absent where there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int SkippedSteps { get; init; }

    public required double LearningRate { get; init; }

    /// <summary>Nonzero budget relative to the base model; null for a dense model.</summary>
    public double? Pfrac { get; init; }

    /// <summary>Root mean square of the whole gradient before scaling; absent where the step was skipped.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? GradientRms { get; init; }

    /// <summary>Since the last line.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>
    /// With several processes, the share of the time since the last line in which rank 0 waited for the others' gradients after its own
    /// were done.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? ExchangeShare { get; init; }

    /// <summary>The terms of the loss by name, where it has several.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Terms { get; init; }

    /// <summary>In nats, after this step's update.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? ValidationLoss { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ModelStatistics? Statistics { get; init; }

    /// <summary>Mean over channels of E[(x-mu)^4]/sigma^4 of final_resid, on the last part of the last validation batch.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? FinalResidualKurtosis { get; init; }
}
