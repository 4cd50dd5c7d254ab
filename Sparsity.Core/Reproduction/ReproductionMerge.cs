using Sparsity.Core.Distributed;
using Sparsity.Core.Files;

namespace Sparsity.Core.Reproduction;

/// <summary>
/// Joins the folders of a figure's shards into one that holds the stages of all of them, as if one run had made them there: what is left to
/// do is to draw the figure. Figures that share the folders of shards are joined together. Doing it again changes nothing.
/// </summary>
internal static class ReproductionMerge
{
    private const string PlanName = "plan.json";
    private const string FinishedName = "stages.json";

    /// <summary>The shards in a folder: itself, or those below it.</summary>
    public static IEnumerable<string> Find(string folder) => Shard.Find(folder, found => FiguresIn(found).Any());

    /// <summary>Says that a shard has made all that it had to make.</summary>
    /// <param name="folder">The shard's.</param>
    /// <param name="figure">Made there.</param>
    /// <param name="stages">Of the figure.</param>
    public static void Finish(string folder, Figure figure, FinishedStages stages) =>
        AtomicFile.WriteText(Path.Combine(folder, figure.Name(), FinishedName), JsonText.Write(stages));

    /// <summary>Makes the joined folder.</summary>
    /// <param name="shards">Folders, in any order.</param>
    /// <param name="directory">To be made, or made by an earlier merge.</param>
    /// <returns>The plans of the figures, each of all of it.</returns>
    /// <exception cref="BadInputException">Shards are missing, double, unfinished, or of different plans; nothing is written.</exception>
    public static IReadOnlyList<ReproductionPlan> Run(IReadOnlyList<string> shards, string directory)
    {
        var plans = new List<ReproductionPlan>();
        var stages = new Dictionary<string, StageFolder>();
        foreach (Figure figure in shards.SelectMany(FiguresIn).Distinct().Order())
        {
            (ReproductionPlan plan, IReadOnlyList<string> inOrder) = WholePlan(figure, shards);
            plans.Add(plan);
            foreach (StageFolder stage in inOrder.SelectMany(folder => StagesIn(folder, plan)))
            {
                if (!stages.TryAdd(stage.Name, stage))
                {
                    stage.RequireSame(stages[stage.Name].Path);
                }
            }
        }

        bool isBegun = plans.Any(plan => TextOfPlan(directory, plan.Figure) == JsonText.Write(plan));
        if (isBegun && plans.Find(plan => TextOfPlan(directory, plan.Figure) is { } text && text != JsonText.Write(plan)) is { } other)
        {
            throw new BadInputException(
                $"{PlanPath(directory, other.Figure)}: is another plan than that of the shards. Give another output folder."
            );
        }

        foreach (StageFolder stage in stages.Values)
        {
            stage.RequireSame(Path.Combine(directory, stage.Name));
        }

        using var held = FolderLock.Take(isBegun ? directory : OutputFolder.Create(directory));
        foreach (ReproductionPlan plan in plans)
        {
            AtomicFile.CreateDirectory(Path.Combine(directory, plan.Figure.Name()));
            AtomicFile.WriteText(PlanPath(directory, plan.Figure), JsonText.Write(plan));
        }

        foreach (StageFolder stage in stages.Values)
        {
            stage.CopyTo(directory);
        }

        return plans;
    }

    private static (ReproductionPlan Plan, IReadOnlyList<string> InOrder) WholePlan(Figure figure, IReadOnlyList<string> shards)
    {
        var plans = new Dictionary<string, ReproductionPlan>();
        foreach (string folder in shards)
        {
            string path = PlanPath(folder, figure);
            plans[folder] = File.Exists(path)
                ? ReproductionPlan.Load(path)
                : throw new BadInputException($"{folder}: {figure.Name()} is begun in other shards, but not there. Run the shard.");
            if (plans[folder].Shard is null)
            {
                throw new BadInputException(
                    $"{folder}: {figure.Name()} was made as a whole there, and not as a shard. There is nothing to join it with."
                );
            }
        }

        IReadOnlyList<string> inOrder = Shard.InOrder([.. shards.Select(folder => (plans[folder].Shard!, folder))]);
        ReproductionPlan plan = plans[inOrder[0]] with { Shard = null };
        string? other = inOrder.FirstOrDefault(folder => JsonText.Write(plans[folder] with { Shard = null }) != JsonText.Write(plan));
        return other is null
            ? (plan, inOrder)
            : throw new BadInputException(
                $"{other}: is a shard of another plan than {inOrder[0]}: their {figure.Name()}/{PlanName} differ in more than the "
                    + $"shard. Give shards of one plan."
            );
    }

    private static IEnumerable<StageFolder> StagesIn(string folder, ReproductionPlan plan)
    {
        string path = Path.Combine(folder, plan.Figure.Name(), FinishedName);
        if (!File.Exists(path))
        {
            throw new BadInputException($"{folder}: {plan.Figure.Name()} is not finished there. Go on with the command that began it.");
        }

        return FinishedStages.Load(path).In(folder, plan);
    }

    private static IEnumerable<Figure> FiguresIn(string folder) => Figures.All.Where(figure => File.Exists(PlanPath(folder, figure)));

    private static string PlanPath(string folder, Figure figure) => Path.Combine(folder, figure.Name(), PlanName);

    /// <summary>Null where there is none.</summary>
    private static string? TextOfPlan(string folder, Figure figure) =>
        File.Exists(PlanPath(folder, figure)) ? JsonText.ReadAllText(PlanPath(folder, figure)) : null;
}
