using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sparsity.Cli.Report;
using Sparsity.Cli.Verbs;
using Sparsity.Core.Files;

namespace Sparsity.Cli.Tests;

/// <summary>The figures of the README and of docs/speed.md are those of the files that the program wrote.</summary>
public partial class ReadmeFiguresTests
{
    private static readonly string Root = Path.GetFullPath(Path.Combine(OfficialFixture.Root, "..", "..", ".."));

    private static string Readme => Text("README.md");

    [Fact]
    public void TheDemosTable()
    {
        DemoSummary summary = JsonText.ReadFile<DemoSummary>(Path.Combine(Root, "docs", "figures", "demo-summary.json"));
        Assert.Equal(6, summary.Circuits.Count);
        string readme = Spaces().Replace(Readme, " ");
        Assert.All(
            summary.Circuits,
            circuit => Assert.Contains(string.Join(' ', DemoVerb.Cells(circuit)), readme, StringComparison.Ordinal)
        );
        Assert.Contains(DemoVerb.Losses(summary), Readme, StringComparison.Ordinal);

        // The ratio over the tasks that both models do: for_while and indent_for.
        DemoCircuit[] both = [.. summary.Circuits.Where(circuit => circuit.Task != "single_double_quote")];
        Assert.Contains($"{Times(circuit => circuit.Edges)} times fewer edges", Readme, StringComparison.Ordinal);
        Assert.Contains($"or not, {Times(circuit => circuit.SmallestEdges)})", Readme, StringComparison.Ordinal);

        string Times(Func<DemoCircuit, double> edges) =>
            Number(Math.Sqrt(Product(DemoCircuit.Dense, edges) / Product(DemoCircuit.Sparse, edges)), "0.0");

        double Product(string model, Func<DemoCircuit, double> edges) =>
            both.Where(circuit => circuit.Model == model).Aggregate(1.0, (product, circuit) => product * edges(circuit));
    }

    [Fact]
    public void ThePapersFigures()
    {
        string sizes = Headline("size-vs-loss");
        Match once = Regex.Match(sizes, @"counted once: ([\d.]+) times \((\d) tasks, 95 % t-interval ([\d.]+ to [\d.]+)\)");
        Match without = Regex.Match(sizes, @"last token decides: ([\d.]+) times \(\d tasks, 95 % t-interval ([\d.]+ to [\d.]+)\)");
        Match kurtosis = Regex.Match(Headline("kurtosis"), @"is ([\d.]+) with all weights and ([\d.]+) with 1/16");
        Assert.True(once.Success && without.Success && kurtosis.Success);
        Assert.Contains(
            $"{once.Groups[2]} tasks, 3 seeds | {once.Groups[1]} times (95 % t-interval {once.Groups[3]})",
            Readme,
            StringComparison.Ordinal
        );
        Assert.Contains($"{without.Groups[1]} times ({without.Groups[2]})", Readme, StringComparison.Ordinal);
        Assert.Contains($"{kurtosis.Groups[1]} to {kurtosis.Groups[2]}", Readme, StringComparison.Ordinal);
        Assert.Contains(once.Groups[3].Value, Text("docs", "results.md"), StringComparison.Ordinal);

        static string Headline(string figure) => (string)JsonNode.Parse(Text("docs", "figures", figure + ".json"))!["headline"]!;
    }

    [Fact]
    public void TheH100()
    {
        (double s, double ofS, string tokensS) = Step("S");
        (double l, double ofL, string tokensL) = Step("L");
        Assert.Contains(
            $"{Number(s, "0.0")} ms at size S and {Number(l, "0.0")} ms at L: {Number(ofS, "0.0")} and {Number(ofL, "0.0")} times as fast",
            Readme,
            StringComparison.Ordinal
        );
        string speed = Text("docs", "speed.md");
        Assert.Contains($"| {tokensS} | {Number(ofS, "0.0")} |", speed, StringComparison.Ordinal);
        Assert.Contains($"| {tokensL} | {Number(ofL, "0.0")} |", speed, StringComparison.Ordinal);

        static (double Milliseconds, double TimesAsFast, string TokensPerSecond) Step(string size)
        {
            double own = Value($"train-{size}-sparse-float32", "ms_per_step");
            double best = new[] { "float32", "tf32", "fp16" }.Min(precision => Value($"torch-{size}-{precision}", "ms_per_step"));
            return (own, best / own, Number(Value($"train-{size}-sparse-float32", "tokens_per_second"), "#,0"));
        }

        static double Value(string file, string name) =>
            (double)JsonNode.Parse(Text("docs", "gpu-results", "h100-2026-11-27", file + ".json"))![name]!;
    }

    /// <summary>What users read of the CPU's speed is what was measured.</summary>
    [Fact]
    public void SpeedsOfTheCpu()
    {
        string measured = Text("docs", "performance.md");
        MatchCollection rows = CpuRow().Matches(Text("docs", "speed.md"));
        Assert.Equal(5, rows.Count);
        Assert.All(
            rows,
            row =>
                Assert.Matches(
                    $@"\| {row.Groups[1]} \| {row.Groups[2]}( \(.*?\))? \| {row.Groups[3]} \|.*\| {Regex.Escape(row.Groups[4].Value)} \|",
                    measured
                )
        );
    }

    private static string Text(params string[] path) => File.ReadAllText(Path.Combine([Root, .. path]));

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    [GeneratedRegex(" +")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"^\| ([SML]) (sparse|dense) \| ([\d,]+) \| ([\d.]+) \|", RegexOptions.Multiline)]
    private static partial Regex CpuRow();
}
