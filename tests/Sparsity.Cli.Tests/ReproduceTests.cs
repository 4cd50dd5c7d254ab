using System.Text.Json.Nodes;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>Figures from end to end at the smallest scale: the numbers mean nothing there, but every stage is gone through.</summary>
public sealed class ReproduceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void KilledAnywhereItGoesOnToTheSameResult()
    {
        string[] whole = Command("size-vs-loss", "whole");
        string[] killed = Command("size-vs-loss", "killed");
        CommandLine.Succeed(whole);

        CommandLine.KillAt("training 1x32-density-0.25", killed); // with a run begun, perhaps without a checkpoint
        CommandLine.KillAt("-seed-1, 8 of 8 tasks", killed); // within the pruning
        CommandLine.KillAt("-seed-2", killed);
        string text = CommandLine.Succeed(killed);

        string expected = File.ReadAllText(Path.Combine(_folder["whole"], "size-vs-loss", "result.json"));
        Assert.Equal(expected, File.ReadAllText(Path.Combine(_folder["killed"], "size-vs-loss", "result.json")));
        JsonNode result = JsonNode.Parse(expected)!;
        Assert.Contains((string)result["headline"]!, text, StringComparison.Ordinal);
        Assert.Equal(2, result["matches"]!.AsArray().Count);
        Assert.Equal(2 * 8 * 2, result["comparison"]!["pairs"]!.AsArray().Count); // seeds, tasks, targets
        Assert.Equal(["else_elif"], result["comparison"]!["last_token_tasks"]!.AsArray().Select(task => (string)task!));
        Assert.All(result["models"]!.AsArray(), model => Assert.Equal(64, ((string)model!["fingerprint"]!).Length));
        Assert.DoesNotContain(_folder["whole"], expected, StringComparison.Ordinal);
        Assert.Contains("width", File.ReadAllText(Path.Combine(_folder["whole"], "size-vs-loss", "result.html")), StringComparison.Ordinal);

        // Another figure takes the sparse models and their circuits as they are.
        string more = CommandLine.Succeed(Command("necessity", "whole"));
        Assert.DoesNotContain("training", more, StringComparison.Ordinal);
        Assert.DoesNotContain("pruning 1x32", more, StringComparison.Ordinal);
        JsonNode summary = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["whole"], "summary.json")))!;
        Assert.Equal(["size_vs_loss", "necessity"], summary["figures"]!.AsArray().Select(row => (string)row!["figure"]!));

        string[] other = [.. whole];
        other[^3] = "3";
        CommandLine.Refuse("was begun with --figure size-vs-loss --budget 1 --seed 1", other);
        CommandLine.Refuse("was begun with", [.. whole, "--seed", "2"]);
    }

    [Fact]
    public void TheOtherFiguresAreMadeToo()
    {
        foreach (string figure in new[] { "kurtosis", "frontier", "pruning-baseline", "token-losses" })
        {
            CommandLine.Succeed(Command(figure, "others"));
            JsonNode result = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["others"], figure, "result.json")))!;

            Assert.NotEmpty((string)result["headline"]!);
            Assert.NotNull(result[figure == "pruning-baseline" ? "comparison" : figure.Replace('-', '_')]);
            Assert.StartsWith(
                "<!DOCTYPE html>",
                File.ReadAllText(Path.Combine(_folder["others"], figure, "result.html")),
                StringComparison.Ordinal
            );
        }
    }

    [Fact]
    public void WhatEachCostsIsListed()
    {
        string list = CommandLine.Succeed("reproduce", "--list");

        Assert.All(
            new[] { "size-vs-loss", "frontier", "kurtosis", "necessity", "pruning-baseline", "token-losses" },
            figure => Assert.Contains(figure, list, StringComparison.Ordinal)
        );
    }

    [Fact]
    public void WhatCannotBeAskedFor()
    {
        CommandLine.Refuse("needs --figure", "reproduce");
        CommandLine.Refuse("'size' is none of", "reproduce", "--figure", "size", "--budget", "1", "--out", _folder["x"]);
        CommandLine.Refuse("smallest plan", "reproduce", "--figure", "size-vs-loss", "--budget", "0.001", "--out", _folder["x"]);
        CommandLine.Refuse("above 0", "reproduce", "--figure", "size-vs-loss", "--budget", "-1", "--out", _folder["x"]);
        CommandLine.Refuse(
            "nowhere",
            "reproduce",
            "--figure",
            "size-vs-loss",
            "--budget",
            "1",
            "--out",
            _folder["x"],
            "--data",
            _folder["nowhere"]
        );
        CommandLine.Refuse("warp", "reproduce", "--figure", "size-vs-loss", "--budget", "1", "--out", _folder["x"], "--device", "warp");
        Assert.False(Directory.Exists(_folder["x"]), "A refused run left a folder.");
    }

    public void Dispose() => _folder.Dispose();

    private string[] Command(string figure, string name) => ["reproduce", "--figure", figure, "--budget", "1", "--out", _folder[name]];
}
