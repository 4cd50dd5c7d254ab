using System.Text.Json.Serialization;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;

namespace Sparsity.Core.Bridges;

/// <summary>Mean probabilities of the two answers over the presented prompts.</summary>
/// <param name="Counterfactual">Of the answer that is right after the counterfactual prompt: what steering should raise.</param>
/// <param name="Presented">Of the answer that is right after the presented prompt.</param>
internal sealed record AnswerProbabilities(double Counterfactual, double Presented);

/// <summary>The probabilities at one strength.</summary>
/// <param name="Strength">1 moves the node by all of its difference between the prompts.</param>
/// <param name="Dense">The dense model, steered over the bridge.</param>
/// <param name="Sparse">The sparse model, its node moved by the same difference.</param>
/// <param name="Random">The dense model, steered along random directions of equal norm: mean over directions.</param>
/// <param name="RandomLow">The lowest <see cref="AnswerProbabilities.Counterfactual"/> of a random direction.</param>
/// <param name="RandomHigh">The highest.</param>
internal sealed record SteeringPoint(
    double Strength,
    AnswerProbabilities Dense,
    AnswerProbabilities Sparse,
    AnswerProbabilities Random,
    double RandomLow,
    double RandomHigh
);

/// <summary>A steered node.</summary>
/// <param name="MeanDifference">Mean over presented prompts of its activation in the counterfactual prompt minus that in the presented one,
/// at the last token.</param>
/// <param name="RmsRatio">RMS of the sparse residual / RMS of the dense residual where the node reads, mean over reference tokens.</param>
/// <param name="DirectionNorm">Euclidean norm of what a difference of 1 adds to the dense model's normed residual at strength 1.</param>
internal sealed record SteeredNode(
    [property: JsonPropertyName("name")] Node Node,
    double MeanDifference,
    double RmsRatio,
    double DirectionNorm
);

/// <summary>What steering did; the mean is over all presented prompts.</summary>
/// <param name="Prompts">Presented prompts.</param>
/// <param name="RandomDirections">Random directions per strength.</param>
internal sealed record SteeringResult(
    IReadOnlyList<SteeredNode> Nodes,
    int Prompts,
    int RandomDirections,
    ulong Seed,
    IReadOnlyList<SteeringPoint> Points
)
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>
    /// Factor by which the last strength multiplies the counterfactual answer's probability in the dense model, against strength 0 of no
    /// edit.
    /// </summary>
    public double DenseFactor => Points[^1].Dense.Counterfactual / Points[0].Dense.Counterfactual;

    /// <summary>The same for random directions.</summary>
    public double RandomFactor => Points[^1].Random.Counterfactual / Points[0].Random.Counterfactual;
}
