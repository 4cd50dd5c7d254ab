using System.Text.Json.Nodes;
using Sparsity.Core;
using Sparsity.Core.Distributed;

namespace Sparsity.Cli.Tests;

/// <summary>A sweep in shards, joined, against the same sweep in one run.</summary>
public sealed class ShardTests(SmallRun run) : IClassFixture<SmallRun>
{
    [Fact]
    public void ShardsJoinToTheFolderOfOneRunByteForByteAndAgain()
    {
        string config = run["quick.json"],
            whole = run["whole"],
            shards = run["shards"],
            joined = run["joined"];
        File.WriteAllText(config, """{"mean_batches": 2, "selection_pairs": 8, "test_pairs": 8, "random_circuits": 1}""");
        string[] prune =
        [
            "prune",
            "--model",
            run.Model,
            "--config",
            config,
            "--task",
            "single_double_quote,for_while,enumerate_range",
            "--seed",
            "1,2",
            "--steps",
            "8",
            "--k-coef",
            "0.001",
            "--target-loss",
            "0.65",
            "--search",
            "2",
        ];
        CommandLine.Succeed([.. prune, "--out", whole]);
        CommandLine.Succeed([.. prune, "--shard", "2/2", "--out", shards]);
        string[] merge = ["merge", "--from", shards, "--out", joined];
        CommandLine.Refuse("Of 2 shards, 1 is missing", merge);

        CommandLine.Succeed([.. prune, "--shard", "1/2", "--out", shards]);
        string results = Path.Combine(shards, "shard-1-of-2", "results.json");
        string finished = File.ReadAllText(results);
        JsonNode cut = JsonNode.Parse(finished)!;
        cut["results"]!.AsArray().RemoveAt(0);
        File.WriteAllText(results, cut.ToJsonString());
        CommandLine.Refuse("1 of its searches are not done. Resume it first.", merge);
        File.WriteAllText(results, finished);
        CommandLine.Refuse(
            "Shard 1/2 is there twice",
            ["merge", "--from", $"{shards},{Copy("shard-1-of-2", "copy", plan => { })}", "--out", joined]
        );
        CommandLine.Refuse(
            "is a shard of another sweep",
            [
                "merge",
                "--from",
                $"{Path.Combine(shards, "shard-1-of-2")},{Copy("shard-2-of-2", "other", plan => plan["search"] = 3)}",
                "--out",
                joined,
            ]
        );
        CommandLine.Refuse("is a whole run, and no shard", ["merge", "--from", whole, "--out", joined]);
        CommandLine.Refuse("already holds files", ["merge", "--from", shards, "--out", run.Model]);
        Assert.False(Directory.Exists(joined));

        for (int time = 0; time < 2; time++)
        {
            CommandLine.Succeed(merge);
            string[] files = Files(whole);
            Assert.Equal(files, Files(joined));
            Assert.All(
                files,
                file => Assert.Equal(File.ReadAllText(Path.Combine(whole, file)), File.ReadAllText(Path.Combine(joined, file)))
            );
        }

        string Copy(string shard, string name, Action<JsonNode> change)
        {
            string copy = run[name];
            foreach (string file in new[] { "prune.json", "results.json" })
            {
                Directory.CreateDirectory(copy);
                File.Copy(Path.Combine(shards, shard, file), Path.Combine(copy, file));
            }

            string path = Path.Combine(copy, "prune.json");
            JsonNode plan = JsonNode.Parse(File.ReadAllText(path))!;
            change(plan);
            File.WriteAllText(path, plan.ToJsonString());
            return copy;
        }
    }

    [Fact]
    public void MoreShardsThanSearchesAreRefused() =>
        CommandLine.Refuse(
            "shard is 1/2, but there is work for only 1",
            ["prune", "--model", run.Model, "--task", "for_while", "--shard", "1/2", "--out", run["few"]]
        );

    [Theory]
    [InlineData("0/2")]
    [InlineData("3/2")]
    [InlineData("1")]
    [InlineData("1/2/3")]
    [InlineData("-1/2")]
    [InlineData("one/2")]
    public void OtherTextIsNoShard(string text) =>
        Assert.Contains(text, Assert.Throws<BadInputException>(() => Shard.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void EveryJobBelongsToOneShard()
    {
        foreach (int count in new[] { 1, 2, 3, 7 })
        {
            Shard[] shards = [.. Enumerable.Range(1, count).Select(index => Shard.Parse($"{index}/{count}"))];
            Assert.All(Enumerable.Range(0, 20), job => Assert.Single(shards, shard => shard.Takes(job)));
            Assert.All(shards, shard => Assert.InRange(Enumerable.Range(0, 20).Count(shard.Takes), 20 / count, (20 / count) + 1));
        }
    }

    private static string[] Files(string folder) =>
        [
            .. Directory
                .EnumerateFiles(folder, "*", SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(folder, path))
                .Where(path => !path.StartsWith(".lock", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal),
        ];
}
