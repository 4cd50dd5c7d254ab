using System.Globalization;
using System.Text.Json.Nodes;
using Sparsity.Core.Circuits;

namespace Sparsity.Cli.Tests;

/// <summary>The verbs one after the other on one small run, as a user would.</summary>
public class WorkflowTests(SmallRun run) : IClassFixture<SmallRun>
{
    [Fact]
    public void TrainingAgainWithOtherThreadsGivesTheSameModel()
    {
        CommandLine.Succeed([.. run.TrainArguments, "--threads", "1", "--out", run["again"]]);

        Assert.Equal(
            File.ReadAllBytes(Path.Combine(run.Model, "model.safetensors")),
            File.ReadAllBytes(Path.Combine(run["again"], "model.safetensors"))
        );
    }

    [Fact]
    public void AnotherSeedGivesAnotherModel()
    {
        CommandLine.Succeed([.. run.TrainArguments, "--seed", "2", "--out", run["seed2"]]);

        Assert.NotEqual(
            File.ReadAllBytes(Path.Combine(run.Model, "model.safetensors")),
            File.ReadAllBytes(Path.Combine(run["seed2"], "model.safetensors"))
        );
    }

    [Fact]
    public void EvalGivesTheLossThatTrainingReported()
    {
        string lastLine = File.ReadAllLines(Path.Combine(run.Model, "metrics.jsonl"))[^1];
        double reported = System.Text.Json.Nodes.JsonNode.Parse(lastLine)!["validation_loss"]!.GetValue<double>();

        string table = CommandLine.Succeed("eval", "--model", run.Model);

        Assert.Contains(reported.ToString("0.0000", CultureInfo.InvariantCulture), table, StringComparison.Ordinal);
        Assert.Contains("0.25000", table, StringComparison.Ordinal); // the share of nonzero weights asked for
    }

    [Fact]
    public void GenerateBeginsWithThePromptAndFollowsTheSeed()
    {
        string first = Generate("4"); // a seed with which the end of the text is not drawn at once

        Assert.StartsWith("def f(", first, StringComparison.Ordinal);
        Assert.True(first.Length > 12, first);
        Assert.Equal(first, Generate("4"));
        Assert.NotEqual(first, Generate("2"));

        string Generate(string seed) =>
            CommandLine.Succeed("generate", "--model", run.Model, "--prompt", "def f(", "--tokens", "12", "--seed", seed);
    }

    [Fact]
    public void PruningWritesACircuitThatTheCircuitVerbsRead()
    {
        string[] prune =
        [
            "prune",
            "--model",
            run.Model,
            "--task",
            "single_double_quote",
            "--steps",
            "20",
            "--k-coef",
            "0.001",
            "--target-loss",
            "0.65",
        ];
        CommandLine.Succeed([.. prune, "--out", run["circuit"]]);
        CommandLine.Succeed([.. prune, "--threads", "1", "--out", run["circuit1"]]);
        string file = Path.Combine(run["circuit"], "circuit.json");
        Circuit circuit = Circuit.Load(file);

        Assert.Equal(File.ReadAllText(file), File.ReadAllText(Path.Combine(run["circuit1"], "circuit.json")));
        Assert.Equal("single_double_quote", circuit.Task);
        string dot = CommandLine.Succeed("circuit", "export", file, "--format", "dot");
        Assert.Equal(circuit.Edges.Count, dot.Split('\n').Count(line => line.Contains("->", StringComparison.Ordinal)));
        string overlap = run["overlap.json"];
        string shared = CommandLine.Succeed("circuit", "compare", file, file, "--json", overlap);
        JsonNode compared = JsonNode.Parse(File.ReadAllText(overlap))!;
        Assert.Equal((int)compared["circuits"]![0]!["nodes"]!, compared["shared_nodes"]!.AsArray().Count);
        Assert.All(compared["node_counts"]!.AsObject(), count => Assert.Equal(2, (int)count.Value!));
        Assert.All(circuit.Nodes, node => Assert.Contains(node.Name, shared, StringComparison.Ordinal));
        Assert.Contains($"{circuit.Nodes.Count}", CommandLine.Succeed("circuit", "show", file), StringComparison.Ordinal);
    }

    /// <summary>Settings that measure on few prompts.</summary>
    private string QuickPruning
    {
        get
        {
            string path = run["quick.json"];
            File.WriteAllText(path, "{\"selection_pairs\": 24, \"test_pairs\": 16, \"mean_batches\": 2, \"random_circuits\": 2}");
            return path;
        }
    }

    [Fact]
    public void ACircuitIsSearchedTestedAndEdited()
    {
        string folder = run["searched"];
        string text = CommandLine.Succeed(
            "prune",
            "--model",
            run.Trained,
            "--config",
            QuickPruning,
            "--task",
            "single_double_quote",
            "--steps",
            "40",
            "--k-coef",
            "0.001",
            "--target-loss",
            "0.3",
            "--search",
            "3",
            "--faithfulness",
            "--out",
            folder
        );
        string[] trials = File.ReadAllLines(Path.Combine(folder, "search.jsonl"));
        JsonNode report = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "faithfulness.json")))!;
        Circuit circuit = Circuit.Load(Path.Combine(folder, "circuit.json"));

        Assert.Equal([0, 1, 2], trials.Select(trial => (int)JsonNode.Parse(trial)!["trial"]!));
        Assert.Equal(3, trials.Select(trial => (double)JsonNode.Parse(trial)!["k_coef"]!).Distinct().Count());
        JsonNode best = trials.Select(trial => JsonNode.Parse(trial)!).MinBy(trial => (double)trial["score"]!)!;
        Assert.Equal((double)best["k_coef"]!, circuit.KCoef);
        Assert.Equal((int)best["edges"]!, circuit.Edges.Count);
        Assert.Equal(10, report["checks"]!.AsArray().Count);
        Assert.Equal(4, report["controls"]!.AsArray().Count);
        Assert.Contains((string)report["verdict"]!, text, StringComparison.Ordinal);

        Assert.InRange(circuit.Nodes.Count, 1, 512); // so that single nodes were measured
        CircuitNode removed = circuit.Nodes.MaxBy(node => node.AblationEffect)!;
        CommandLine.Succeed("circuit", "edit", Path.Combine(folder, "circuit.json"), "--remove", removed.Name, "--out", run["edited"]);
        Circuit edited = Circuit.Load(Path.Combine(run["edited"], "circuit.json"));
        Assert.Equal([removed.Node], edited.RemovedByHand);
        Assert.DoesNotContain(removed.Name, edited.Nodes.Select(node => node.Name));
        // There are so few test prompts that the effect was measured on all.
        Assert.Equal(circuit.Measurements.Loss + removed.AblationEffect!.Value, edited.Measurements.Loss, 1e-6);
        Assert.Equal(circuit.Measurements.LossFullModel, edited.Measurements.LossFullModel);
        CommandResult wrong = CommandLine.Run(
            "circuit",
            "edit",
            Path.Combine(folder, "circuit.json"),
            "--remove",
            "0.attn.y.0",
            "--out",
            run["edited 2"]
        );
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains("0.attn.y.0", wrong.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void PruningSeveralTasksGoesOnWhereItStopped()
    {
        string[] prune =
        [
            "prune",
            "--model",
            run.Model,
            "--config",
            QuickPruning,
            "--task",
            "single_double_quote,for_while,enumerate_range",
            "--steps",
            "10",
            "--k-coef",
            "0.001",
            "--target-loss",
            "0.65,0.69",
            "--seed",
            "1,2",
        ];
        string table = CommandLine.Succeed([.. prune, "--out", run["many"]]);
        string results = Path.Combine(run["many"], "results.json");
        string whole = File.ReadAllText(results);
        Assert.Equal(12, JsonNode.Parse(whole)!["results"]!.AsArray().Count);
        Assert.Equal(4, JsonNode.Parse(whole)!["totals"]!.AsArray().Count);
        Assert.Contains("' enumerate' is not a single token", table, StringComparison.Ordinal);
        string circuit = Path.Combine(run["many"], "for_while", "seed-2", "target-0.65", "circuit.json");
        string before = File.ReadAllText(circuit);

        // As if it had been stopped before that search: neither its files nor its results are there.
        Directory.Delete(Path.Combine(run["many"], "for_while", "seed-2"), recursive: true);
        JsonNode cut = JsonNode.Parse(whole)!;
        cut["results"] = new JsonArray([
            .. cut["results"]!
                .AsArray()
                .Where(result => (string)result!["task"]! != "for_while" || (int)result!["seed"]! != 2)
                .Select(result => result!.DeepClone()),
        ]);
        File.WriteAllText(results, cut.ToJsonString());
        CommandLine.Succeed("prune", "--resume", run["many"]);

        Assert.Equal(whole, File.ReadAllText(results));
        Assert.Equal(before, File.ReadAllText(circuit));
        CommandResult again = CommandLine.Run([.. prune, "--out", run["many"]]);
        Assert.Equal(2, again.ExitCode);
    }

    [Fact]
    public void TasksAreListedShownAndEvaluated()
    {
        string list = CommandLine.Succeed("tasks", "list");
        string show = CommandLine.Succeed("tasks", "show", "bracket_counting", "--pairs", "2");
        string evaluated = CommandLine.Succeed("tasks", "eval", "single_double_quote", "--model", run.Model);

        Assert.Contains("while_return_true", list, StringComparison.Ordinal);
        Assert.Contains("[]]]", show, StringComparison.Ordinal); // the answer ]] in brackets
        Assert.Contains("single_double_quote", evaluated, StringComparison.Ordinal);
    }

    [Fact]
    public void TheTokenizerShowsTokensOfTheTextGiven()
    {
        string shown = CommandLine.Succeed("tokenizer", "show", "--from", Path.Combine(run.Data, "tokenizer"), "--text", "def f");

        Assert.Contains("'def'", shown, StringComparison.Ordinal);
        Assert.Contains("' f'", shown, StringComparison.Ordinal);
    }

    /// <summary>What is printed is written too, as it is before it is rounded for the table.</summary>
    [Fact]
    public void ResultsAreWrittenAsJson()
    {
        string evaluation = run["evaluation.json"];
        string tasks = run["tasks.json"];
        string printed = CommandLine.Succeed("eval", "--model", run.Model, "--json", evaluation);
        CommandLine.Succeed("tasks", "eval", "single_double_quote", "--model", run.Model, "--pairs", "4", "--json", tasks);

        JsonObject measured = JsonNode.Parse(File.ReadAllText(evaluation))!.AsObject();
        double loss = (double)measured["validation_loss"]!;
        Assert.Contains(loss.ToString("0.0000", CultureInfo.InvariantCulture), printed, StringComparison.Ordinal);
        Assert.Equal(2, measured["alive_neurons"]!.AsArray().Count);
        JsonNode task = JsonNode.Parse(File.ReadAllText(tasks))!.AsArray().Single()!;
        Assert.Equal("single_double_quote", (string)task["task"]!);
        Assert.InRange((double)task["accuracy"]!, 0, 1);
    }

    [Fact]
    public void AStoppedRunIsNotBegunAgainButResumed()
    {
        CommandResult again = CommandLine.Run([.. run.TrainArguments, "--out", run.Model]);
        CommandResult resumed = CommandLine.Run("train", "--resume", run.Model);

        Assert.Equal(2, again.ExitCode);
        Assert.Contains("already holds files", again.Errors, StringComparison.Ordinal);
        Assert.Equal(0, resumed.ExitCode); // nothing is left to do
    }

    [Fact]
    public void DevicesNamesTheEngine() =>
        Assert.Contains("cpu", CommandLine.Succeed("devices", "--device", "cpu"), StringComparison.Ordinal);
}
