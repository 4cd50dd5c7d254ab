using System.Globalization;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Sparsity.Cli.Tests.Report;
using Sparsity.Core.Tensors;

namespace Sparsity.Cli.Tests;

/// <summary>bridge train, eval and steer on one small run, and everything they refuse.</summary>
public class BridgeVerbTests(BridgeVerbTests.BridgedRun run) : IClassFixture<BridgeVerbTests.BridgedRun>
{
    [Fact]
    public void EvalMeasuresEveryHybridAndTheSparseModelAsEvalDoes()
    {
        string table = CommandLine.Succeed("bridge", "eval", "--model", run.Bridged, "--out", run.Small["evaluation"]);
        string ofModel = CommandLine.Succeed("eval", "--model", run.Bridged);
        JsonNode json = Read(Path.Combine(run.Small["evaluation"], "evaluation.json"));

        Assert.Contains(
            json["sparse_loss"]!.GetValue<double>().ToString("0.0000", CultureInfo.InvariantCulture),
            ofModel,
            StringComparison.Ordinal
        );
        Assert.Equal(
            ["0.resid_in", "0.resid_mid", "1.resid_in", "1.resid_mid"],
            json["locations"]!.AsArray().Select(location => location!["location"]!.GetValue<string>())
        );
        foreach (JsonNode? location in json["locations"]!.AsArray())
        {
            foreach (string direction in new[] { "dense_to_sparse", "sparse_to_dense" })
            {
                JsonNode hybrid = location![direction]!;
                Assert.InRange(hybrid["nmse"]!.GetValue<double>(), 1e-6, 1e3);
                Assert.InRange(hybrid["kl"]!.GetValue<double>(), 1e-6, 1e3);
                double recovered =
                    (hybrid["ablated_loss"]!.GetValue<double>() - hybrid["loss"]!.GetValue<double>())
                    / (hybrid["ablated_loss"]!.GetValue<double>() - json["dense_loss"]!.GetValue<double>());
                Assert.Equal(recovered, hybrid["recovered"]!.GetValue<double>(), 1e-9);
                Assert.Contains(
                    hybrid["loss"]!.GetValue<double>().ToString("0.0000", CultureInfo.InvariantCulture),
                    table,
                    StringComparison.Ordinal
                );
            }
        }
    }

    [Fact]
    public void SteerWritesCurvesThatStartTogether()
    {
        string nodes = string.Join(',', Enumerable.Range(0, 32).Select(channel => $"0.mlp.act_in.{channel}"));
        string[] steer =
        [
            "bridge",
            "steer",
            "--model",
            run.Bridged,
            "--task",
            "single_double_quote",
            "--node",
            nodes,
            "--pairs",
            "6",
            "--random",
            "2",
            "--strengths",
            "1",
        ];
        CommandLine.Succeed([.. steer, "--out", run.Small["steering"]]);
        JsonNode json = Read(Path.Combine(run.Small["steering"], "steering.json"));
        string[] csv = File.ReadAllLines(Path.Combine(run.Small["steering"], "steering.csv"));
        string html = File.ReadAllText(Path.Combine(run.Small["steering"], "steering.html"));

        JsonArray points = json["points"]!.AsArray();
        Assert.Equal([0, 1], points.Select(point => point!["strength"]!.GetValue<double>()));
        Assert.Equal(points[0]!["dense"]!.ToJsonString(), points[0]!["random"]!.ToJsonString()); // no edit yet
        Assert.NotEqual(points[0]!["dense"]!.ToJsonString(), points[1]!["dense"]!.ToJsonString());
        Assert.Equal(3, csv.Length);
        Assert.All(csv, line => Assert.Equal(9, line.Split(',').Length));
        XElement drawing = SampleReport.Read(html).Descendants("script").Single();
        Assert.Equal("steering", (string?)drawing.Attribute("data-drawing"));
        Assert.True(JsonNode.DeepEquals(json, JsonNode.Parse(drawing.Value)), "The page shows other numbers than steering.json.");
    }

    [Fact]
    public void AFinishedRunIsResumedWithNothingLeftToDoAndAnUntrainedBridgeIsWorse()
    {
        byte[] before = File.ReadAllBytes(Path.Combine(run.Bridged, "bridges.safetensors"));
        CommandLine.Succeed("bridge", "train", "--resume", run.Bridged);
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(run.Bridged, "bridges.safetensors")));

        CommandLine.Succeed("bridge", "eval", "--model", run.Bridged, "--out", run.Small["trained"]);
        CommandLine.Succeed("bridge", "eval", "--model", run.Bridged, "--untrained", "--out", run.Small["untrained"]);
        double trained = Read(Path.Combine(run.Small["trained"], "evaluation.json"))["mean_kl"]!.GetValue<double>();
        double untrained = Read(Path.Combine(run.Small["untrained"], "evaluation.json"))["mean_kl"]!.GetValue<double>();
        Assert.True(trained < 0.9 * untrained, $"mean KL {trained}, untrained {untrained}");
    }

    [Fact]
    public void ModelsThatDoNotBelongTogether()
    {
        CommandLine.Refuse("no dense model", "bridge", "train", "--dense", run.Small.Model, "--out", run.Small["x"]);
        CommandLine.Refuse("bridge.json", "bridge", "eval", "--model", run.Small.Model);
        CommandLine.Refuse("another dense model", "bridge", "eval", "--model", run.Bridged, "--dense", run.Small.Model);
        File.WriteAllText(
            run.Small["layers.json"],
            """{"model": {"n_layer": 3, "d_model": 32, "n_head": 2, "block_size": 64, "vocab_size": 400}, "training": {"density": 0.5}}"""
        );
        CommandLine.Refuse(
            "layers",
            "bridge",
            "train",
            "--dense",
            run.Dense,
            "--config",
            run.Small["layers.json"],
            "--out",
            run.Small["x"]
        );
        File.WriteAllText(
            run.Small["vocabulary.json"],
            File.ReadAllText(run.Small["layers.json"])
                .Replace("\"n_layer\": 3", "\"n_layer\": 2", StringComparison.Ordinal)
                .Replace("400", "401", StringComparison.Ordinal)
        );
        CommandLine.Refuse(
            "vocabulary",
            "bridge",
            "train",
            "--dense",
            run.Dense,
            "--config",
            run.Small["vocabulary.json"],
            "--out",
            run.Small["x"]
        );
        CommandLine.Succeed("corpus", "--synthetic", "--megabytes", "0.1", "--vocabulary", "300", "--out", run.Small["other data"]);
        CommandLine.Refuse(
            "tokenizer",
            "bridge",
            "train",
            "--dense",
            run.Dense,
            "--data",
            run.Small["other data"],
            "--out",
            run.Small["x"]
        );
        Assert.False(Directory.Exists(run.Small["x"]), "A refused run left a folder.");
    }

    [Fact]
    public void AnImportedDenseModelIsAsGoodAsOneTrainedHere()
    {
        CommandLine.Succeed("convert", "--from", run.Dense, "--to", "huggingface", "--out", run.Small["imported"]);
        string[] train =
        [
            "bridge",
            "train",
            "--data",
            run.Small.Data,
            "--d-model",
            "32",
            "--batch",
            "8",
            "--tokens",
            "2048",
            "--density",
            "1",
        ];
        CommandLine.Succeed([.. train, "--dense", run.Small["imported"], "--out", run.Small["to imported"]]);
        CommandLine.Succeed([.. train, "--dense", run.Dense, "--out", run.Small["to trained"]]);
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(run.Small["to trained"], "bridges.safetensors")),
            File.ReadAllBytes(Path.Combine(run.Small["to imported"], "bridges.safetensors"))
        );
    }

    [Fact]
    public void AQuantisedDenseModelAndMissingBridges()
    {
        string quantised = Copy(run.Dense, "quantised");
        string model = Path.Combine(quantised, "model.safetensors");
        TensorToWrite[] tensors;
        using (TensorFile file = Safetensors.Open(model))
        {
            tensors =
            [
                .. file.Tensors.Select(tensor =>
                {
                    byte[] bytes = [.. tensor.Floats().ToArray().Select(value => (byte)(sbyte)Math.Clamp(100 * value, -127, 127))];
                    return new TensorToWrite(tensor.Name, tensor.Shape, ElementType.I8, () => bytes);
                }),
            ];
        }

        Safetensors.Write(model, tensors, new Dictionary<string, string>());
        CommandLine.Refuse(
            "is I8, but must be floating-point",
            "bridge",
            "train",
            "--dense",
            quantised,
            "--data",
            run.Small.Data,
            "--out",
            run.Small["x"]
        );
        Assert.False(Directory.Exists(run.Small["x"]), "A refused run left a folder.");

        string bridgeless = Copy(run.Bridged, "bridgeless");
        File.Delete(Path.Combine(bridgeless, "bridges.safetensors"));
        CommandLine.Refuse("bridges.safetensors", "bridge", "eval", "--model", bridgeless);
        CommandLine.Refuse(
            "bridges.safetensors",
            "bridge",
            "steer",
            "--model",
            bridgeless,
            "--task",
            "single_double_quote",
            "--node",
            "0.mlp.act_in.3"
        );
    }

    [Fact]
    public void FlagsThatCannotBe()
    {
        string[] steer = ["bridge", "steer", "--model", run.Bridged];
        CommandLine.Refuse("--dense", "bridge", "train", "--out", run.Small["x"]);
        CommandLine.Refuse(
            "--init",
            "bridge",
            "train",
            "--dense",
            run.Dense,
            "--init",
            run.Small.Model,
            "--density",
            "0.5",
            "--out",
            run.Small["x"]
        );
        CommandLine.Refuse("lr", "bridge", "train", "--dense", run.Dense, "--bridge-lr", "-1", "--out", run.Small["x"]);
        CommandLine.Refuse("fly", "bridge", "fly");
        CommandLine.Refuse("--node", [.. steer, "--task", "single_double_quote"]);
        CommandLine.Refuse("does not read", [.. steer, "--task", "single_double_quote", "--node", "0.mlp.post_act.3"]);
        CommandLine.Refuse("0 to 31", [.. steer, "--task", "single_double_quote", "--node", "0.mlp.act_in.32"]);
        CommandLine.Refuse("--presented", [.. steer, "--node", "0.mlp.act_in.3"]);
        CommandLine.Refuse(
            "tokens",
            [
                .. steer,
                "--node",
                "0.mlp.act_in.3",
                "--presented",
                "a = 1",
                "--counterfactual",
                "a = 1 + 1 + 1 + 1",
                "--presented-answer",
                "\n",
                "--counterfactual-answer",
                "\n",
            ]
        );
    }

    private string Copy(string folder, string name)
    {
        string copy = run.Small[name];
        foreach (string file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(copy, Path.GetRelativePath(folder, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        return copy;
    }

    private static JsonNode Read(string path) => JsonNode.Parse(File.ReadAllText(path))!;

    /// <summary>A dense model and bridges from it to a sparse one, trained for a moment.</summary>
    public sealed class BridgedRun : IDisposable
    {
        public BridgedRun()
        {
            CommandLine.Succeed(
                "train",
                "--dense",
                "--data",
                Small.Data,
                "--d-model",
                "32",
                "--batch",
                "8",
                "--tokens",
                "40000",
                "--lr",
                "0.01",
                "--out",
                Dense
            );
            CommandLine.Succeed(
                "bridge",
                "train",
                "--dense",
                Dense,
                "--d-model",
                "32",
                "--batch",
                "8",
                "--tokens",
                "40000",
                "--density",
                "1",
                "--out",
                Bridged
            );
        }

        public SmallRun Small { get; } = new();

        public string Dense => Small["dense"];

        public string Bridged => Small["bridged"];

        public void Dispose() => Small.Dispose();
    }
}
