using Sparsity.Cli.Verbs;
using Sparsity.Core.Tensors;

namespace Sparsity.Cli.Tests;

/// <summary>Every kind of bad input: one line on standard error, exit code 2, nothing overwritten.</summary>
public class BadInputTests(SmallRun run) : IClassFixture<SmallRun>
{
    [Theory]
    [InlineData("--from", "nowhere", "no such")]
    [InlineData("--from", "empty", "none of its kinds")]
    [InlineData("--from", "binary", "NUL bytes")]
    [InlineData("--megabytes", "-1", "--megabytes is -1")]
    [InlineData("--vocabulary", "100", "257")]
    [InlineData("--vocabulary", "60000", "60000")]
    public void CorporaThatCannotBe(string option, string value, string expected)
    {
        string source = run["sources"];
        Directory.CreateDirectory(Path.Combine(source, "empty"));
        Directory.CreateDirectory(Path.Combine(source, "binary"));
        File.WriteAllBytes(Path.Combine(source, "binary", "a.py"), [0x00, 0xff, 0xfe, 0x00, 0x80]);
        string[] kind =
            option == "--from"
                ? ["--from", Path.Combine(source, value)]
                : ["--synthetic", "--megabytes", option == "--megabytes" ? value : "0.05"];
        string[] vocabulary = option == "--vocabulary" ? [option, value] : [];

        Refused(expected, ["corpus", .. kind, .. vocabulary, "--out", run[$"corpus {value}"]]);
    }

    /// <summary>So that the same command can be given again.</summary>
    [Fact]
    public void ACorpusThatCannotBeFinishedLeavesNothing()
    {
        File.WriteAllText(run["little.txt"], "abc abc");
        CommandLine.Refuse("at most", "corpus", "--from", run["little.txt"], "--vocabulary", "400", "--out", run["little"]);
        Assert.False(Directory.Exists(run["little"]));
        CommandLine.Succeed("corpus", "--from", run["little.txt"], "--vocabulary", "258", "--out", run["little"]);
        CommandLine.Refuse(
            "something is there already",
            "corpus",
            "--from",
            run["little.txt"],
            "--vocabulary",
            "258",
            "--out",
            run["little"]
        );
        Assert.True(File.Exists(Path.Combine(run["little"], "train.bin")), "What was there is gone.");
    }

    [Theory]
    [InlineData("{\"model\": {\"n_layers\": 2}}", "n_layers")]
    [InlineData("{\"model\": {\"dropout\": 0.1}}", "dropout")]
    [InlineData("{\"model\": {\"activation_type\": \"swish\"}}", "swish")]
    [InlineData("{\"models\": {}}", "models")]
    [InlineData("{\"training\": {\"lr\": \"high\"}}", "lr")]
    [InlineData("{\"training\": {\"learning_rate\": 1}}", "learning_rate")]
    [InlineData("{\"training\": {\"density\": 0.5, \"pfrac\": 2}}", "pfrac")]
    [InlineData("{\"model\": {\"afrac\": 2}}", "afrac")]
    [InlineData("{\"training\": {\"log_every\": 0}}", "config.json, flags and defaults: log_every is 0")]
    [InlineData("{\"model\": {\"block_size\": 32}, \"training\": {\"context_tokens\": 48}}", "block_size is 32")]
    [InlineData("{", "config")]
    [InlineData("[]", "config")]
    public void SettingsThatCannotBe(string json, string expected)
    {
        string config = run["config.json"];
        File.WriteAllText(config, json);

        Refused(expected, [.. run.TrainArguments[..3], "--config", config, "--out", run["unused"]]);
        Assert.False(Directory.Exists(run["unused"]), "A refused run left a folder.");
    }

    [Theory]
    [InlineData("{\"training\": {\"density\": 0.5}}")]
    [InlineData("{\"training\": {\"pfrac\": 0.01}}")]
    [InlineData("{\"model\": {\"afrac\": 0.5}}")]
    public void SettingsOfSparsityInADenseRun(string json)
    {
        File.WriteAllText(run["sparse.json"], json);

        Refused("contradict --dense", [.. run.TrainArguments[..3], "--dense", "--config", run["sparse.json"], "--out", run["unused"]]);
    }

    [Fact]
    public void ARunThatNoMemoryHolds()
    {
        File.WriteAllText(run["large.json"], "{\"model\": {\"d_model\": 16384, \"n_layer\": 500, \"d_head\": 128, \"n_head\": 128}}");

        Refused(
            "MiB. Not even --batch-parts with one sequence each would fit: use a smaller --context or model.",
            [.. run.TrainArguments[..3], "--config", run["large.json"], "--out", run["unused"]]
        );
        Assert.False(Directory.Exists(run["unused"]), "A refused run left a folder.");
    }

    [Theory]
    [InlineData("minimum", "--density", "0.01")]
    [InlineData("--density", "--dense", "--density", "0.5")]
    [InlineData("density", "--density", "1.5")]
    [InlineData("lr", "--lr", "-1")]
    [InlineData("tokens", "--tokens", "0")]
    [InlineData("at least one batch", "--context", "10000000")]
    [InlineData("head", "--d-model", "10", "--d-head", "0")]
    [InlineData("threads", "--threads", "-3")]
    [InlineData("warp", "--device", "warp")]
    [InlineData("--precision is 'half', but must be float32, tf32 or bf16", "--precision", "half")]
    [InlineData("the CPU engine computes in float32 only", "--device", "cpu", "--precision", "tf32")]
    [InlineData("the CPU engine computes in float32 only", "--device", "cpu", "--precision", "bf16")]
    [InlineData("speed", "--speed", "9")]
    [InlineData("tokens", "--tokens", "many")]
    [InlineData("gradient_scaling", "--gradient-scaling", "half")]
    [InlineData("pfrac", "--pfrac", "0")]
    public void FlagsThatCannotBe(string expected, params string[] flags) =>
        Refused(expected, [.. run.TrainArguments[..3], .. flags, "--out", run["unused flags"]]);

    [Fact]
    public void MissingThings()
    {
        Refused("--data", "train", "--out", run["x"]);
        Refused("nowhere", "train", "--data", run["nowhere"], "--out", run["x"]);
        Refused("nowhere", "train", "--resume", run["nowhere"]);
        Refused("nowhere", "eval", "--model", run["nowhere"]);
        Refused("nowhere", "circuit", "show", run["nowhere"]);
        Refused("no_task", "prune", "--model", run.Model, "--task", "no_task", "--out", run["x"]);
        Refused("no_task", "tasks", "show", "no_task");
        Refused("fly", "tasks", "fly");
        Refused("fly", "fly");
        Refused("temperature", "generate", "--model", run.Model, "--temperature", "-1");
        Refused("steps", "prune", "--model", run.Model, "--task", "single_double_quote", "--steps", "0", "--out", run["x"]);
    }

    [Fact]
    public void TokensOfAnotherTokenizer()
    {
        CommandLine.Succeed("corpus", "--synthetic", "--megabytes", "0.1", "--vocabulary", "300", "--out", run["other data"]);

        Refused("another tokenizer", "eval", "--model", run.Model, "--data", run["other data"]);

        File.Copy(Path.Combine(run.Data, "train.bin"), Path.Combine(run["other data"], "train.bin"), overwrite: true);
        Refused("train.bin", "train", "--data", run["other data"], "--out", run["y"]);
    }

    [Fact]
    public void DamagedFiles()
    {
        string copy = run["damaged"];
        Directory.CreateDirectory(Path.Combine(copy, "tokenizer"));
        foreach (string file in Directory.EnumerateFiles(run.Model, "*", SearchOption.AllDirectories))
        {
            File.Copy(file, Path.Combine(copy, Path.GetRelativePath(run.Model, file)));
        }

        string model = Path.Combine(copy, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(model);
        File.WriteAllBytes(model, bytes[..^100]);
        Refused("model.safetensors", "eval", "--model", copy);
        File.WriteAllBytes(model, bytes);
        CommandLine.Succeed("eval", "--model", copy);
        File.WriteAllText(Path.Combine(copy, "run.json"), "{}");
        Refused("run.json", "eval", "--model", copy);
        File.Delete(Path.Combine(copy, "config.json"));
        Refused("config.json", "generate", "--model", copy);
    }

    [Fact]
    public void ALossThatIsNoNumberStopsTheRunWithExitCode1AndNamesStepAndTensor()
    {
        CommandLine.Succeed([.. run.TrainArguments, "--out", run["nan"]]);
        string record = Path.Combine(run["nan"], "run.json");
        File.WriteAllText(
            record,
            File.ReadAllText(record).Replace("\"total_tokens\": 60000", "\"total_tokens\": 90000", StringComparison.Ordinal)
        );
        Poison(Path.Combine(run["nan"], "train_state.safetensors"), "lm_head.weight");

        CommandResult result = CommandLine.Run("train", "--resume", run["nan"]);

        Assert.Equal(1, result.ExitCode);
        Assert.Contains("step ", result.Errors, StringComparison.Ordinal);
        Assert.Contains("lm_head.weight", result.Errors, StringComparison.Ordinal);
        OneLine(result);
        CommandLine.Succeed("eval", "--model", run["nan"]); // the last good state is there
    }

    [Fact]
    public void EveryVerbHasHelp()
    {
        string verbs = CommandLine.Succeed("--help");
        Assert.Equal(verbs, CommandLine.Succeed("help"));
        foreach (string verb in VerbTypes.All.Select(Verb.NameOf))
        {
            Assert.Contains(verb, verbs, StringComparison.Ordinal);
            string help = CommandLine.Succeed(verb, "--help");
            Assert.Contains("--debug", help, StringComparison.Ordinal);
            if (Manual.Actions(verb).Length > 0)
            {
                CommandLine.Refuse("'an-action' is no action", verb, "an-action", "--help");
            }

            Assert.Equal(help, CommandLine.Succeed("help", verb));
        }

        Assert.Matches(@"\d+\.\d+", CommandLine.Succeed("--version"));
    }

    /// <summary>Makes the first number of a tensor NaN.</summary>
    private static void Poison(string safetensors, string tensor)
    {
        TensorToWrite[] tensors;
        IReadOnlyDictionary<string, string> metadata;
        using (TensorFile file = Safetensors.Open(safetensors))
        {
            metadata = file.Metadata;
            tensors =
            [
                .. file.Tensors.Select(stored =>
                {
                    float[] values = stored.Floats().ToArray();
                    values[0] = stored.Name == tensor ? float.NaN : values[0];
                    return TensorToWrite.Of(stored.Name, stored.Shape, () => values);
                }),
            ];
        }

        Safetensors.Write(safetensors, tensors, metadata);
    }

    private static void Refused(string expected, params string[] arguments)
    {
        CommandResult result = CommandLine.Run(arguments);
        Assert.True(
            result.ExitCode == 2,
            $"sparsity {string.Join(' ', arguments)} ended with {result.ExitCode}: {result.Output}{result.Errors}"
        );
        Assert.Contains(expected, result.Errors, StringComparison.OrdinalIgnoreCase);
        OneLine(result);
    }

    private static void OneLine(CommandResult result)
    {
        Assert.StartsWith("sparsity: ", result.Errors, StringComparison.Ordinal);
        Assert.Equal(1, result.Errors.Count(character => character == '\n'));
    }
}
