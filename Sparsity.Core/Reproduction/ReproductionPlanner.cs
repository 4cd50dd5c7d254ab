using System.Globalization;
using Sparsity.Core.Circuits;

namespace Sparsity.Core.Reproduction;

/// <summary>Turns a budget into a plan: the largest scale whose estimated time it holds.</summary>
internal static class ReproductionPlanner
{
    /// <summary>Tokens of the tokenizer trained on synthetic text.</summary>
    private const int Vocabulary = 512;

    /// <summary>
    /// Widths among which dense models are looked for, as shares of the sparse one's: with few weights in each row, the sparse model is
    /// matched by narrow ones.
    /// </summary>
    private static readonly double[] WidthShares =
    [
        1.0 / 16,
        3.0 / 32,
        1.0 / 8,
        5.0 / 32,
        3.0 / 16,
        1.0 / 4,
        5.0 / 16,
        3.0 / 8,
        1.0 / 2,
        3.0 / 4,
        1,
    ];

    /// <summary>The search begins at one in so many channels: near it, small models matched.</summary>
    private const int FirstWidthShare = 8;

    private static readonly double[] KurtosisDensities = [1, 1.0 / 2, 1.0 / 4, 1.0 / 8, 1.0 / 16, 1.0 / 32, 1.0 / 64, 1.0 / 128];

    /// <summary>Nonzero budgets of the frontier as shares of the entries of the scale's width.</summary>
    private static readonly double[] FrontierBudgets = [1.0 / 8, 1.0 / 16, 1.0 / 32];

    private static readonly double[] FrontierWidths = [0.5, 1, 2];

    /// <summary>Below this scale the frontier, which has the most models, has one seed.</summary>
    private const int FirstFrontierWithSeeds = 3;

    /// <summary>The plan for a budget.</summary>
    /// <param name="figure">What to make.</param>
    /// <param name="budgetMinutes">Of two cores.</param>
    /// <param name="seed">Of everything.</param>
    /// <param name="data">Data folder, as an absolute path; null for synthetic text.</param>
    /// <param name="version">This program's.</param>
    /// <exception cref="BadInputException">The budget is no number above 0, or holds not even the smallest scale.</exception>
    public static ReproductionPlan Plan(Figure figure, double budgetMinutes, ulong seed, string? data, string version)
    {
        if (!(budgetMinutes is > 0 and < double.PositiveInfinity))
        {
            throw new BadInputException(FormattableString.Invariant($"the budget is {budgetMinutes}, but must be minutes above 0."));
        }

        ReproductionPlan[] plans = [.. ReproductionScale.All.Select(scale => At(scale, figure, budgetMinutes, seed, data, version))];
        return plans.LastOrDefault(plan => plan.EstimatedMinutes <= budgetMinutes)
            ?? throw new BadInputException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"the budget is {budgetMinutes} minutes, but the smallest plan for {figure.Name()} takes about "
                        + $"{plans[0].EstimatedMinutes}. Raise the budget."
                )
            );
    }

    /// <summary>The plan of a scale.</summary>
    public static ReproductionPlan At(
        ReproductionScale scale,
        Figure figure,
        double budgetMinutes,
        ulong seed,
        string? data,
        string version
    )
    {
        var plan = new ReproductionPlan
        {
            Version = version,
            Figure = figure,
            BudgetMinutes = budgetMinutes,
            Scale = scale.Level,
            EstimatedMinutes = 0,
            Seed = seed,
            Data = data,
            Megabytes = scale.Megabytes,
            Vocabulary = Vocabulary,
            Models =
            [
                .. Enumerable
                    .Range(0, figure == Figure.Frontier && scale.Level < FirstFrontierWithSeeds ? 1 : scale.Seeds)
                    .SelectMany(i => Models(scale, figure, seed + (ulong)i)),
            ],
            DenseWidths = figure.MatchesDense()
                ? [.. WidthShares.Select(share => Math.Max(4, (int)(share * scale.Width) / 4 * 4)).Distinct()]
                : [],
            FirstDenseWidth = figure.MatchesDense() ? scale.Width / FirstWidthShare : 0,
            Tasks = figure.Prunes() ? scale.Tasks : [],
            TargetLosses = figure.Prunes() ? scale.TargetLosses : [],
            Pruning = new PruningConfig
            {
                Seed = seed,
                Steps = scale.MaskSteps,
                KCoef = scale.Level < 3 ? [1e-3, 3e-3] : new PruningConfig().KCoef,
                SelectionPairs = scale.Prompts,
                TestPairs = 2 * scale.Prompts,
                RandomCircuits = scale.Level < 3 ? 2 : 5,
                NodeDetails = false,
            },
        };
        return plan with { EstimatedMinutes = Math.Round(Minutes(plan), 2) };
    }

    private static IEnumerable<PlannedModel> Models(ReproductionScale scale, Figure figure, ulong seed) =>
        figure switch
        {
            Figure.Kurtosis => KurtosisDensities
                .Where(density => density >= (double)PlannedModel.MinimumAlive / scale.Width)
                .Select(density => scale.Model(density, seed))
                .Append(scale.Model(1, seed) with { Density = null }),
            Figure.Frontier => from width in FrontierWidths
            from budget in FrontierBudgets
            let density = budget / (width * width)
            where density <= 1 && density * width * scale.Width >= PlannedModel.MinimumAlive
            select scale.Model(density, seed) with
            {
                Width = (int)(width * scale.Width),
            },
            _ => [scale.Sparse(seed)],
        };

    private static double Minutes(ReproductionPlan plan)
    {
        double minutes = plan.Models.Sum(ReproductionCost.TrainingMinutes);
        double pruned = plan.Figure.Prunes() ? plan.Models.Sum(model => ReproductionCost.PruningMinutes(model, plan)) : 0;
        if (plan.Figure.MatchesDense())
        {
            // Where the match lies is not known yet: the first guess stands for it.
            PlannedModel[] dense = [.. plan.Models.Select(sparse => plan.Dense(sparse, plan.FirstDenseWidth))];
            minutes += ReproductionCost.DenseTrained * dense.Sum(ReproductionCost.TrainingMinutes);
            pruned += plan.Figure.Prunes()
                ? ReproductionCost.DensePruned * dense.Sum(model => ReproductionCost.PruningMinutes(model, plan))
                : 0;
        }

        return minutes + (plan.Figure == Figure.PruningBaseline ? 2 * pruned : pruned);
    }
}
