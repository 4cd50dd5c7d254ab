using Sparsity.Core.Circuits;
using Sparsity.Core.Distributed;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.Core.Reproduction;
using Sparsity.Core.Runs;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>Shards of figures made up of files that stand for stages; ReproduceShardTests of Sparsity.Cli joins real ones.</summary>
public sealed class ReproductionMergeTests : IDisposable
{
    private static readonly string Fixtures = Path.Combine(OfficialFixture.Root, "..", "version1");

    private readonly TemporaryFolder _folder = new();

    private string Shards => Path.Combine(_folder.Path, "shards");

    private string Joined => Path.Combine(_folder.Path, "joined");

    [Fact]
    public void StagesOfAllFiguresAreThereOnceAndNameTheFolderTheyAreIn()
    {
        Make(Figure.Necessity, 1, ["one"]);
        Make(Figure.Necessity, 2, ["two"]);
        Make(Figure.Kurtosis, 1, ["three"]);
        Make(Figure.Kurtosis, 2, ["three", "four"]); // two shards have one and the same model

        Merge();
        Assert.Equal(
            ["four", "one", "three", "two"],
            Directory.EnumerateDirectories(Path.Combine(Joined, "models")).Select(Path.GetFileName).Order()
        );
        Assert.Equal(Plan(Figure.Kurtosis), File.ReadAllText(Path.Combine(Joined, "kurtosis", "plan.json")));
        Assert.Equal(
            Path.GetFullPath(Path.Combine(Joined, "data-3mb-seed-1")),
            new RunFolder(Path.Combine(Joined, "models", "two")).ReadRecord().Data
        );
        string circuits = Path.Combine(Joined, "circuits", "two-mask"),
            model = Path.Combine(Joined, "models", "two");
        Assert.Equal(model, PruningPlan.Load(Path.Combine(circuits, "prune.json")).Model);
        Assert.Equal(model, Circuit.Load(Path.Combine(circuits, "single_double_quote", "circuit.json")).Model);
        Assert.Equal("two", File.ReadAllText(Path.Combine(model, "model.safetensors")));
        Assert.False(File.Exists(Path.Combine(model, ".lock")));

        Dictionary<string, DateTime> before = Times();
        Merge();
        Assert.Equal(before, Times());

        // A merge that was killed: what has its name is whole, the rest is made.
        Directory.Move(model, model + ".partial");
        File.WriteAllText(Path.Combine(model + ".partial", "more"), "");
        Merge();
        Assert.Equal("two", File.ReadAllText(Path.Combine(model, "model.safetensors")));
        Assert.False(File.Exists(Path.Combine(model, "more")));
        Assert.False(Directory.Exists(model + ".partial"));

        Dictionary<string, DateTime> Times() =>
            Directory
                .EnumerateFiles(Joined, "*", SearchOption.AllDirectories)
                .Where(path => !path.EndsWith("plan.json", StringComparison.Ordinal) && !path.Contains(".lock", StringComparison.Ordinal))
                .ToDictionary(path => path, File.GetLastWriteTimeUtc);
    }

    [Fact]
    public void WhatCannotBeJoinedIsRefusedAndNothingIsWritten()
    {
        Make(Figure.Necessity, 1, ["one"]);
        Refused("Of 2 shards, 2 is missing");

        string second = Make(Figure.Necessity, 2, ["two"]);
        Refused("Shard 2/2 is there twice", Make(Figure.Necessity, 2, ["two"], under: "copy"));
        Refused("is begun in other shards, but not there", Directory.CreateDirectory(_folder["empty"]).FullName);
        Refused("was made as a whole there", Make(Figure.Necessity, null, ["one"], under: "whole"));

        string finished = Path.Combine(second, "necessity", "stages.json"),
            text = File.ReadAllText(finished);
        File.Delete(finished);
        Refused("necessity is not finished there. Go on with the command that began it.");
        File.WriteAllText(finished, text.Replace("two", "../two", StringComparison.Ordinal));
        Refused("'../two' is no name of a stage");
        File.WriteAllText(finished, text);

        string plan = Path.Combine(second, "necessity", "plan.json"),
            own = File.ReadAllText(plan);
        File.WriteAllText(plan, own.Replace("\"resamples\": 10000", "\"resamples\": 9999", StringComparison.Ordinal));
        Refused("is a shard of another plan than");
        File.WriteAllText(plan, own);

        string weights = Path.Combine(second, "models", "two", "model.safetensors");
        File.Delete(weights);
        Refused("has no model.safetensors");
        File.WriteAllText(weights, "two");

        // Two figures share a model, which two shards have made: not the same.
        Make(Figure.Kurtosis, 1, ["two"]);
        string other = Path.Combine(Make(Figure.Kurtosis, 2, ["four"]), "..", "shard-1-of-2", "models", "two", "model.safetensors");
        File.WriteAllText(other, "other");
        Refused("is not the same as in");
        File.WriteAllText(other, "two");

        Directory.CreateDirectory(Joined);
        File.WriteAllText(Path.Combine(Joined, "notes.txt"), "mine");
        Assert.Contains("already holds files", Assert.Throws<BadInputException>(Merge).Message, StringComparison.Ordinal);
        Assert.Equal("notes.txt", Path.GetFileName(Assert.Single(Directory.EnumerateFileSystemEntries(Joined))));
    }

    [Fact]
    public void AModelThatIsThereAlreadyMustBeTheSame()
    {
        Make(Figure.Necessity, 1, ["one"]);
        Make(Figure.Necessity, 2, ["two"]);
        Merge();
        string weights = Path.Combine(Joined, "models", "one", "model.safetensors");
        File.WriteAllText(weights, "trained there meanwhile");

        Assert.Contains("is not the same as in", Assert.Throws<BadInputException>(Merge).Message, StringComparison.Ordinal);
        Assert.Equal("trained there meanwhile", File.ReadAllText(weights));
    }

    [Fact]
    public void EachModelIsMadeByOneShard()
    {
        ReproductionPlan plan = ReproductionPlanner.At(ReproductionScale.All[0], Figure.Frontier, 1, 1, null, "1.0.0");
        PlannedModel[] made = [.. Enumerable.Range(1, 3).SelectMany(index => (plan with { Shard = new Shard(index, 3) }).OwnModels)];

        Assert.Equal(
            plan.Models.Order(Comparer<PlannedModel>.Create((a, b) => string.CompareOrdinal(a.Name, b.Name))),
            made.OrderBy(model => model.Name, StringComparer.Ordinal)
        );
        Assert.Equal(plan.Models, plan.OwnModels);
        Assert.DoesNotContain("shard", JsonText.Write(plan), StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private static string Plan(Figure figure, Shard? shard = null) =>
        JsonText.Write(ReproductionPlanner.At(ReproductionScale.All[1], figure, 10, 1, null, "1.0.0") with { Shard = shard });

    /// <summary>A finished shard, in which models have their names for weights; of necessity, with a circuit each.</summary>
    /// <param name="index">Of two shards; null for a whole run.</param>
    private string Make(Figure figure, int? index, string[] models, string under = "shards")
    {
        var shard = index is { } number ? new Shard(number, 2) : null;
        string folder = Path.Combine(_folder.Path, under, shard?.FolderName ?? "run");
        Write(Path.Combine(figure.Name(), "plan.json"), Plan(figure, shard));
        Write(Path.Combine("data-3mb-seed-1", "train.bin"), "tokens");
        foreach (string model in models)
        {
            Write(Path.Combine("models", model, "model.safetensors"), model);
            Write(Path.Combine("models", model, "run.json"), File.ReadAllText(Path.Combine(Fixtures, "sparse", "run.json")));
            Write(Path.Combine("models", model, ".lock"), "");
            if (figure == Figure.Necessity)
            {
                string circuits = Path.Combine("circuits", model + "-mask");
                Write(Path.Combine(circuits, "results.json"), "{}");
                Write(
                    Path.Combine(circuits, "prune.json"),
                    JsonText.Write(
                        PruningPlan.Load(Path.Combine(Fixtures, "pruned", "prune.json")) with
                        {
                            Model = $"elsewhere/models/{model}",
                        }
                    )
                );
                Write(
                    Path.Combine(circuits, "single_double_quote", "circuit.json"),
                    JsonText.Write(
                        Circuit.Load(Path.Combine(Fixtures, "pruned", "circuit.json")) with
                        {
                            Model = $"elsewhere/models/{model}",
                        }
                    )
                );
            }
        }

        ReproductionMerge.Finish(
            folder,
            figure.Name(),
            new FinishedStages(models, figure == Figure.Necessity ? [.. models.Select(model => model + "-mask")] : [])
        );
        return folder;

        void Write(string name, string text)
        {
            string path = Path.Combine(folder, name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, text);
        }
    }

    private void Merge() => ReproductionMerge.Run([.. ReproductionMerge.Find(Shards)], Joined);

    private void Refused(string sentence, params string[] more)
    {
        string message = Assert
            .Throws<BadInputException>(() => ReproductionMerge.Run([.. ReproductionMerge.Find(Shards), .. more], Joined))
            .Message;
        Assert.Contains(sentence, message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Joined), "A refused merge left a folder.");
    }
}
