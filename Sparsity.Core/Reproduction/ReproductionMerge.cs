using Sparsity.Core.Distributed;
using Sparsity.Core.Files;

namespace Sparsity.Core.Reproduction;

/// <summary>
/// Joins the folders of the shards of a figure or a sweep into one that holds the stages of all of them, as if one run had made them there:
/// what is left to do is to write its result. Figures that share the folders of shards are joined together. Doing it again changes nothing.
/// </summary>
internal static class ReproductionMerge
{
    private const string PlanName = "plan.json";
    private const string FinishedName = "stages.json";

    /// <summary>Names of what can be made in shards.</summary>
    private static readonly string[] Names = [.. Figures.All.Select(figure => figure.Name()), SweepPlan.FolderName];

    /// <summary>The shards in a folder: itself, or those below it.</summary>
    public static IEnumerable<string> Find(string folder) => Shard.Find(folder, found => PlansIn(found).Any());

    /// <summary>Says that a shard has made all that it had to make.</summary>
    /// <param name="folder">The shard's.</param>
    /// <param name="name">Of what is made there, <see cref="StagePlan.Name"/>.</param>
    /// <param name="stages">All that belong to it.</param>
    public static void Finish(string folder, string name, FinishedStages stages) =>
        AtomicFile.WriteText(Path.Combine(folder, name, FinishedName), JsonText.Write(stages));

    /// <summary>Makes the joined folder.</summary>
    /// <param name="shards">Folders, in any order.</param>
    /// <param name="directory">To be made, or made by an earlier merge.</param>
    /// <returns>The plans, each of all of it.</returns>
    /// <exception cref="BadInputException">Shards are missing, double, unfinished, or of different plans; nothing is written.</exception>
    public static IReadOnlyList<StagePlan> Run(IReadOnlyList<string> shards, string directory)
    {
        var plans = new List<StagePlan>();
        var stages = new Dictionary<string, StageFolder>();
        foreach (string name in Names.Intersect(shards.SelectMany(PlansIn)))
        {
            (StagePlan plan, IReadOnlyList<string> inOrder) = WholePlan(name, shards);
            plans.Add(plan);
            foreach (StageFolder stage in inOrder.SelectMany(folder => StagesIn(folder, plan)))
            {
                if (!stages.TryAdd(stage.Name, stage))
                {
                    stage.RequireSame(stages[stage.Name].Path);
                }
            }
        }

        bool isBegun = plans.Any(plan => TextOfPlan(directory, plan.Name) == plan.ToJson());
        if (isBegun && plans.Find(plan => TextOfPlan(directory, plan.Name) is { } text && text != plan.ToJson()) is { } other)
        {
            throw new BadInputException(
                $"{PlanPath(directory, other.Name)}: is another plan than that of the shards. Give another output folder."
            );
        }

        foreach (StageFolder stage in stages.Values)
        {
            stage.RequireSame(Path.Combine(directory, stage.Name));
        }

        using var held = FolderLock.Take(isBegun ? directory : OutputFolder.Create(directory));
        foreach (StagePlan plan in plans)
        {
            AtomicFile.CreateDirectory(Path.Combine(directory, plan.Name));
            AtomicFile.WriteText(PlanPath(directory, plan.Name), plan.ToJson());
        }

        foreach (StageFolder stage in stages.Values)
        {
            stage.CopyTo(directory);
        }

        return plans;
    }

    private static (StagePlan Plan, IReadOnlyList<string> InOrder) WholePlan(string name, IReadOnlyList<string> shards)
    {
        var plans = new Dictionary<string, StagePlan>();
        foreach (string folder in shards)
        {
            string path = PlanPath(folder, name);
            plans[folder] = File.Exists(path)
                ? Load(path, name)
                : throw new BadInputException($"{folder}: {name} is begun in other shards, but not there. Run the shard.");
            if (plans[folder].Shard is null)
            {
                throw new BadInputException(
                    $"{folder}: {name} was made as a whole there, and not as a shard. There is nothing to join it with."
                );
            }
        }

        IReadOnlyList<string> inOrder = Shard.InOrder([.. shards.Select(folder => (plans[folder].Shard!, folder))]);
        StagePlan plan = plans[inOrder[0]] with { Shard = null };
        string? other = inOrder.FirstOrDefault(folder => (plans[folder] with { Shard = null }).ToJson() != plan.ToJson());
        return other is null
            ? (plan, inOrder)
            : throw new BadInputException(
                $"{other}: is a shard of another plan than {inOrder[0]}: their {name}/{PlanName} differ in more than the "
                    + $"shard. Give shards of one plan."
            );
    }

    private static IEnumerable<StageFolder> StagesIn(string folder, StagePlan plan)
    {
        string path = Path.Combine(folder, plan.Name, FinishedName);
        if (!File.Exists(path))
        {
            throw new BadInputException($"{folder}: {plan.Name} is not finished there. Go on with the command that began it.");
        }

        return FinishedStages.Load(path).In(folder, plan);
    }

    private static IEnumerable<string> PlansIn(string folder) => Names.Where(name => File.Exists(PlanPath(folder, name)));

    private static StagePlan Load(string path, string name) =>
        name == SweepPlan.FolderName ? SweepPlan.Load(path) : ReproductionPlan.Load(path);

    private static string PlanPath(string folder, string name) => Path.Combine(folder, name, PlanName);

    /// <summary>Null where there is none.</summary>
    private static string? TextOfPlan(string folder, string name) =>
        File.Exists(PlanPath(folder, name)) ? JsonText.ReadAllText(PlanPath(folder, name)) : null;
}
