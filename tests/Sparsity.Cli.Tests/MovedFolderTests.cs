using System.Text.Json.Nodes;

namespace Sparsity.Cli.Tests;

/// <summary>
/// Names and paths that files keep, used later, in another place: from another working directory, after a move, and beside files of the
/// same name.
/// </summary>
public class MovedFolderTests(SmallRun run) : IClassFixture<SmallRun>
{
    private const string OwnTask =
        """{"format_version":1,"name":"single_double_quote","description":"own prompts","train":[{"first":"x = ('a","second":"x = (\"a","answer_a":"'","answer_b":"\""},{"first":"z = ('c","second":"z = (\"c","answer_a":"'","answer_b":"\""}],"test":[{"first":"y = ('b","second":"y = (\"b","answer_a":"'","answer_b":"\""}]}""";

    [Fact]
    public void ATaskFileNamedAsABuiltInKeepsItsOwnPrompts()
    {
        string task = run["own.json"],
            circuits = run["own circuits"],
            circuit = Path.Combine(circuits, "circuit.json");
        File.WriteAllText(task, OwnTask);
        CommandLine.Succeed("prune", "--model", run.Trained, "--task", task, "--steps", "3", "--k-coef", "0.001", "--out", circuits);
        JsonNode pruned = JsonNode.Parse(File.ReadAllText(circuit))!;
        Assert.Equal(task, (string)pruned["task_file"]!["path"]!);

        // Nothing of weight is taken out, so the full model's loss is the same number on the same prompts; the built-in's are others.
        string node = (string)pruned["nodes"]![0]!["name"]!;
        CommandLine.Succeed("circuit", "edit", circuit, "--remove", node, "--out", run["own edited"]);
        JsonNode edited = JsonNode.Parse(File.ReadAllText(Path.Combine(run["own edited"], "circuit.json")))!;
        Assert.Equal((double)pruned["measurements"]!["loss_full_model"]!, (double)edited["measurements"]!["loss_full_model"]!);

        File.Move(task, run["moved task.json"]);
        CommandLine.Refuse("is gone. Restore it, or give the task's file", "circuit", "edit", circuit, "--remove", node, "--out", run["x"]);
        CommandLine.Refuse(
            "another task",
            "circuit",
            "edit",
            circuit,
            "--remove",
            node,
            "--task",
            "single_double_quote",
            "--out",
            run["x"]
        );
        CommandLine.Succeed(
            "circuit",
            "edit",
            circuit,
            "--remove",
            node,
            "--task",
            run["moved task.json"],
            "--out",
            run["own edited again"]
        );
        File.WriteAllText(task, OwnTask.Replace("y = ", "w = ", StringComparison.Ordinal));
        CommandLine.Refuse("its prompts differ", "circuit", "edit", circuit, "--remove", node, "--out", run["x"]);
        File.Delete(Path.Combine(circuits, "results.json"));
        CommandLine.Refuse("its prompts differ", "prune", "--resume", circuits);
        CommandLine.Succeed("prune", "--resume", circuits, "--task", run["moved task.json"]);
    }

    [Fact]
    public void ARunAndItsDataMovedTogetherGoOn()
    {
        string before = run["before"],
            after = run["after"];
        CommandLine.Succeed(
            "corpus",
            "--synthetic",
            "--megabytes",
            "0.3",
            "--seed",
            "3",
            "--tokenizer",
            Path.Combine(run.Data, "tokenizer"),
            "--out",
            Path.Combine(before, "data")
        );
        CommandLine.Succeed(
            "train",
            "--data",
            Path.Combine(before, "data"),
            "--d-model",
            "32",
            "--batch",
            "8",
            "--tokens",
            "20000",
            "--density",
            "0.25",
            "--minimum-alive",
            "2",
            "--out",
            Path.Combine(before, "m")
        );
        CommandLine.Succeed(
            "prune",
            "--model",
            Path.Combine(before, "m"),
            "--task",
            "single_double_quote",
            "--steps",
            "3",
            "--k-coef",
            "0.001",
            "--out",
            Path.Combine(before, "p")
        );
        Directory.Move(before, after);
        File.Delete(Path.Combine(after, "p", "results.json"));

        CommandLine.Succeed("eval", "--model", Path.Combine(after, "m"));
        CommandLine.Succeed("train", "--resume", Path.Combine(after, "m"));
        CommandLine.Succeed("prune", "--resume", Path.Combine(after, "p"));
        string node = (string)JsonNode.Parse(File.ReadAllText(Path.Combine(after, "p", "circuit.json")))!["nodes"]![0]!["name"]!;
        CommandLine.Succeed("circuit", "edit", Path.Combine(after, "p", "circuit.json"), "--remove", node, "--out", run["edited after"]);
        Assert.DoesNotContain(
            "was not found",
            CommandLine.Succeed("view", "--circuit", Path.Combine(after, "p", "circuit.json"), "--html", run["after.html"]),
            StringComparison.Ordinal
        );

        // Apart from each other they go on when told where, and only with the same content.
        Directory.Move(Path.Combine(after, "data"), run["data elsewhere"]);
        Directory.Move(Path.Combine(after, "m"), run["model elsewhere"]);
        File.Delete(Path.Combine(after, "p", "results.json"));
        CommandLine.Refuse("say where the right one is", "train", "--resume", run["model elsewhere"]);
        CommandLine.Succeed("train", "--resume", run["model elsewhere"], "--data", run["data elsewhere"]);
        CommandLine.Refuse("no such folder", "prune", "--resume", Path.Combine(after, "p"));
        CommandLine.Succeed(
            "prune",
            "--resume",
            Path.Combine(after, "p"),
            "--model",
            run["model elsewhere"],
            "--data",
            run["data elsewhere"]
        );
        File.Delete(Path.Combine(after, "p", "results.json"));
        CommandLine.Refuse("other weights", "prune", "--resume", Path.Combine(after, "p"), "--model", run.Model, "--data", run.Data);

        CommandLine.Succeed(
            "corpus",
            "--synthetic",
            "--megabytes",
            "0.3",
            "--seed",
            "2",
            "--tokenizer",
            Path.Combine(run.Data, "tokenizer"),
            "--out",
            run["other text"]
        );
        CommandLine.Refuse("other text", "train", "--resume", run["model elsewhere"], "--data", run["other text"]);
        CommandLine.Refuse(
            "other data",
            "prune",
            "--resume",
            Path.Combine(after, "p"),
            "--model",
            run["model elsewhere"],
            "--data",
            run["other text"]
        );
    }

    /// <summary>A task's file too is found near what names it, and only if it is the same.</summary>
    [Fact]
    public void ATaskFileMovedWithTheCircuitIsFound()
    {
        string before = run["tasks before"],
            after = run["tasks after"];
        Directory.CreateDirectory(before);
        File.WriteAllText(Path.Combine(before, "own.json"), OwnTask);
        CommandLine.Succeed(
            "prune",
            "--model",
            run.Trained,
            "--task",
            Path.Combine(before, "own.json"),
            "--steps",
            "3",
            "--k-coef",
            "0.001",
            "--out",
            Path.Combine(before, "p")
        );
        Directory.Move(before, after);
        string circuit = Path.Combine(after, "p", "circuit.json");
        string node = (string)JsonNode.Parse(File.ReadAllText(circuit))!["nodes"]![0]!["name"]!;

        CommandLine.Succeed("circuit", "edit", circuit, "--remove", node, "--out", run["near edited"]);
        CommandLine.Succeed("view", "--circuit", circuit, "--html", run["near.html"]);
        CommandLine.Refuse(
            "no circuit here was found on this task",
            "view",
            "--circuit",
            circuit,
            "--html",
            run["near.html"],
            "--task",
            OtherTask()
        );
        File.Delete(Path.Combine(after, "p", "results.json"));
        CommandLine.Succeed("prune", "--resume", Path.Combine(after, "p"));
        File.WriteAllText(Path.Combine(after, "own.json"), OwnTask.Replace("y = ", "w = ", StringComparison.Ordinal));
        CommandLine.Refuse("its prompts differ", "circuit", "edit", circuit, "--remove", node, "--out", run["x"]);

        string OtherTask()
        {
            File.WriteAllText(
                run["another.json"],
                OwnTask.Replace("\"name\":\"single_double_quote\"", "\"name\":\"another\"", StringComparison.Ordinal)
            );
            return run["another.json"];
        }
    }
}
