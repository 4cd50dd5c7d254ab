using System.Xml.Linq;
using Sparsity.Core.Circuits;
using static Sparsity.Cli.Report.Markup;

namespace Sparsity.Cli.Report;

/// <summary>What the run came to in a few sentences, with what speaks against it.</summary>
internal static class Headline
{
    /// <summary>
    /// How many times fewer edges the sparse model's circuits have than the dense model's, at which validation losses, and which circuits
    /// are not solved; null where there is nothing to say.
    /// </summary>
    public static string? EdgeComparison(DemoSummary summary, IReadOnlyList<ReportCircuit> circuits)
    {
        string[] missed = [.. Missed(circuits)];
        string notSolved = missed.Length == 0 ? "" : $"Not solved: {string.Join("; ", missed)}.";
        if (Pairs(circuits) is not { Length: > 0 } pairs || summary.DenseValidationLoss is not { } dense)
        {
            return notSolved.Length == 0 ? null : notSolved;
        }

        double apart = Math.Abs(dense - summary.ValidationLoss) / summary.ValidationLoss;
        return $"{Comparison(pairs)} Validation losses {Loss(summary.ValidationLoss)} and {Loss(dense)}, "
            + $"{Number(Math.Round(100 * apart, 1))} % apart. {notSolved}".TrimEnd();
    }

    public static IEnumerable<XElement> Write(DemoSummary summary, IReadOnlyList<ReportCircuit> circuits)
    {
        Circuit[] sparse = [.. circuits.Where(entry => entry.Model == DemoCircuit.Sparse).Select(entry => entry.Circuit)];
        (Circuit Sparse, Circuit Dense)[] pairs = Pairs(circuits);
        yield return E(
            "p",
            A("class", "headline"),
            pairs.Length > 0 ? Comparison(pairs) : Alone([.. sparse.Where(circuit => circuit.Solved == true)])
        );
        string[] missed = [.. Missed(circuits)];
        if (missed.Length > 0)
        {
            yield return E("p", E("span", A("class", "bad"), "Not solved: "), string.Join("; ", missed) + ".");
        }
        else if (circuits.Count > 0)
        {
            yield return E(
                "p",
                "Every circuit meets its target loss, on the prompts it was chosen on and on test prompts, and so does the whole model."
            );
        }

        string dense = summary.DenseValidationLoss is { } loss ? $", dense model {Loss(loss)}" : "";
        yield return E(
            "p",
            $"Validation loss in nats: sparse model {Loss(summary.ValidationLoss)}{dense}, bigram baseline {Loss(summary.BigramLoss)}. "
                + $"{Percent(summary.NonzeroFraction)} of the sparse model's matrix entries are not zero."
        );
        yield return E(
            "p",
            A("class", "soft"),
            $"{Number(summary.TrainTokens)} training tokens, {Number(Math.Round(summary.TokensPerSecond))} tokens per second, "
                + $"{Number(Math.Round(summary.Seconds))} seconds in all."
        );
    }

    /// <summary>A circuit's standing towards its target.</summary>
    public static string Verdict(Circuit circuit) => circuit.Shortcoming is { Length: > 0 } missed ? missed : "solved";

    private static IEnumerable<string> Missed(IReadOnlyList<ReportCircuit> circuits) =>
        circuits
            .Where(entry => entry.Circuit.Solved != true)
            .Select(entry => $"{entry.Circuit.Task} ({entry.Model}, {Verdict(entry.Circuit)})");

    private static (Circuit Sparse, Circuit Dense)[] Pairs(IReadOnlyList<ReportCircuit> circuits) =>
        [
            .. from sparse in circuits.Where(entry => entry.Model == DemoCircuit.Sparse)
            join dense in circuits.Where(entry => entry.Model == DemoCircuit.Dense) on sparse.Circuit.Task equals dense.Circuit.Task
            select (sparse.Circuit, dense.Circuit),
        ];

    /// <summary>Compares sizes over the tasks that both models do with a circuit. Other sizes say nothing.</summary>
    private static string Comparison((Circuit Sparse, Circuit Dense)[] all)
    {
        (Circuit Sparse, Circuit Dense)[] pairs = [.. all.Where(pair => pair is { Sparse.Solved: true, Dense.Solved: true })];
        if (pairs.Length == 0)
        {
            return "No task is solved by circuits of both models, so their sizes are not compared.";
        }

        double ratio = Ratio(circuit => circuit.Edges.Count);
        string tasks = pairs.Length == 1 ? "on one task" : Format($"geometric mean over {pairs.Length} tasks");
        string smallest = pairs.All(pair => pair.Sparse.Smallest is not null && pair.Dense.Smallest is not null)
            ? $"; of the smallest, whether they survive interchange or not, {Times(Ratio(circuit => circuit.Smallest!.Edges))}"
            : "";
        return ratio >= 1
            ? $"Circuits of the sparse model have {Times(ratio)} times fewer edges than those of the dense model ({tasks}{smallest})."
            : $"Circuits of the sparse model have {Times(1 / ratio)} times more edges than those of the dense model ({tasks}).";

        double Ratio(Func<Circuit, double> edges) =>
            EdgeCount.GeometricMean(pairs.Select(pair => edges(pair.Dense)))
            / EdgeCount.GeometricMean(pairs.Select(pair => edges(pair.Sparse)));
    }

    private static string Times(double ratio) => Number(ratio >= 100 ? Math.Round(ratio) : Math.Round(ratio, 1));

    private static string Alone(Circuit[] sparse) =>
        sparse.Length switch
        {
            0 => "No circuit of the sparse model is solved.",
            1 =>
                $"The sparse model does {sparse[0].Task} with {Number(sparse[0].Edges.Count)} of its {Number(sparse[0].TotalEdges)} edges.",
            _ => $"The sparse model does each of {sparse.Length} tasks with {Number(sparse.Min(circuit => circuit.Edges.Count))} to "
                + $"{Number(sparse.Max(circuit => circuit.Edges.Count))}"
                + $" of its {Number(sparse.Max(circuit => circuit.TotalEdges))} edges.",
        };
}
