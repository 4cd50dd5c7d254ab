using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>A figure made in shards, joined, against the same figure made by one run; at the smallest scale.</summary>
public sealed class ReproduceShardTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string[] Command => ["reproduce", "--figure", "size-vs-loss", "--budget", "1"];

    [Fact]
    public void ShardsJoinToTheResultOfOneRunByteForByte()
    {
        string whole = _folder["whole"],
            shards = _folder["shards"],
            joined = _folder["joined"];
        string[] first = [.. Command, "--shard", "1/2", "--out", shards],
            merge = ["merge", "--from", shards, "--out", joined];
        CommandLine.Succeed([.. Command, "--out", whole]);

        CommandLine.KillAt("training 1x4", first); // a sparse model is trained, no dense one yet
        CommandLine.KillAt("8 of 8 tasks", first);
        CommandLine.Succeed([.. Command, "--shard", "2/2", "--out", shards]);
        CommandLine.Refuse("size-vs-loss is not finished there", merge);
        CommandLine.Succeed(first);
        string[] models = [.. Directory.EnumerateDirectories(Path.Combine(shards, "shard-1-of-2", "models"))];
        Assert.All(models, model => Assert.EndsWith("seed-1", model, StringComparison.Ordinal));
        Assert.Contains(
            $"sparsity reproduce --figure size-vs-loss --budget 1 --seed 1 --out {joined}",
            CommandLine.Succeed(merge),
            StringComparison.Ordinal
        );
        CommandLine.Succeed(merge);
        CommandLine.Refuse(
            "was begun with --figure size-vs-loss --budget 1 --seed 1 --shard 1/2",
            [.. Command, "--out", Path.Combine(shards, "shard-1-of-2")]
        );

        // Nothing is left to be made, even where the shards are gone.
        Directory.Delete(shards, recursive: true);
        string text = CommandLine.Succeed([.. Command, "--out", joined]);
        Assert.DoesNotContain("training", text, StringComparison.Ordinal);
        Assert.DoesNotContain("pruning", text, StringComparison.Ordinal);
        string result = Path.Combine("size-vs-loss", "result.json");
        Assert.Equal(File.ReadAllText(Path.Combine(whole, result)), File.ReadAllText(Path.Combine(joined, result)));
    }

    [Fact]
    public void WhatIsNoShardOfAFigure()
    {
        CommandLine.Refuse("shard is 3/3, but there is work for only 2", [.. Command, "--shard", "3/3", "--out", _folder["few"]]);
        CommandLine.Refuse("must be i/n", [.. Command, "--shard", "2", "--out", _folder["few"]]);
        Assert.False(Directory.Exists(_folder["few"]), "A refused run left a folder.");
    }

    public void Dispose() => _folder.Dispose();
}
