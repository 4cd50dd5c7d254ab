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
        foreach (PropertyInfo setting in typeof(TrainingConfig).GetProperties())
        {
            PropertyInfo? flag = flags.GetProperty(setting.Name);
            Assert.True(flag?.GetCustomAttribute<OptionAttribute>() is not null, $"{setting.Name} has no flag.");
        }
    }

    [Fact]
    public void FlagsReplaceWhatTheFileSaysAndInitBeginsWithAnotherModel()
    {
        string config = run["training.json"];
        File.WriteAllText(config, """{"training": {"lr": 0.02, "eps": 0.5, "density": 0.5, "batch_sequences": 4, "context_tokens": 16, "total_tokens": 192}}""");
        CommandLine.Succeed(
            "train", "--data", run.Data, "--out", run["continued"], "--init", run.Model, "--config", config, "--eps", "0.25", "--pfrac", "0.0015625", "--minimum-alive", "0",
            "--gradient-scaling", "clip", "--pfrac-anneal", "false", "--sparse-biases", "false", "--lr", "0", "--evaluate-every", "1");
        JsonNode settings = JsonNode.Parse(File.ReadAllText(Path.Combine(run["continued"], "run.json")))!;
        JsonNode training = settings["training"]!;
        Assert.Equal(
            (0.0, 0.25, 0.0015625, "clip", false, false, 4),
            ((double)training["lr"]!, (double)training["eps"]!, (double)training["pfrac"]!, (string)training["gradient_scaling"]!, (bool)training["pfrac_anneal"]!,
                (bool)training["sparse_biases"]!, (int)training["batch_sequences"]!));
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
