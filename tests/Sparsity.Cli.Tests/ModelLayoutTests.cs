using System.Text.Json.Nodes;
using Sparsity.Core.Runs;
using Sparsity.Core.Tensors;

namespace Sparsity.Cli.Tests;

/// <summary>Verbs x layouts: what a verb says of a model does not depend on the kind of folder that holds it.</summary>
public class ModelLayoutTests(ModelLayouts models) : IClassFixture<ModelLayouts>
{
    /// <summary>
    /// Every verb with a model, and what it makes of one: a function of the model's folder and the further flags that this needs.
    /// </summary>
    private static readonly Dictionary<string, Func<ModelLayouts, string, string[], string>> Verbs = new()
    {
        ["eval"] = (_, model, flags) => CommandLine.Succeed(["eval", "--model", model, .. flags]),
        ["generate"] = (_, model, flags) =>
            CommandLine.Succeed(["generate", "--model", model, "--tokens", "200", "--temperature", "3", "--top-p", "1", .. flags]),
        ["tasks eval"] = (_, model, flags) => CommandLine.Succeed(["tasks", "eval", "--model", model, "--pairs", "8", .. flags]),
        ["trace --text"] = (models, model, flags) =>
        {
            CommandLine.Succeed([
                "trace",
                "--model",
                model,
                "--text",
                "def f(x):\n    return x",
                "--mean-ablate",
                "0.attn.v:3",
                "--mean-batches",
                "2",
                "--out",
                Out(models, "trace", model),
                .. flags,
            ]);
            return Hash(Path.Combine(Out(models, "trace", model), "trace.safetensors"));
        },
        ["prune"] = (models, model, flags) =>
        {
            CommandLine.Succeed([
                "prune",
                "--model",
                model,
                "--task",
                "single_double_quote",
                "--config",
                Pruning(models),
                "--out",
                Out(models, "circuit", model),
                .. flags,
            ]);
            return CircuitIn(Out(models, "circuit", model));
        },
        ["prune --resume"] = (models, model, flags) =>
        {
            string folder = Out(models, "resumed", model);
            CommandLine.Succeed([
                "prune",
                "--model",
                model,
                "--task",
                "single_double_quote",
                "--config",
                Pruning(models),
                "--out",
                folder,
                .. flags,
            ]);
            string circuit = CircuitIn(folder);
            File.Delete(Path.Combine(folder, "results.json"));
            File.Delete(Path.Combine(folder, "circuit.json"));
            CommandLine.Succeed("prune", "--resume", folder);
            Assert.Equal(circuit, CircuitIn(folder));
            return circuit;
        },
        ["circuit edit"] = (models, model, flags) =>
        {
            CommandLine.Succeed([
                "circuit",
                "edit",
                Circuit(models),
                "--model",
                model,
                "--remove",
                FirstNode(models),
                "--out",
                Out(models, "edited", model),
                .. flags,
            ]);
            return CircuitIn(Out(models, "edited", model));
        },
        ["view"] = (models, model, flags) =>
        {
            string page = models[Path.GetFileName(model) + ".html"];
            Assert.DoesNotContain(
                "not found",
                CommandLine.Succeed(["view", "--circuit", Circuit(models), "--model", model, "--html", page, .. flags]),
                StringComparison.Ordinal
            );
            return Hash(page);
        },
        ["convert"] = (models, model, flags) =>
        {
            CommandLine.Succeed([
                "convert",
                "--from",
                model,
                "--to",
                "run",
                "--out",
                Out(models, "converted", model),
                .. flags.SkipWhile(flag => flag != "--tokenizer").Take(2),
            ]);
            return Hash(Path.Combine(Out(models, "converted", model), "model.safetensors"))
                + Hash(Path.Combine(Out(models, "converted", model), "tokenizer", "encoder.json"));
        },
    };

    public static TheoryData<string, string> Table()
    {
        var data = new TheoryData<string, string>();
        foreach (string verb in Verbs.Keys.Append("bridge"))
        {
            foreach (string layout in new[] { "official", "huggingface" })
            {
                data.Add(verb, layout);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Table))]
    public void EveryVerbDoesTheSameOnEveryLayout(string verb, string layout)
    {
        string[] data = ["--data", models.Data];
        if (verb == "bridge")
        {
            Bridge(layout, data);
            return;
        }

        Assert.Equal(
            OfRun(verb),
            Verbs[verb]
                (
                    models,
                    models[ModelLayouts.NameOf(layout, isDense: false)],
                    verb is "generate" or "tasks eval" or "view" or "convert" ? [] : data
                )
        );
    }

    /// <summary>Where neither the folder nor the release beside it has a tokenizer, --tokenizer says it, or --data.</summary>
    [Fact]
    public void AModelAloneTakesItsTokenizerFromTheFlags()
    {
        string alone = models["alone"];
        Directory.CreateDirectory(alone);
        foreach (string file in Directory.GetFiles(models[ModelLayouts.NameOf("official", isDense: false)]))
        {
            File.Copy(file, Path.Combine(alone, Path.GetFileName(file)));
        }

        foreach (
            string[] flags in new string[][] { ["--data", models.Data], ["--tokenizer", models.Tokenizer], ["--tokenizer", models["run"]] }
        )
        {
            foreach (string verb in new[] { "generate", "tasks eval", "view" })
            {
                Assert.Equal(OfRun(verb), Verbs[verb](models, alone, flags));
            }
        }

        CommandLine.Refuse("Give a tokenizer's folder, or a data folder", "generate", "--model", alone);
        CommandLine.Refuse("Give a data folder", "eval", "--model", alone);
        CommandLine.Refuse(
            "Give a data folder",
            "prune",
            "--model",
            alone,
            "--tokenizer",
            models.Tokenizer,
            "--task",
            "single_double_quote",
            "--out",
            models["x"]
        );
        CommandLine.Succeed("trace", "--model", alone, "--ids", "[1, 2, 3]", "--out", models["ids alone"]);

        // What the release holds is kept when the model goes on to another folder.
        CommandLine.Succeed("convert", "--from", alone, "--to", "official", "--out", models["again"]);
        foreach (
            (string name, JsonNode? value) in JsonNode
                .Parse(File.ReadAllText(Path.Combine(alone, "beeg_config.json")))!
                .AsObject()
                .Where(field => field.Key != "n_mlp")
        )
        {
            JsonObject again = JsonNode.Parse(File.ReadAllText(Path.Combine(models["again"], "beeg_config.json")))!.AsObject();
            Assert.True(again.ContainsKey(name) && JsonNode.DeepEquals(value, again[name]), $"{name} is {again[name]?.ToJsonString()}");
        }
    }

    /// <summary>Ids from 400 stand for no token: they are never drawn, and reports name them by number.</summary>
    [Fact]
    public void IdsOfAPaddedVocabularyAreNeverDrawn()
    {
        // A text may end early, since the end-of-text token is drawn like any other; so the tokens of all texts count.
        int characters = 0;
        for (int seed = 1; seed <= 6; seed++)
        {
            characters += CommandLine
                .Succeed(
                    "generate",
                    "--model",
                    models["run"],
                    "--tokens",
                    "300",
                    "--temperature",
                    "50",
                    "--top-p",
                    "1",
                    "--seed",
                    $"{seed}"
                )
                .Length;
        }

        Assert.True(characters > 1_000, $"{characters} characters");

        // The dense model has hardly left its random weights, so that such ids too are among those with the largest in some channel.
        CommandLine.Succeed(
            "prune",
            "--model",
            models["dense run"],
            "--task",
            "single_double_quote",
            "--config",
            Pruning(models),
            "--out",
            models["padded circuit"]
        );
        CommandLine.Succeed(
            "view",
            "--circuit",
            models["padded circuit/circuit.json"],
            "--model",
            models["dense run"],
            "--html",
            models["padded.html"]
        );
        Assert.Matches("\"token 4(0[0-9]|1[01])\"", File.ReadAllText(models["padded.html"]));
    }

    [Fact]
    public void PrefixesThatAreLeftOutAreTold()
    {
        string official = models[ModelLayouts.NameOf("official", isDense: false)];
        string wrapped = models["wrapped"];
        Directory.CreateDirectory(wrapped);
        File.Copy(Path.Combine(official, "beeg_config.json"), Path.Combine(wrapped, "config.json"));
        using (StoredModel model = StoredModel.Open(official))
        {
            Safetensors.Write(
                Path.Combine(wrapped, "model.safetensors"),
                [
                    .. Core
                        .Model.ParameterSpec.ListFor(model.Config)
                        .Select(spec => TensorToWrite.Of("module._orig_mod." + spec.Name, spec.Shape, () => model.Values(spec).ToArray())),
                ],
                new Dictionary<string, string>()
            );
        }

        foreach (
            string output in new[]
            {
                CommandLine.Succeed("convert", "--from", wrapped, "--to", "official", "--out", models["unwrapped"]),
                CommandLine.Succeed(
                    "prune",
                    "--model",
                    wrapped,
                    "--data",
                    models.Data,
                    "--task",
                    "single_double_quote,with_as",
                    "--config",
                    Pruning(models),
                    "--out",
                    models["wrapped circuits"]
                ),
            }
        )
        {
            Assert.Single(
                output.Split('\n'),
                line => line.EndsWith("left out of the tensors' names: _orig_mod., module.", StringComparison.Ordinal)
            );
        }

        Assert.Equal(Hash(Path.Combine(official, "final_model.pt")), Hash(Path.Combine(models["unwrapped"], "final_model.pt")));
    }

    private string OfRun(string verb) =>
        models.OfRun.TryGetValue(verb, out string? known) ? known : models.OfRun[verb] = Verbs[verb](models, models["run"], []);

    /// <summary>Both sides of a bridge from folders of the layout.</summary>
    private void Bridge(string layout, string[] data)
    {
        string dense = models[ModelLayouts.NameOf(layout, isDense: true)],
            sparse = models[ModelLayouts.NameOf(layout, isDense: false)];
        string bridged = Out(models, "bridged", sparse);
        CommandLine.Succeed([
            "bridge",
            "train",
            "--dense",
            dense,
            "--init",
            sparse,
            "--minimum-alive",
            "2",
            "--batch",
            "4",
            "--context",
            "32",
            "--tokens",
            "1024",
            "--out",
            bridged,
            .. data,
        ]);
        Assert.Contains("recovered", CommandLine.Succeed("bridge", "eval", "--model", bridged), StringComparison.Ordinal);
        CommandLine.Succeed(
            "bridge",
            "steer",
            "--model",
            bridged,
            "--dense",
            models["dense run"],
            "--task",
            "single_double_quote",
            "--node",
            "0.mlp.act_in.3",
            "--pairs",
            "2",
            "--random",
            "1"
        );

        // The model goes on from the released weights, as sparse as they are.
        string started = CommandLine.Succeed("eval", "--model", bridged),
            released = CommandLine.Succeed(["eval", "--model", sparse, .. data]);
        Assert.Equal(Density(released), Density(started), 0.01);

        static double Density(string table) =>
            double.Parse(
                table.Split('\n').Single(line => line.Contains("nonzero share", StringComparison.Ordinal)).Trim().Split(' ')[^1],
                System.Globalization.CultureInfo.InvariantCulture
            );
    }

    private static string Circuit(ModelLayouts models)
    {
        string folder = models["a circuit"];
        if (!Directory.Exists(folder))
        {
            CommandLine.Succeed(
                "prune",
                "--model",
                models["run"],
                "--task",
                "single_double_quote",
                "--config",
                Pruning(models),
                "--out",
                folder
            );
        }

        return Path.Combine(folder, "circuit.json");
    }

    private static string FirstNode(ModelLayouts models) =>
        JsonNode.Parse(File.ReadAllText(Circuit(models)))!["nodes"]![0]!["name"]!.GetValue<string>();

    private static string Pruning(ModelLayouts models)
    {
        string path = models["pruning.json"];
        File.WriteAllText(
            path,
            """{"steps": 4, "k_coef": [0.001], "batch_pairs": 4, "test_pairs": 8, "selection_pairs": 8, "mean_batches": 1}"""
        );
        return path;
    }

    /// <summary>The circuit, without the path of its model.</summary>
    private static string CircuitIn(string folder)
    {
        JsonNode circuit = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "circuit.json")))!;
        circuit["model"] = "";
        return circuit.ToJsonString();
    }

    private static string Out(ModelLayouts models, string what, string model) => models[$"{what} of {Path.GetFileName(model)}"];

    private static string Hash(string path) => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path)));
}
