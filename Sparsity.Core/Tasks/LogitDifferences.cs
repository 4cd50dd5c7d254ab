namespace Sparsity.Core.Tasks;

/// <summary>
/// Logit differences d = z[a] - z[b] of pairs of prompts, in nats, and the binary loss over them (docs/method.md section 3): after a pair's
/// first prompt a is right, after its second b.
/// </summary>
/// <param name="Pairs">One entry per pair.</param>
internal sealed record LogitDifferences(IReadOnlyList<(double First, double Second)> Pairs)
{
    private int Prompts => 2 * Pairs.Count;

    /// <summary>Mean over prompts, in nats, of differences after scale * d + shift.</summary>
    public double BinaryLoss(double scale = 1, double shift = 0)
    {
        double sum = 0;
        foreach ((double first, double second) in Pairs)
        {
            sum += SoftPlus(-((scale * first) + shift));
            sum += SoftPlus((scale * second) + shift);
        }

        return sum / Prompts;
    }

    /// <summary>The derivative of <see cref="BinaryLoss"/> with respect to each scale * d + shift; one entry per pair.</summary>
    public IReadOnlyList<(double First, double Second)> BinaryLossGradient(double scale = 1, double shift = 0) =>
        [.. Pairs.Select(pair => (-Sigmoid(-((scale * pair.First) + shift)) / Prompts, Sigmoid((scale * pair.Second) + shift) / Prompts))];

    /// <summary>
    /// How far these answers are from others to the same prompts: the Kullback-Leibler divergence of the probabilities of the two answers
    /// here from those there, KL(there || here), mean over prompts, in nats.
    /// </summary>
    public double DivergenceFrom(LogitDifferences other) =>
        Pairs.Zip(other.Pairs, (here, there) => Divergence(there.First, here.First) + Divergence(there.Second, here.Second)).Sum()
        / Prompts;

    /// <summary>The derivative of <see cref="DivergenceFrom"/> with respect to each difference here; one entry per pair.</summary>
    public IReadOnlyList<(double First, double Second)> DivergenceGradient(LogitDifferences other) =>
        [
            .. Pairs.Zip(
                other.Pairs,
                (here, there) =>
                    ((Sigmoid(here.First) - Sigmoid(there.First)) / Prompts, (Sigmoid(here.Second) - Sigmoid(there.Second)) / Prompts)
            ),
        ];

    /// <summary>Share of prompts whose right answer has the larger logit; an exact tie counts half.</summary>
    public double Accuracy() => Pairs.Sum(pair => Right(pair.First) + Right(-pair.Second)) / Prompts;

    private static double Right(double margin) =>
        margin > 0 ? 1
        : margin == 0 ? 0.5
        : 0;

    private static double Divergence(double of, double from)
    {
        double p = Sigmoid(of);
        return (p * (SoftPlus(-from) - SoftPlus(-of))) + ((1 - p) * (SoftPlus(from) - SoftPlus(of)));
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>log(1 + e^x) without overflow.</summary>
    private static double SoftPlus(double x) => Math.Max(x, 0) + Math.Log(1 + Math.Exp(-Math.Abs(x)));
}
