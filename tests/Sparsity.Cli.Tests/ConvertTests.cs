using System.Globalization;
using System.Text.RegularExpressions;
using Sparsity.Core.Circuits;

namespace Sparsity.Cli.Tests;

public class ConvertTests(SmallRun run) : IClassFixture<SmallRun>
{
    [Fact]
    public void ARunGoesThroughEveryKindOfFolderAndComesBackTheSame()
    {
        Convert(run.Model, "official");
        Convert(run["official"], "huggingface");
        Convert(run["huggingface"], "run");

        Assert.Equal(["beeg_config.json", "encoder.json", "final_model.pt", "vocab.bpe"], Files("official"));
        Assert.Equal(["config.json", "model.safetensors", "tokenizer.json"], Files("huggingface"));
        Assert.Equal(["config.json", "model.safetensors", "tokenizer/encoder.json", "tokenizer/vocab.bpe"], Files("run"));
        foreach (string file in new[] { "config.json", "tokenizer/encoder.json", "tokenizer/vocab.bpe" })
        {
            Assert.Equal(File.ReadAllText(Path.Combine(run.Model, file)), File.ReadAllText(Path.Combine(run["run"], file)));
        }

        string[] generate = ["generate", "--prompt", "def f(", "--tokens", "8", "--model"];
        string text = CommandLine.Succeed([.. generate, run.Model]);
        string losses = CommandLine.Succeed("eval", "--model", run.Model);
        foreach (string kind in new[] { "official", "huggingface", "run" })
        {
            Assert.Equal(text, CommandLine.Succeed([.. generate, run[kind]]));
        }

        CommandLine.Refuse("Give a data folder", "eval", "--model", run["run"]);

        // The statistics do not depend on how much validation text is read; the loss does, and a converted model does not say how much it
        // was.
        string converted = CommandLine.Succeed("eval", "--model", run["official"], "--data", run.Data);
        Assert.Equal(
            losses.Split('\n').Where(line => line.Contains("nonzero", StringComparison.Ordinal)),
            converted.Split('\n').Where(line => line.Contains("nonzero", StringComparison.Ordinal))
        );

        void Convert(string from, string kind) => CommandLine.Succeed("convert", "--from", from, "--to", kind, "--out", run[kind]);

        string[] Files(string kind) =>
            [
                .. Directory
                    .EnumerateFiles(run[kind], "*", SearchOption.AllDirectories)
                    .Select(path => Path.GetRelativePath(run[kind], path).Replace('\\', '/'))
                    .Order(StringComparer.Ordinal),
            ];
    }

    [Fact]
    public void AReleasedModelTakesItsTokenizerFromElsewhere()
    {
        string released = Path.Combine(OfficialFixture.Root, "forward", "e_rms_sink_afrac8");

        Assert.Contains(
            "no tokenizer",
            CommandLine.Succeed("convert", "--from", released, "--to", "run", "--out", run["released"]),
            StringComparison.Ordinal
        );
        CommandLine.Refuse("holds no tokenizer", "generate", "--model", run["released"]);
        CommandLine.Refuse(
            "400 tokens, but the model 96",
            "convert",
            "--from",
            released,
            "--tokenizer",
            Path.Combine(run.Model, "tokenizer"),
            "--to",
            "run",
            "--out",
            run["x"]
        );
        CommandLine.Refuse("--to is 'onnx'", "convert", "--from", released, "--to", "onnx", "--out", run["x"]);
        CommandLine.Refuse("already holds files", "convert", "--from", released, "--to", "run", "--out", run["released"]);
        CommandLine.Refuse("no such folder", "convert", "--from", run["nowhere"], "--to", "run", "--out", run["x"]);
    }

    [Fact]
    public void APackedModelIsPrunedWithoutItsText()
    {
        string packed = run["packed"];
        string[] trace = ["trace", "--text", "x = (", "--mean-ablate", "0.mlp.post_act:3", "--model", packed, "--out"];
        CommandLine.Succeed("convert", "--from", run.Trained, "--to", "packed", "--data", run["trained data"], "--out", packed);
        Assert.True(Size(packed) * 3 < Size(run.Trained));

        string[] prune = ["prune", "--model", packed, "--task", "single_double_quote", "--steps", "40", "--k-coef", "0.001"];
        CommandLine.Succeed([.. prune, "--out", run["packed circuit"]]);
        string circuit = run["packed circuit/circuit.json"];
        Assert.True(File.Exists(circuit));
        Assert.False(File.Exists(run["packed circuit/activations.json"])); // places in text that is not there
        CommandLine.Succeed([.. trace, run["trace.safetensors"]]);
        CommandLine.Refuse("comes without text", [.. prune, "--faithfulness", "--out", run["x"]]);

        // What came with a model is shown and measured again.
        Directory.Move(run["packed circuit"], Path.Combine(packed, "circuits"));
        string[] demo = ["demo", "--model", packed, "--task", "single_double_quote", "--out"];
        string shown = CommandLine.Succeed([.. demo, run["packed demo"]]);
        Circuit found = Circuit.Load(Path.Combine(packed, "circuits", "circuit.json"));
        Assert.Contains($"{found.Edges.Count}/{found.TotalEdges}", shown, StringComparison.Ordinal);
        Match measured = Regex.Match(shown, @"measured again on \d+ new pairs of prompts: loss ([\d.]+), .* full model ([\d.]+), without");
        Assert.InRange(Loss(1), found.Measurements.Loss - 0.1, found.Measurements.Loss + 0.1);
        Assert.InRange(Loss(2), found.Measurements.LossFullModel - 0.1, found.Measurements.LossFullModel + 0.1);
        Assert.Contains("single_double_quote", File.ReadAllText(run["packed demo/circuit.html"]), StringComparison.Ordinal);
        CommandLine.Refuse("found on", [.. demo, run["x"], "--seed", "1"]);
        CommandLine.Refuse(
            "Did you mean single_double_quote?",
            "demo",
            "--model",
            packed,
            "--task",
            "single_doubel_quote",
            "--out",
            run["x"]
        );
        CommandLine.Refuse("no built-in model 'nothing'", "demo", "--model", "builtin:nothing");

        File.Delete(Path.Combine(packed, "means.safetensors"));
        CommandLine.Refuse("Give a data folder", [.. prune, "--out", run["x"]]);
        CommandLine.Refuse("Give a data folder", [.. trace, run["y.safetensors"]]);

        double Loss(int group) => double.Parse(measured.Groups[group].Value, CultureInfo.InvariantCulture);

        static long Size(string folder) => new FileInfo(Path.Combine(folder, "model.safetensors")).Length;
    }

    [Fact]
    public void ATokenizerGoesToHuggingFaceAndBack()
    {
        string own = Path.Combine(run.Model, "tokenizer");
        CommandLine.Succeed("tokenizer", "export", "--from", own, "--out", run["exported"]);
        CommandLine.Succeed("tokenizer", "import", "--from", run["exported"], "--out", run["imported"]);

        Assert.Equal(["tokenizer.json"], Directory.GetFiles(run["exported"]).Select(Path.GetFileName));
        Assert.Equal(File.ReadAllText(Path.Combine(own, "vocab.bpe")), File.ReadAllText(Path.Combine(run["imported"], "vocab.bpe")));
        Assert.Equal(File.ReadAllText(Path.Combine(own, "encoder.json")), File.ReadAllText(Path.Combine(run["imported"], "encoder.json")));
        Assert.Equal(
            CommandLine.Succeed("tokenizer", "show", "--from", own, "--text", "def f(x):\n    return 12345"),
            CommandLine.Succeed("tokenizer", "show", "--from", run["exported"], "--text", "def f(x):\n    return 12345")
        );
        CommandLine.Refuse("action", "tokenizer", "melt", "--from", own);
    }
}
