using Sparsity.Core.Files;

namespace Sparsity.Core.Reproduction;

/// <summary>Which dense models stand for one of the sparse model's loss.</summary>
/// <param name="Sparse">Name of the sparse model.</param>
/// <param name="Dense">Names: one, or the two neighbours between which circuits are interpolated.</param>
/// <param name="Tried">All dense models that were trained to find them, in order.</param>
/// <param name="RelativeLoss">Loss of the dense model, or what it is interpolated at, over the sparse model's.</param>
internal sealed record DenseMatch(
    ulong Seed,
    string Sparse,
    MatchKind Kind,
    IReadOnlyList<string> Dense,
    double Share,
    double RelativeLoss,
    IReadOnlyList<string> Tried
)
{
    /// <param name="sparse">The sparse model.</param>
    /// <param name="match">What the search for it came to.</param>
    /// <param name="dense">The models of the match's widths.</param>
    /// <param name="tried">Names of all dense models trained for it.</param>
    public static DenseMatch Of(MeasuredModel sparse, WidthMatch match, IReadOnlyList<MeasuredModel> dense, IReadOnlyList<string> tried)
    {
        double first = dense[0].ValidationLoss;
        double loss = first + (match.Share * (dense[^1].ValidationLoss - first));
        return new DenseMatch(
            sparse.Model.Seed,
            sparse.Name,
            match.Kind,
            [.. dense.Select(model => model.Name)],
            match.Share,
            loss / sparse.ValidationLoss,
            tried
        );
    }
}

/// <summary>Kurtosis of models of one density; null for ordinary ones without AbsTopK.</summary>
/// <param name="Mean">Over seeds; the others are the smallest and largest.</param>
internal sealed record KurtosisPoint(double? Density, double Mean, double Smallest, double Largest, double ValidationLoss, int Seeds);

/// <summary>Models of one width and nonzero budget.</summary>
/// <param name="Nonzero">Entries of attention and MLP matrices that are not zero.</param>
/// <param name="Tasks">That every model of the figure does with a circuit at <paramref name="TargetLoss"/>; the mean is over these.</param>
/// <param name="Edges">Geometric mean over tasks and seeds; null where there are no such tasks.</param>
internal sealed record FrontierPoint(
    int Width,
    double Density,
    long Nonzero,
    double ValidationLoss,
    double TargetLoss,
    int Tasks,
    double? Edges
);

/// <summary>The model with only its circuits frozen, over the circuits that meet one target.</summary>
/// <param name="Circuits">How many meet it.</param>
/// <param name="MeanLoss">Of the circuits, in nats on test prompts.</param>
/// <param name="MeanLossWithout">Of the model without them.</param>
/// <param name="LowestLossWithout">Of the model without the one that it needs least.</param>
/// <param name="Necessary">Share of circuits without which the model is no better than guessing (ln 2).</param>
internal sealed record NecessityPoint(
    double TargetLoss,
    int Circuits,
    double MeanLoss,
    double MeanLossWithout,
    double LowestLossWithout,
    double Necessary
);

/// <summary>
/// result.json: a figure in numbers, with all that they follow from. Holds no times and no paths, so that two runs of a plan give the same
/// bytes.
/// </summary>
internal sealed record FigureResult
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>What came out, in a sentence or two.</summary>
    public required string Headline { get; init; }

    public required ReproductionPlan Plan { get; init; }

    /// <summary>Every model that was trained.</summary>
    public required IReadOnlyList<MeasuredModel> Models { get; init; }

    /// <summary>Every pruning, as it came out.</summary>
    public IReadOnlyList<ModelCircuits> Circuits { get; init; } = [];

    /// <summary>Dense partners of sparse models; in <see cref="Figure.SizeVsLoss"/> and <see cref="Figure.TokenLosses"/>.</summary>
    public IReadOnlyList<DenseMatch>? Matches { get; init; }

    /// <summary>Ratios of edges; in <see cref="Figure.SizeVsLoss"/> and <see cref="Figure.PruningBaseline"/>.</summary>
    public EdgeComparison? Comparison { get; init; }

    /// <summary>Points of <see cref="Figure.Kurtosis"/>.</summary>
    public IReadOnlyList<KurtosisPoint>? Kurtosis { get; init; }

    /// <summary>Points of <see cref="Figure.Frontier"/>.</summary>
    public IReadOnlyList<FrontierPoint>? Frontier { get; init; }

    /// <summary>Points of <see cref="Figure.Necessity"/>.</summary>
    public IReadOnlyList<NecessityPoint>? Necessity { get; init; }

    /// <summary>Every token that occurs; in <see cref="Figure.TokenLosses"/>.</summary>
    public IReadOnlyList<TokenLoss>? TokenLosses { get; init; }
}
