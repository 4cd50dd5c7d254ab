using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;

namespace Sparsity.Core.Reproduction;

/// <summary>Models of a sweep that differ in nothing but their seed.</summary>
/// <param name="Values">Of the flags that vary, without the seed.</param>
/// <param name="Trained">Models that were trained to their last step; the other numbers are of these.</param>
/// <param name="Diverged">Models whose training diverged.</param>
/// <param name="ValidationLoss">Mean in nats; null where all diverged, as are the other numbers.</param>
/// <param name="Smallest">Of the validation losses.</param>
/// <param name="Largest">Of the validation losses.</param>
/// <param name="Nonzero">Mean of parameters that are not zero, embeddings left out.</param>
/// <param name="NonzeroFraction">Mean share of nonzero entries of the attention and MLP matrices.</param>
/// <param name="FinalResidualKurtosis">Mean over models; 3 for a normal distribution.</param>
/// <param name="Solved">Mean over models of the tasks that are done with a circuit at the target; null where nothing is pruned.</param>
/// <param name="Edges">Geometric mean over models and <see cref="SweepResult.CommonTasks"/>; null where there are no such tasks.</param>
internal sealed record SweepPoint(
    IReadOnlyDictionary<string, string> Values,
    int Trained,
    int Diverged,
    double? ValidationLoss,
    double? Smallest,
    double? Largest,
    double? Nonzero,
    double? NonzeroFraction,
    double? FinalResidualKurtosis,
    double? Solved,
    double? Edges
);

/// <summary>
/// result.json of a sweep. Holds no times, and no paths but those of the plan, so that two runs of a plan give the same bytes.
/// </summary>
/// <param name="Models">Every model that was trained to its last step.</param>
/// <param name="Diverged">Every model whose training diverged.</param>
/// <param name="Circuits">Every pruning, as it came out.</param>
/// <param name="CommonTasks">Tasks that every model of <paramref name="Models"/> does with a circuit at the target: edges are means over
/// these.</param>
/// <param name="Points">In the plan's order.</param>
internal sealed record SweepResult(
    SweepPlan Plan,
    IReadOnlyList<MeasuredModel> Models,
    IReadOnlyList<DivergedModel> Diverged,
    IReadOnlyList<ModelCircuits> Circuits,
    IReadOnlyList<string> CommonTasks,
    IReadOnlyList<SweepPoint> Points
)
{
    private const string Seed = "seed";

    public int FormatVersion { get; init; } = FileFormat.Version;

    /// <summary>Means over seeds.</summary>
    /// <param name="plan">Of all models.</param>
    /// <param name="models">Those trained, by any order.</param>
    /// <param name="diverged">The others.</param>
    /// <param name="circuits">Of each trained model, where the plan has tasks.</param>
    public static SweepResult Of(
        SweepPlan plan,
        IReadOnlyList<MeasuredModel> models,
        IReadOnlyList<DivergedModel> diverged,
        IReadOnlyList<ModelCircuits> circuits
    )
    {
        var solved = circuits.ToDictionary(entry => entry.Model, entry => entry.Circuits.Where(IsSolved).ToArray());
        string[] common = [.. plan.Tasks.Where(task => solved.Values.All(of => of.Any(circuit => circuit.Task == task)))];
        return new SweepResult(
            plan,
            models,
            diverged,
            circuits,
            common,
            [.. plan.Models.GroupBy(model => string.Join(' ', WithoutSeed(model).Values)).Select(group => Point([.. group]))]
        );

        SweepPoint Point(PlannedModel[] group)
        {
            HashSet<string> names = [.. group.Select(model => model.Name)];
            MeasuredModel[] trained = [.. models.Where(model => names.Contains(model.Name))];
            CircuitSize[][] found = [.. trained.Where(model => solved.ContainsKey(model.Name)).Select(model => solved[model.Name])];
            double[] edges =
            [
                .. found.SelectMany(of => of).Where(circuit => common.Contains(circuit.Task)).Select(circuit => circuit.Edges!.Value),
            ];
            return new SweepPoint(
                WithoutSeed(group[0]),
                trained.Length,
                diverged.Count(model => names.Contains(model.Name)),
                Mean(model => model.ValidationLoss),
                trained.Length == 0 ? null : trained.Min(model => model.ValidationLoss),
                trained.Length == 0 ? null : trained.Max(model => model.ValidationLoss),
                Mean(model => model.Nonzero),
                Mean(model => model.NonzeroFraction),
                Mean(model => model.FinalResidualKurtosis),
                found.Length == 0 ? null : found.Average(of => of.Length),
                edges.Length == 0 ? null : EdgeCount.GeometricMean(edges)
            );

            double? Mean(Func<MeasuredModel, double> number) => trained.Length == 0 ? null : trained.Average(number);
        }
    }

    private static bool IsSolved(CircuitSize circuit) => circuit.Status == PruningStatus.Solved && !circuit.NothingToFind();

    private static IReadOnlyDictionary<string, string> WithoutSeed(PlannedModel model) =>
        model.Values!.Where(value => value.Key != Seed).ToDictionary();
}
