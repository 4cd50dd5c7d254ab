using System.Reflection;
using CommandLine;
using Sparsity.Cli.Report;
using Sparsity.Cli.Reproduction;
using Sparsity.Core;
using Sparsity.Core.Data;
using Sparsity.Core.Pruning;
using Sparsity.Core.Reproduction;
using Sparsity.Core.Storage;

namespace Sparsity.Cli.Verbs;

[Verb("reproduce", HelpText = "Make a figure of the paper anew, from training to plot, at the scale of a budget; given again, goes on where it was stopped.")]
internal sealed class ReproduceVerb : EngineVerb
{
    [Option("figure", HelpText = "size-vs-loss, frontier, kurtosis, necessity or pruning-baseline.")]
    public string? FigureName { get; set; }

    [Option("budget", HelpText = "Minutes on two cores; decides the plan, never when to stop. See --list.")]
    public double? Budget { get; set; }

    [Option("out", HelpText = "Folder to make or to go on with; several figures may share it, and then share models.")]
    public string? Out { get; set; }

    [Option("data", HelpText = "Data folder made by 'corpus'. (Default: synthetic Python, made in the folder)")]
    public string? Data { get; set; }

    [Option("seed", Default = 1UL, HelpText = "First seed of models and masks.")]
    public ulong Seed { get; set; }

    [Option("list", HelpText = "What each figure costs and does at which budget.")]
    public bool List { get; set; }

    private static string Version => Assembly.GetExecutingAssembly().GetName().Version!.ToString(3);

    public override int Run(CancellationToken stop)
    {
        if (List)
        {
            PrintCosts();
            return 0;
        }

        if (FigureName is null || Budget is null || Out is null)
        {
            throw new BadInputException("reproduce needs --figure NAME, --budget MINUTES and --out DIR, or --list.");
        }

        DataFolder? data = Data is null ? null : DataFolder.Open(Path.GetFullPath(Data));
        ReproductionPlan asked = ReproductionPlanner.Plan(Figures.Parse(FigureName), Budget.Value, Seed, data?.Directory, Version);
        string folder = Path.Combine(Out, FigureName);
        string planPath = Path.Combine(folder, "plan.json");
        bool isNew = !File.Exists(planPath);
        ReproductionPlan plan = isNew ? asked : Begun(planPath, asked);
        FigureResult result;
        try
        {
            using var stages = new ReproductionStages(this, Out, plan, stop);
            if (isNew)
            {
                // Only now that all that was given is known to be good.
                AtomicFile.CreateDirectory(folder);
                AtomicFile.WriteText(planPath, JsonText.Write(plan));
            }

            Terminal.Line($"{FigureName} at scale {plan.Scale}, about {plan.EstimatedMinutes:0.#} minutes on two cores");
            result = Make(plan, stages);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Terminal.Line($"stopped; the same command goes on");
            return 0;
        }

        AtomicFile.WriteText(Path.Combine(folder, "result.json"), JsonText.Write(result));
        AtomicFile.WriteText(Path.Combine(folder, "result.html"), FigurePage.Render(result));
        ReproductionSummary.Add(Path.Combine(Out, "summary.json"), result);
        Terminal.Line($"{result.Headline}");
        Terminal.Line($"written to {Path.Combine(folder, "result.html")}");
        return 0;
    }

    private static FigureResult Make(ReproductionPlan plan, ReproductionStages stages)
    {
        if (plan.Figure == Figure.SizeVsLoss)
        {
            DenseMatch[] matches = [.. plan.Models.Select(sparse => MatchAndPrune(plan, sparse, stages))];
            return FigureSummary.SizeVsLoss(plan, stages.Models, stages.Circuits, matches);
        }

        foreach (PlannedModel planned in plan.Models)
        {
            MeasuredModel model = stages.Train(planned);
            if (plan.Figure != Figure.Kurtosis)
            {
                stages.Prune(model, PruningMethod.Mask);
            }

            if (plan.Figure == Figure.PruningBaseline)
            {
                stages.Prune(model, PruningMethod.Attribution);
            }
        }

        return plan.Figure switch
        {
            Figure.Kurtosis => FigureSummary.Kurtosis(plan, stages.Models),
            Figure.Frontier => FigureSummary.Frontier(plan, stages.Models, stages.Circuits),
            Figure.Necessity => FigureSummary.Necessity(plan, stages.Models, stages.Circuits),
            _ => FigureSummary.PruningBaseline(plan, stages.Models, stages.Circuits),
        };
    }

    private static DenseMatch MatchAndPrune(ReproductionPlan plan, PlannedModel planned, ReproductionStages stages)
    {
        MeasuredModel sparse = stages.Train(planned);
        var search = new WidthSearch(plan.DenseWidths, plan.FirstDenseWidth, sparse.ValidationLoss, plan.MatchTolerance);
        var tried = new Dictionary<int, MeasuredModel>();
        while (search.Next is { } width)
        {
            tried[width] = stages.Train(plan.Dense(planned, width));
            search.Add(tried[width].ValidationLoss);
        }

        WidthMatch match = search.Match();
        stages.Prune(sparse, PruningMethod.Mask);
        foreach (int width in match.Widths)
        {
            stages.Prune(tried[width], PruningMethod.Mask);
        }

        return DenseMatch.Of(sparse, match, [.. match.Widths.Select(width => tried[width])], [.. tried.Values.Select(model => model.Name)]);
    }

    /// <summary>The plan that the folder was begun with.</summary>
    /// <exception cref="BadInputException">Something else is asked for now.</exception>
    private static ReproductionPlan Begun(string path, ReproductionPlan asked)
    {
        ReproductionPlan begun = ReproductionPlan.Load(path);
        return begun.BudgetMinutes == asked.BudgetMinutes && begun.Seed == asked.Seed && begun.Data == asked.Data && begun.Figure == asked.Figure
            ? begun
            : throw new BadInputException(FormattableString.Invariant(
                $"{path}: was begun with --figure {begun.Figure.Name()} --budget {begun.BudgetMinutes} --seed {begun.Seed}{(begun.Data is null ? "" : $" --data {begun.Data}")}. Give the same again, or another --out."));
    }

    private static void PrintCosts()
    {
        Terminal.Table(["figure", "budget (minutes)", "scale", "models", "width", "tokens of each", "seeds", "tasks", "targets"], Figures.All.SelectMany(figure =>
            ReproductionScale.All.Select(scale => (Scale: scale, Plan: ReproductionPlanner.At(scale, figure, 0, 1, null, Version)))
                .Select(entry => new[]
                {
                    figure.Name(), Terminal.Number(Math.Ceiling(10 * entry.Plan.EstimatedMinutes) / 10, "#,0.#"), $"{entry.Scale.Level}", $"{entry.Plan.Models.Count}{(figure == Figure.SizeVsLoss ? " and dense ones" : "")}",
                    $"{entry.Scale.Width}", Terminal.Number(entry.Scale.Tokens, "#,0"), $"{entry.Scale.Seeds}", $"{entry.Plan.Tasks.Count}", $"{entry.Plan.TargetLosses.Count}",
                })));
        foreach (Figure figure in Figures.All)
        {
            Terminal.Line($"{figure.Name()}: {figure.Description()}");
        }
    }
}
