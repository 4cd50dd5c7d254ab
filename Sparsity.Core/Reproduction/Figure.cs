namespace Sparsity.Core.Reproduction;

/// <summary>A result of the paper that can be obtained anew at any scale.</summary>
internal enum Figure
{
    /// <summary>
    /// Figure 2: edges of circuits in a sparse and a dense model of equal validation loss, against the task loss they reach.
    /// </summary>
    SizeVsLoss,

    /// <summary>Figure 3: validation loss against circuit size over widths and nonzero budgets.</summary>
    Frontier,

    /// <summary>Figure 10: kurtosis of the final residual against the share of nonzero weights.</summary>
    Kurtosis,

    /// <summary>Figure 32: task loss of the model without its circuit, against the loss the circuit reaches.</summary>
    Necessity,

    /// <summary>Figure 31: edges of circuits found by trained masks and by attribution.</summary>
    PruningBaseline,

    /// <summary>Losses of sparse and dense models of equal validation loss, token by token.</summary>
    TokenLosses,
}

/// <summary>Names and descriptions of figures.</summary>
internal static class Figures
{
    public static IReadOnlyList<Figure> All { get; } = Enum.GetValues<Figure>();

    /// <summary>As the command line and folders have it, such as size-vs-loss.</summary>
    public static string Name(this Figure figure) =>
        figure switch
        {
            Figure.SizeVsLoss => "size-vs-loss",
            Figure.Frontier => "frontier",
            Figure.Kurtosis => "kurtosis",
            Figure.Necessity => "necessity",
            Figure.PruningBaseline => "pruning-baseline",
            _ => "token-losses",
        };

    /// <summary>What it shows, in a few words.</summary>
    public static string Description(this Figure figure) =>
        figure switch
        {
            Figure.SizeVsLoss => "figure 2: circuits of sparse and dense models of equal loss",
            Figure.Frontier => "figure 3: loss against circuit size over widths and nonzero budgets",
            Figure.Kurtosis => "figure 10: kurtosis of the residual against density",
            Figure.Necessity => "figure 32: what the model does without its circuit",
            Figure.PruningBaseline => "figure 31: trained masks against attribution",
            _ => "tokens that sparse models predict worse than dense ones of equal loss",
        };

    /// <summary>Whether its models are pruned to tasks.</summary>
    public static bool Prunes(this Figure figure) => figure is not (Figure.Kurtosis or Figure.TokenLosses);

    /// <summary>Whether dense models of equal validation loss are looked for.</summary>
    public static bool MatchesDense(this Figure figure) => figure is Figure.SizeVsLoss or Figure.TokenLosses;

    /// <exception cref="BadInputException">There is no such figure.</exception>
    public static Figure Parse(string name) =>
        All.Cast<Figure?>().FirstOrDefault(figure => figure!.Value.Name() == name)
        ?? throw new BadInputException($"the figure '{name}' is none of {string.Join(", ", All.Select(Name))}.");
}
