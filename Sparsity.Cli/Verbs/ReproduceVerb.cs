using System.Reflection;
using CommandLine;
using Sparsity.Cli.Report;
using Sparsity.Core;
using Sparsity.Core.Circuits;
using Sparsity.Core.Data;
using Sparsity.Core.Distributed;
using Sparsity.Core.Files;
using Sparsity.Core.Reproduction;

namespace Sparsity.Cli.Verbs;

[Verb("reproduce")]
internal sealed class ReproduceVerb : EngineVerb
{
    [Option("figure", MetaValue = "NAME", HelpText = "size-vs-loss, frontier, kurtosis, necessity, pruning-baseline or token-losses.")]
    public string? FigureName { get; set; }

    [Option(
        "budget",
        MetaValue = "MINUTES",
        HelpText = "Minutes on two cores. The largest plan that fits is chosen; the run does not stop when they are over. See --list."
    )]
    public double? Budget { get; set; }

    [Option("out", MetaValue = "DIR", HelpText = "Folder to make or to go on with; several figures may share it, and then share models.")]
    public string? Out { get; set; }

    [Option("data", MetaValue = "DIR", HelpText = "Data folder made by 'corpus'. (Default: synthetic Python, made in the folder)")]
    public string? Data { get; set; }

    [Option("seed", Default = 1UL, HelpText = "First seed of models and masks.")]
    public ulong Seed { get; set; }

    [Option(
        "shard",
        MetaValue = "i/n",
        HelpText = "i/n: make only the i-th of n shares of the figure's models and their circuits, in a folder of its own below "
            + "--out; 'merge' joins them."
    )]
    public string? Shard { get; set; }

    [Option("list", HelpText = "What each figure costs and does at which budget.")]
    public bool List { get; set; }

    private static string Version => Assembly.GetExecutingAssembly().GetName().Version!.ToString(3);

    public override int Execute(CancellationToken stop)
    {
        if (List)
        {
            TakesOnly("reproduce --list", "list");
            PrintCosts();
            return 0;
        }

        if (FigureName is null || Budget is null || Out is null)
        {
            throw new BadInputException("reproduce needs --figure NAME, --budget MINUTES and --out DIR, or --list.");
        }

        Shard? shard = Shard is null ? null : Core.Distributed.Shard.Parse(Shard);
        DataFolder? data = Data is null ? null : DataFolder.Open(Path.GetFullPath(Data));
        ReproductionPlan asked = ReproductionPlanner.Plan(Figures.Parse(FigureName), Budget.Value, Seed, data?.Directory, Version) with
        {
            Shard = shard,
            DataFingerprint = data?.Fingerprint(),
        };
        shard?.RequireWork(asked.Models.Count);
        IReadOnlyList<DenseMatch> matches = [];
        ReproductionStages.CarryOut(
            this,
            Out,
            asked,
            ReproductionPlan.Load,
            (plan, stages) => matches = Make(plan, stages),
            (plan, stages, folder) => Finish(Summarise(plan, stages, matches), folder),
            stop
        );
        return 0;
    }

    private void Finish(FigureResult result, string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, "result.json"), JsonText.Write(result));
        AtomicFile.WriteText(Path.Combine(folder, "result.html"), FigurePage.Render(result));
        ReproductionSummary.Add(Path.Combine(Out!, "summary.json"), result);
        Terminal.Line($"{result.Headline}");
        Terminal.Line($"written to {Path.Combine(folder, "result.html")}");
    }

    /// <summary>Makes the stages; returns the matches of sparse models with dense ones, where the figure has them.</summary>
    private static IReadOnlyList<DenseMatch> Make(ReproductionPlan plan, ReproductionStages stages)
    {
        Terminal.Line(
            $"{plan.Name} at scale {plan.Scale}, about {plan.EstimatedMinutes:0.#} minutes on two "
                + $"cores{(plan.Shard is null ? "" : $" for all {plan.Shard.Count} shards")}"
        );
        if (plan.Figure.MatchesDense())
        {
            return [.. plan.OwnModels.Select(sparse => Match(plan, sparse, stages))];
        }

        foreach (PlannedModel planned in plan.OwnModels)
        {
            MeasuredModel model = stages.Train(planned);
            if (plan.Figure.Prunes())
            {
                stages.Prune(model, PruningMethod.Mask);
            }

            if (plan.Figure == Figure.PruningBaseline)
            {
                stages.Prune(model, PruningMethod.Attribution);
            }
        }

        return [];
    }

    private static FigureResult Summarise(ReproductionPlan plan, ReproductionStages stages, IReadOnlyList<DenseMatch> matches) =>
        plan.Figure switch
        {
            Figure.SizeVsLoss => FigureSummary.SizeVsLoss(plan, stages.Models, stages.Circuits, matches, stages.LastTokenTasks()),
            Figure.Kurtosis => FigureSummary.Kurtosis(plan, stages.Models),
            Figure.Frontier => FigureSummary.Frontier(plan, stages.Models, stages.Circuits),
            Figure.Necessity => FigureSummary.Necessity(plan, stages.Models, stages.Circuits),
            Figure.PruningBaseline => FigureSummary.PruningBaseline(plan, stages.Models, stages.Circuits, stages.LastTokenTasks()),
            _ => FigureSummary.TokenLosses(plan, stages.Models, matches, stages.TokenLosses(matches)),
        };

    private static DenseMatch Match(ReproductionPlan plan, PlannedModel planned, ReproductionStages stages)
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
        foreach (
            MeasuredModel model in plan.Figure.Prunes() ? [sparse, .. match.Widths.Select(width => tried[width])] : (MeasuredModel[])[]
        )
        {
            stages.Prune(model, PruningMethod.Mask);
        }

        return DenseMatch.Of(sparse, match, [.. match.Widths.Select(width => tried[width])], [.. tried.Values.Select(model => model.Name)]);
    }

    private static void PrintCosts()
    {
        Terminal.Table(
            ["figure", "budget (minutes)", "scale", "models", "width", "tokens of each", "seeds", "tasks", "targets"],
            Figures.All.SelectMany(figure =>
                ReproductionScale
                    .All.Select(scale => (Scale: scale, Plan: ReproductionPlanner.At(scale, figure, 0, 1, null, Version)))
                    .Select(entry =>
                        new[]
                        {
                            figure.Name(),
                            Terminal.Number(Math.Ceiling(10 * entry.Plan.EstimatedMinutes) / 10, "#,0.#"),
                            $"{entry.Scale.Level}",
                            $"{entry.Plan.Models.Count}{(figure.MatchesDense() ? " and dense ones" : "")}",
                            $"{entry.Scale.Width}",
                            Terminal.Number(entry.Scale.Tokens, "#,0"),
                            $"{entry.Scale.Seeds}",
                            $"{entry.Plan.Tasks.Count}",
                            $"{entry.Plan.TargetLosses.Count}",
                        }
                    )
            )
        );
        foreach (Figure figure in Figures.All)
        {
            Terminal.Line($"{figure.Name()}: {figure.Description()}");
        }
    }
}
