using System.Xml.Linq;
using Sparsity.Core.Reproduction;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>Plots and table of the figure token-losses.</summary>
internal static class TokenLossFigure
{
    private const int Bars = 12;
    private const int Rows = 40;

    public static IEnumerable<XElement> Body(IReadOnlyList<TokenLoss> losses)
    {
        IGrouping<int, TokenLoss>[] byCount = [.. losses.GroupBy(token => (int)Math.Log2(token.Count)).OrderBy(group => group.Key)];
        yield return Charts.Lines(
            new ChartOptions(
                "Loss against how often a token occurs",
                "places of the token in the validation text",
                "loss in nats, mean over the places of tokens about as frequent"
            )
            {
                LogX = true,
                Zero = true,
            },
            Through("sparse", token => token.Sparse),
            Through("dense", token => token.Dense)
        );
        yield return E(
            "div",
            A("class", "charts"),
            Most("Tokens at which sparse models lose most against dense ones", losses.OrderByDescending(token => token.Excess())),
            Most("Tokens at which they win most", losses.OrderBy(token => token.Excess()))
        );
        yield return Markup.Table(
            $"The {Rows} tokens at which the two kinds differ most, all places of a token together. Difference: of the pairs of models, "
                + "from the smallest to the largest. All tokens: result.json.",
            ["token", "places", "loss, sparse", "loss, dense", "difference, pair by pair", "nats at all places together"],
            losses
                .OrderByDescending(token => Math.Abs(token.Excess()))
                .Take(Rows)
                .Select(token =>
                    new object[]
                    {
                        token.Text,
                        Format($"{token.Count:#,0}"),
                        Loss(token.Sparse),
                        Loss(token.Dense),
                        $"{Loss(token.SmallestDifference)} to {Loss(token.LargestDifference)}",
                        Number(Math.Round(token.Excess(), 1)),
                    }
                )
        );

        Curve Through(string name, Func<TokenLoss, double> loss) =>
            Curve.Through(
                name,
                byCount.Select(group =>
                    (
                        Math.Exp(group.Average(token => Math.Log(token.Count))),
                        group.Sum(token => token.Count * loss(token)) / group.Sum(token => token.Count)
                    )
                )
            );

        static XElement Most(string title, IEnumerable<TokenLoss> tokens) =>
            Charts.Bars(
                title,
                "mean loss in nats",
                tokens
                    .Take(Bars)
                    .Select(token =>
                        (Format($"{token.Text}, {token.Count:#,0} places"), new[] { ("sparse", token.Sparse), ("dense", token.Dense) })
                    )
            );
    }
}
