using Sparsity.Core.Circuits;
using Sparsity.Core.Pruning;

namespace Sparsity.Cli.Verbs;

/// <summary>What a pruning found, as a researcher reads it in a terminal.</summary>
internal static class PruningListing
{
    private const int NodesOfOnePage = 40;

    /// <summary>The results of one search, of several.</summary>
    public static void Print(IReadOnlyList<PruningResult> results, PruningPlan plan)
    {
        if (plan.Tasks.Count > 1)
        {
            foreach (PruningResult result in results)
            {
                string size = result.Edges is null
                    ? ""
                    : $", {result.Nodes} nodes, {result.Edges} edges, loss {Terminal.Number(result.Loss!.Value)}";
                string why = result.Reason is null || result.Status == PruningStatus.Skipped ? "" : $" ({result.Reason})";
                Terminal.Line(
                    $"{result.Task}, seed {result.Seed}, target {result.TargetLoss}: "
                        + $"{result.Status.ToString().ToLowerInvariant()}{why}{size}"
                );
            }
        }
    }

    /// <summary>The circuit of a run that has one, or all results in a table.</summary>
    public static void Print(PruningRun run, PruningPlan plan)
    {
        PruningResults results = run.Results;
        if (results.Results is [{ Folder: { } folder }])
        {
            string path = Path.Combine(run.Directory, folder, "circuit.json");
            CircuitListing.Print(Circuit.Load(path), NodesOfOnePage);
            if (plan.Faithfulness && Faithfulness.TryLoad(Path.Combine(run.Directory, folder, "faithfulness.json")) is { } report)
            {
                CircuitListing.Print(report);
            }

            Terminal.Line($"written to {path}");
            return;
        }

        Terminal.Table(
            ["task", "seed", "target", "status", "nodes", "edges", "loss", "full model", "without it", "empty", "best random"],
            results.Results.Select(result =>
                new[]
                {
                    result.Task,
                    $"{result.Seed}",
                    Terminal.Number(result.TargetLoss, "0.###"),
                    result.Status.ToString().ToLowerInvariant(),
                    $"{result.Nodes}",
                    $"{result.Edges}",
                    Loss(result.Loss),
                    Loss(result.LossFullModel),
                    Loss(result.LossWithoutCircuit),
                    Loss(result.LossEmpty),
                    Loss(result.LossRandomBest),
                }
            )
        );
        foreach (
            string reason in results
                .Results.Where(result => result is { Status: PruningStatus.Skipped, Reason: not null })
                .Select(result => $"skipped: {result.Reason}")
                .Distinct()
        )
        {
            Terminal.Line($"{reason}");
        }

        foreach (PruningResult result in results.Results.Where(result => result.Verdict is not null))
        {
            Terminal.Line($"{result.Task}, seed {result.Seed}, target {result.TargetLoss}: {result.Verdict}");
        }

        foreach (PruningTotal total in plan.Shard is null ? results.Totals : [])
        {
            string mean = total.Solved > 0 ? $"; geometric mean of their edges {Loss(total.GeometricMeanEdges)}" : "";
            Terminal.Line($"seed {total.Seed}, target {total.TargetLoss}: {total.Solved} of {plan.Tasks.Count} tasks solved{mean}");
        }

        Terminal.Line($"written to {run.ResultsPath}");

        static string Loss(double? value) => value is { } number ? Terminal.Number(number) : "";
    }
}
