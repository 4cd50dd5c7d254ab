using System.Text.Json.Nodes;

namespace Sparsity.Cli.Tests;

/// <summary>Sweeps from end to end with models that train in a moment.</summary>
public class SweepVerbTests(SmallRun run) : IClassFixture<SmallRun>
{
    private static readonly string Result = Path.Combine("sweep", "result.json");

    /// <summary>Several threads on processors that others use wait for each other most of the time.</summary>
    private static readonly string[] OneThread = ["--threads", "1"];

    private string[] Command =>
        [
            "sweep",
            .. Small("30000"),
            "--density",
            "0.25",
            "--checkpoint-every",
            "20",
            "--lr",
            "0.01,0.03",
            "--sink",
            "true,false",
            "--seed",
            "1,2",
        ];

    /// <summary>What models have in common that train in a moment.</summary>
    private string[] Small(string tokens) =>
        ["--data", run.Data, "--d-model", "32", "--batch", "8", "--tokens", tokens, "--minimum-alive", "2", .. OneThread];

    [Fact]
    public void KilledAnywhereOrInShardsItEndsWithTheResultOfOneRunByteForByte()
    {
        string whole = run["whole"],
            killed = run["killed"],
            shards = run["shards"],
            joined = run["joined"];
        string table = CommandLine.Succeed([.. Command, "--out", whole]);
        Assert.Contains("validation loss", table, StringComparison.Ordinal);
        JsonNode result = JsonNode.Parse(File.ReadAllText(Path.Combine(whole, Result)))!;
        Assert.Equal(8, result["models"]!.AsArray().Count);
        Assert.Equal(4, result["points"]!.AsArray().Count);
        Assert.Contains(">lr<", File.ReadAllText(Path.Combine(whole, "sweep", "result.html")), StringComparison.Ordinal);

        CommandLine.KillAt("training lr-0.01-sink-true-seed-1", [.. Command, "--out", killed]);
        CommandLine.KillAt("training lr-0.03-sink-false-seed-2", [.. Command, "--out", killed]);
        string rest = CommandLine.Succeed([.. Command, "--out", killed]);
        Assert.DoesNotContain("training lr-0.01-sink-true", rest, StringComparison.Ordinal);
        Assert.Equal(File.ReadAllText(Path.Combine(whole, Result)), File.ReadAllText(Path.Combine(killed, Result)));

        string[] first = [.. Command, "--shard", "1/3", "--out", shards],
            merge = ["merge", "--from", shards, "--out", joined];
        CommandLine.KillAt("training lr-0.01-sink-true-seed-1", first);
        CommandLine.Succeed([.. Command, "--shard", "2/3", "--out", shards]);
        CommandLine.Refuse("Of 3 shards, 3 is missing", merge);
        CommandLine.Succeed([.. Command, "--shard", "3/3", "--out", shards]);
        CommandLine.Refuse("sweep is not finished there. Go on with the command that began it.", merge);
        CommandLine.Succeed(first);
        Assert.Contains($"sparsity sweep --data {run.Data} --d-model 32", CommandLine.Succeed(merge), StringComparison.Ordinal);
        CommandLine.Succeed(merge);
        string text = CommandLine.Succeed([.. Command, "--out", joined]);
        Assert.DoesNotContain("training", text, StringComparison.Ordinal);
        Assert.Equal(File.ReadAllText(Path.Combine(whole, Result)), File.ReadAllText(Path.Combine(joined, Result)));

        CommandLine.Refuse("was begun with --data", [.. Command, "--lr-decay", "false", "--out", whole]);
    }

    /// <summary>A model of a sweep is the one that 'train' makes with its flags.</summary>
    [Fact]
    public void AModelIsTheOneThatTrainMakes()
    {
        string[] rest = [.. Small("10000"), "--density", "0.25"];
        File.WriteAllText(run["c.json"], """{"model": {"activation_type": "relu"}}""");
        CommandLine.Succeed(["sweep", "--config", run["c.json"], .. rest, "--afrac", "0.5,0.25", "--sink", "true", "--out", run["as"]]);
        CommandLine.Succeed(["train", "--config", run["c.json"], .. rest, "--afrac", "0.5", "--sink", "--out", run["trained so"]]);

        string model = Path.Combine(run["as"], "models", "afrac-0.5");
        foreach (string file in new[] { "config.json", "model.safetensors" })
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(run["trained so"], file)), File.ReadAllBytes(Path.Combine(model, file)));
        }

        Assert.Contains("\"afrac\": 0.5", File.ReadAllText(Path.Combine(model, "config.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void AModelThatDivergesIsReportedAndTheOthersAreTrained()
    {
        string[] command = ["sweep", .. Small("10000"), "--density", "0.25", "--gradient-scaling", "none", "--lr", "900000,0.01"];
        string text = CommandLine.Succeed([.. command, "--out", run["diverging"]]);
        Assert.Contains("lr-900000 diverged: step 3", text, StringComparison.Ordinal);
        string result = File.ReadAllText(Path.Combine(run["diverging"], Result));
        Assert.Equal([1, 0], JsonNode.Parse(result)!["points"]!.AsArray().Select(point => (int)point!["diverged"]!));
        Assert.Equal([0, 1], JsonNode.Parse(result)!["points"]!.AsArray().Select(point => (int)point!["trained"]!));

        Assert.DoesNotContain("training", CommandLine.Succeed([.. command, "--out", run["diverging"]]), StringComparison.Ordinal);
        foreach (string shard in new[] { "1/2", "2/2" })
        {
            CommandLine.Succeed([.. command, "--shard", shard, "--out", run["diverging shards"]]);
        }

        CommandLine.Succeed("merge", "--from", run["diverging shards"], "--out", run["diverging joined"]);
        Assert.DoesNotContain("training", CommandLine.Succeed([.. command, "--out", run["diverging joined"]]), StringComparison.Ordinal);
        Assert.Equal(result, File.ReadAllText(Path.Combine(run["diverging joined"], Result)));
    }

    [Fact]
    public void ModelsArePrunedToTasks()
    {
        string[] command = ["sweep", .. Small("10000"), "--density", "0.25,0.5", "--prune", "else_elif,for_while", "--target-loss", "0.6"];
        string text = CommandLine.Succeed([.. command, "--out", run["pruned"]]);

        Assert.Contains("circuits, of 2", text, StringComparison.Ordinal);
        JsonNode result = JsonNode.Parse(File.ReadAllText(Path.Combine(run["pruned"], Result)))!;
        Assert.Equal(2 * 2, result["circuits"]!.AsArray().Sum(entry => entry!["circuits"]!.AsArray().Count));
        Assert.True(File.Exists(Path.Combine(run["pruned"], "circuits", "density-0.25-mask", "results.json")));
        Assert.DoesNotContain("pruning", CommandLine.Succeed([.. command, "--out", run["pruned"]]), StringComparison.Ordinal);
    }

    [Fact]
    public void ThePlanIsListedAndNothingIsMade()
    {
        string text = CommandLine.Succeed([.. Command, "--list", "--out", run["listed"]]);

        Assert.Equal(8, text.Split('\n').Count(line => line.Contains("30,000", StringComparison.Ordinal)));
        Assert.Contains("8 models, about", text, StringComparison.Ordinal);
        Assert.False(Directory.Exists(run["listed"]));
        Assert.Contains("2 models", CommandLine.Succeed([.. Command, "--list", "--shard", "3/3"]), StringComparison.Ordinal);
    }

    /// <summary>The rows of the table in docs/sweeps.md, each with all settings of a user who types it.</summary>
    [Fact]
    public void TheAblationsOfTheDocumentCanBeTrained()
    {
        string document = File.ReadAllText(Path.Combine(OfficialFixture.Root, "..", "..", "..", "docs", "sweeps.md"));
        string[] rows = [.. document.Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal) && line.Contains("`--"))];
        string[] sweeps = [.. rows.SelectMany(row => row.Split('`').Where(part => part.StartsWith("--", StringComparison.Ordinal)))];
        Assert.InRange(sweeps.Length, 10, 30);
        Assert.All(
            sweeps,
            flags =>
                Assert.Contains(
                    " models, about ",
                    CommandLine.Succeed(["sweep", "--data", run.Data, "--seed", "1,2,3", .. flags.Split(' '), "--list"]),
                    StringComparison.Ordinal
                )
        );
    }

    [Fact]
    public void HelpNamesTheFlagsOfTrain()
    {
        string help = CommandLine.Succeed("sweep", "--help");

        Assert.All(
            new[] { "--lr", "--density", "--afrac", "--sink", "--position-embeddings", "--seed", "--layers" },
            flag => Assert.Contains(flag, help, StringComparison.Ordinal)
        );
        Assert.DoesNotContain("--resume", help, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("needs a list of values", "--lr", "0.1")]
    [InlineData("the model of lr 0.010: is the same model as lr 0.01", "--lr", "0.01,0.010")]
    [InlineData("the model of density 0.001: ", "--density", "0.5,0.001")] // fewer than minimum alive asks for
    [InlineData("the model of dense true: train: --dense contradicts --density", "--dense", "false,true", "--density", "0.5")]
    [InlineData("the model of dense true: train does not use --minimum-alive", "--dense", "true,false", "--minimum-alive", "2")]
    [InlineData("the model of context 100000: ", "--context", "8,100000")]
    [InlineData("afrac is 1.5", "--afrac", "0.5,1.5")]
    [InlineData("There is no task 'nothing'", "--lr", "0.1,0.2", "--prune", "nothing")]
    [InlineData("for_while is given twice", "--lr", "0.1,0.2", "--prune", "for_while,for_while")]
    [InlineData("target_loss", "--lr", "0.1,0.2", "--prune", "for_while", "--target-loss", "-1")]
    [InlineData("shard is 1/3, but there is work for only 2", "--lr", "0.1,0.2", "--shard", "1/3")]
    [InlineData("warp", "--lr", "0.1,0.2", "--device", "warp")]
    public void WhatCannotBeTrainedIsRefusedBeforeAnythingIs(string sentence, params string[] flags)
    {
        CommandLine.Refuse(sentence, ["sweep", "--data", run.Data, .. flags, "--out", run["refused"]]);
        Assert.False(Directory.Exists(run["refused"]), "A refused sweep left a folder.");
    }

    [Fact]
    public void WhatItNeedsIsSaid()
    {
        CommandLine.Refuse("sweep needs --data DIR and --out DIR", "sweep", "--lr", "0.1,0.2");
        CommandLine.Refuse("nowhere", "sweep", "--data", run["nowhere"], "--out", run["x"], "--lr", "0.1,0.2");
    }
}
