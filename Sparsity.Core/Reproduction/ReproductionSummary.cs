using Sparsity.Core.Files;

namespace Sparsity.Core.Reproduction;

/// <summary>A figure's row in summary.json.</summary>
/// <param name="Folder">Of plan.json, result.json and result.html, below the summary's.</param>
internal sealed record SummaryRow(Figure Figure, double BudgetMinutes, int Scale, ulong Seed, string Headline, string Folder);

/// <summary>summary.json: what the figures made in one folder came to.</summary>
internal sealed record ReproductionSummary(IReadOnlyList<SummaryRow> Figures)
{
    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>Writes a figure's row, in place of an earlier one of the same figure.</summary>
    /// <exception cref="BadInputException">The file is there, but damaged.</exception>
    public static void Add(string path, FigureResult result)
    {
        IReadOnlyList<SummaryRow> rows = File.Exists(path) ? JsonText.ReadFile<ReproductionSummary>(path).Figures : [];
        ReproductionPlan plan = result.Plan;
        var row = new SummaryRow(plan.Figure, plan.BudgetMinutes, plan.Scale, plan.Seed, result.Headline, plan.Figure.Name());
        AtomicFile.WriteText(
            path,
            JsonText.Write(
                new ReproductionSummary([.. rows.Where(other => other.Figure != plan.Figure).Append(row).OrderBy(entry => entry.Figure)])
            )
        );
    }
}
