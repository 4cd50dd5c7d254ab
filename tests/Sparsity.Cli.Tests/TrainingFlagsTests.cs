using System.Reflection;
using System.Text.Json.Nodes;
using CommandLine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Cli.Tests;

public class TrainingFlagsTests(SmallRun run) : IClassFixture<SmallRun>
{
    [Fact]
    public void EverySettingOfTrainingHasAFlag()
    {
        Type flags = Assembly.Load("sparsity").GetType("Sparsity.Cli.Verbs.TrainingFlags", throwOnError: true)!;
        foreach (PropertyInfo setting in typeof(TrainingConfig).GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            PropertyInfo? flag = flags.GetProperty(setting.Name);
            Assert.True(flag?.GetCustomAttribute<OptionAttribute>() is not null, $"{setting.Name} has no flag.");
        }
    }

    [Theory]
    [InlineData("sparse")]
    [InlineData("dense", "--dense")]
    public void AConfigurationOfOneFieldChangesThatFieldOnly(string name, params string[] flags)
    {
        string[] train = ["train", "--data", run.Data, "--batch", "2", "--context", "8", "--tokens", "64", .. flags];
        CommandLine.Succeed([.. train, "--out", run[name]]);
        CommandLine.Succeed([.. train, "--out", run[name + " training"], "--config", Written(name, """{"training": {"log_every": 3}}""")]);
        CommandLine.Succeed([.. train, "--out", run[name + " model"], "--config", Written(name, """{"model": {"d_mlp": 256}}""")]);

        Assert.Equal(["log_every"], Differing(Training(run[name]), Training(run[name + " training"])));
        Assert.Empty(Differing(Model(run[name]), Model(run[name + " training"])));
        Assert.Equal(["d_mlp"], Differing(Model(run[name]), Model(run[name + " model"])));
        // These follow from the model.
        Assert.Empty(Differing(Training(run[name]), Training(run[name + " model"])).Except(["pfrac", "expansion_factor_mlp"]));
        Assert.Equal(flags.Length == 0 ? "0.03" : "0.01", Training(run[name])["lr"]!.ToJsonString());
    }

    /// <summary>What usually follows from another setting stays as the file says it.</summary>
    [Theory]
    [InlineData("heads", "n_head", 4, "--d-head", "16")]
    [InlineData("neurons", "d_mlp", 100, "--d-model", "64")]
    [InlineData("block", "block_size", 32)]
    public void AFieldOfTheModelStandsBesideFlags(string name, string field, int value, params string[] flags)
    {
        string config = Written(name, $"{{\"model\": {{\"{field}\": {value}}}}}");
        CommandLine.Succeed([
            "train",
            "--data",
            run.Data,
            "--config",
            config,
            "--batch",
            "2",
            "--tokens",
            "256",
            "--validation-tokens",
            "64",
            .. flags,
            "--out",
            run[name],
        ]);

        Assert.Equal(value, (int)Model(run[name])[field]!);
        Assert.Equal(field == "block_size" ? 32 : 64, (int)Training(run[name])["context_tokens"]!);
    }

    /// <summary>A file that asks for dense weights gets the rate of dense models; AbsTopK stays.</summary>
    [Theory]
    [InlineData("null", "0.01")]
    [InlineData("0.5", "0.03")]
    public void WithoutSparsityTheRateIsThatOfDenseModels(string pfrac, string rate)
    {
        string config = Written("pfrac" + pfrac, $"{{\"training\": {{\"pfrac\": {pfrac}}}}}");
        string model = run["pfrac " + pfrac];
        CommandLine.Succeed([
            "train",
            "--data",
            run.Data,
            "--config",
            config,
            "--batch",
            "2",
            "--context",
            "8",
            "--tokens",
            "64",
            "--out",
            model,
        ]);

        Assert.Equal((rate, pfrac), (Training(model)["lr"]!.ToJsonString(), Training(model)["pfrac"]?.ToJsonString() ?? "null"));
        Assert.Equal("0.25", Model(model)["afrac"]!.ToJsonString());
    }

    [Fact]
    public void AConfigurationOfOneFieldChangesThatFieldOnlyInBridgesFromARun()
    {
        CommandLine.Succeed(
            "train",
            "--dense",
            "--data",
            run.Data,
            "--d-model",
            "32",
            "--batch",
            "2",
            "--context",
            "8",
            "--tokens",
            "64",
            "--out",
            run["a dense one"]
        );
        string[] train =
        [
            "bridge",
            "train",
            "--dense",
            run["a dense one"],
            "--init",
            run.Model,
            "--batch",
            "2",
            "--context",
            "8",
            "--tokens",
            "64",
        ];
        CommandLine.Succeed([.. train, "--out", run["bridged"]]);
        CommandLine.Succeed([
            .. train,
            "--out",
            run["bridged training"],
            "--config",
            Written("bridged", """{"training": {"log_every": 3}}"""),
        ]);

        Assert.Equal(["log_every"], Differing(Training(run["bridged"]), Training(run["bridged training"])));
        Assert.Empty(Differing(Model(run["bridged"]), Model(run["bridged training"])));
        JsonObject initial = Training(run.Model),
            own = Training(run["bridged"]);
        Assert.Equal(["batch_sequences", "context_tokens", "pfrac_anneal", "total_tokens"], Differing(initial, own));
    }

    [Fact]
    public void AConfigurationOfOneFieldChangesThatFieldOnlyInPruning()
    {
        string[] prune = ["prune", "--model", run.Trained, "--task", "single_double_quote", "--steps", "1", "--k-coef", "0.001"];
        CommandLine.Succeed([.. prune, "--out", run["pruned"]]);
        CommandLine.Succeed([.. prune, "--out", run["pruned again"], "--config", Written("pruning", """{"random_circuits": 1}""")]);

        Assert.Equal(["random_circuits"], Differing(Settings(run["pruned"]), Settings(run["pruned again"])));

        static JsonObject Settings(string folder) =>
            JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "prune.json")))!["settings"]!.AsObject();
    }

    private static JsonObject Training(string folder) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "run.json")))!["training"]!.AsObject();

    private static JsonObject Model(string folder) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!.AsObject();

    /// <summary>Fields of two objects whose values differ, in alphabetical order.</summary>
    private static string[] Differing(JsonObject first, JsonObject second) =>
        [
            .. first
                .Select(field => field.Key)
                .Union(second.Select(field => field.Key))
                .Where(name => !JsonNode.DeepEquals(first[name], second[name]))
                .Order(StringComparer.Ordinal),
        ];

    private string Written(string name, string json)
    {
        File.WriteAllText(run[name + " config.json"], json);
        return run[name + " config.json"];
    }

    [Fact]
    public void FlagsReplaceWhatTheFileSaysAndInitBeginsWithAnotherModel()
    {
        string config = run["training.json"];
        File.WriteAllText(
            config,
            """{"training": {"lr": 0.02, "eps": 0.5, "density": 0.5, "batch_sequences": 4, "context_tokens": 16, "total_tokens": 192}}"""
        );
        CommandLine.Succeed(
            "train",
            "--data",
            run.Data,
            "--out",
            run["continued"],
            "--init",
            run.Model,
            "--config",
            config,
            "--eps",
            "0.25",
            "--pfrac",
            "0.0015625",
            "--minimum-alive",
            "0",
            "--gradient-scaling",
            "clip",
            "--pfrac-anneal",
            "false",
            "--sparse-biases",
            "false",
            "--lr",
            "0",
            "--evaluate-every",
            "1"
        );
        JsonNode settings = JsonNode.Parse(File.ReadAllText(Path.Combine(run["continued"], "run.json")))!;
        JsonNode training = settings["training"]!;
        Assert.Equal(
            (0.0, 0.25, 0.0015625, "clip", false, false, 4),
            (
                (double)training["lr"]!,
                (double)training["eps"]!,
                (double)training["pfrac"]!,
                (string)training["gradient_scaling"]!,
                (bool)training["pfrac_anneal"]!,
                (bool)training["sparse_biases"]!,
                (int)training["batch_sequences"]!
            )
        );
        Assert.Equal(Path.GetFullPath(run.Model), (string)settings["initial_model"]!);

        // At rate 0 the weights stay those of the first model, but for the smaller budget: a tenth of E = 1/8 times E of the MLP = 1/8.
        using var first = StoredModel.Open(run.Model);
        using var second = StoredModel.Open(run["continued"]);
        foreach (ParameterSpec spec in ParameterSpec.ListFor(first.Config))
        {
            float[] before = first.Values(spec).ToArray();
            float[] after = second.Values(spec).ToArray();
            Assert.All(before.Zip(after), pair => Assert.True(pair.Second == pair.First || pair.Second == 0, spec.Name));
            if (spec.AliveAxis is not null)
            {
                Assert.Equal((spec.Name, spec.Length / 10), (spec.Name, after.Count(value => value != 0)));
            }
        }
    }
}
