using System.Text.Json.Nodes;
using Sparsity.Core.Corpora;
using Sparsity.Core.Data;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tensors;
using Sparsity.Core.Tokenization;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>
/// Every verb on a folder laid out as the public replication's, with its WordPiece tokenizer and tasks: it says what it says of a run with
/// the same weights.
/// </summary>
public class ReplicationVerbTests(ReplicationVerbTests.Folders folders) : IClassFixture<ReplicationVerbTests.Folders>
{
    private static readonly string Tasks = Path.Combine(OfficialFixture.Root, "..", "..", "..", "tasks", "stories");

    /// <summary>What a verb makes of a model: its folder, and a name for what is written.</summary>
    private static readonly Dictionary<string, Func<Folders, string, string, string>> Verbs = new()
    {
        ["eval"] = (folders, model, _) => Told("eval", "--model", model, "--data", folders.Data),
        ["generate"] = (_, model, _) => Told("generate", "--model", model, "--prompt", "when Leo felt sad,", "--tokens", "20"),
        ["tasks eval"] = (_, model, _) =>
            Told(
                "tasks",
                "eval",
                Path.Combine(Tasks, "pronoun.json"),
                Path.Combine(Tasks, "question.json"),
                "--model",
                model,
                "--pairs",
                "8",
                "--loss",
                "full"
            ),
        ["trace"] = (folders, model, name) =>
        {
            Told("trace", "--model", model, "--text", "when Leo felt sad, Mia helped him.", "--grads", "--out", folders[name]);
            return Hash(folders[name + "/trace.safetensors"]);
        },
        ["prune"] = (folders, model, name) =>
        {
            Told(
                "prune",
                "--model",
                model,
                "--data",
                folders.Data,
                "--task",
                Path.Combine(Tasks, "pronoun.json"),
                "--loss",
                "full",
                "--config",
                folders.Pruning,
                "--out",
                folders[name]
            );
            JsonNode circuit = JsonNode.Parse(File.ReadAllText(folders[name + "/circuit.json"]))!;
            circuit["model"] = "";
            return circuit.ToJsonString();
        },
        ["circuit edit"] = (folders, model, name) =>
        {
            string first = JsonNode.Parse(File.ReadAllText(folders.Circuit))!["nodes"]![0]!["name"]!.GetValue<string>();
            Told(
                "circuit",
                "edit",
                folders.Circuit,
                "--model",
                model,
                "--data",
                folders.Data,
                "--task",
                Path.Combine(Tasks, "pronoun_pairs.json"),
                "--remove",
                first,
                "--out",
                folders[name]
            );
            return JsonNode.Parse(File.ReadAllText(folders[name + "/circuit.json"]))!["edges"]!.ToJsonString();
        },
        ["view"] = (folders, model, name) =>
        {
            Told("view", "--circuit", folders.Circuit, "--model", model, "--html", folders[name + ".html"]);
            return Hash(folders[name + ".html"]);
        },
        ["convert"] = (folders, model, name) =>
        {
            Told("convert", "--from", model, "--to", "run", "--out", folders[name]);
            return Hash(folders[name + "/model.safetensors"]) + Hash(folders[name + "/tokenizer/tokenizer.json"]);
        },
    };

    public static TheoryData<string> Names => [.. Verbs.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void SaysTheSameAsOfARun(string verb)
    {
        string ofRun = Verbs[verb](folders, folders.Run, verb + " of run");

        Assert.NotEqual("", ofRun);
        Assert.Equal(ofRun, Verbs[verb](folders, folders.Replication, verb + " of replication"));
    }

    [Fact]
    public void WhatItsFilesLeaveOpenIsTold()
    {
        string released = Path.Combine(OfficialFixture.Root, "..", "replication", "r3_preactivation_six_places");

        Assert.Contains(
            "guess",
            CommandLine.Succeed("trace", "--model", released, "--ids", "[1, 2, 3]", "--out", folders["told"]),
            StringComparison.Ordinal
        );
        CommandLine.Refuse("Give a tokenizer's folder", "generate", "--model", released);
        CommandLine.Refuse("official code cannot compute", "convert", "--from", released, "--to", "official", "--out", folders["x"]);
    }

    [Fact]
    public void TheSameTasksAsPairsAndAsSinglePromptsArePosed()
    {
        Assert.Contains(
            "not [ she]",
            CommandLine.Succeed("tasks", "show", Path.Combine(Tasks, "pronoun.json"), "--pairs", "20"),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "- against",
            CommandLine.Succeed("tasks", "show", Path.Combine(Tasks, "pronoun_pairs.json")),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void ItsBridgesAreEvaluatedAsTheSameBridgesHere()
    {
        File.WriteAllText(
            folders["bridge.json"],
            """{"bridge": {"final_location": true}, "training": {"total_tokens": 768, "batch_sequences": 16, "context_tokens": 24}}"""
        );
        CommandLine.Succeed(
            "train",
            "--data",
            folders.Data,
            "--dense",
            "--d-model",
            "16",
            "--batch",
            "4",
            "--context",
            "16",
            "--tokens",
            "2048",
            "--out",
            folders["dense"]
        );
        CommandLine.Succeed(
            "bridge",
            "train",
            "--dense",
            folders["dense"],
            "--init",
            folders.Plain,
            "--data",
            folders.Data,
            "--config",
            folders["bridge.json"],
            "--out",
            folders["bridged"]
        );
        CommandLine.Succeed("convert", "--from", folders["bridged"], "--to", "replication", "--out", folders["there"]);
        File.Move(folders["there/pytorch_model.bin"], folders["there/sparse_model.bin"]);
        JsonNode config = JsonNode.Parse(File.ReadAllText(folders["there/config.json"]))!;
        config["bridges_config"] = JsonNode.Parse(
            """{"encoder_afrac": 0.25, "n_layers": 2, "d_dense": "someone/elsewhere", "d_sparse": 32}"""
        );
        File.WriteAllText(folders["there/config.json"], config.ToJsonString());
        WriteBridges([]);

        string[] eval = ["bridge", "eval", "--data", folders.Data, "--dense", folders["dense"], "--model"];
        Assert.Equal(Lines(CommandLine.Succeed([.. eval, folders["bridged"]])), Lines(CommandLine.Succeed([.. eval, folders["there"]])));
        string[] steer =
        [
            "bridge",
            "steer",
            "--data",
            folders.Data,
            "--dense",
            folders["dense"],
            "--model",
            folders["there"],
            "--node",
            "1.mlp.act_in.3",
        ];
        Assert.Contains(
            "1.mlp.act_in",
            CommandLine.Succeed([.. steer, "--task", Path.Combine(Tasks, "pronoun_pairs.json"), "--pairs", "2", "--random", "1"]),
            StringComparison.Ordinal
        );
        CommandLine.Refuse("single prompts", [.. steer, "--task", Path.Combine(Tasks, "pronoun.json")]);
        CommandLine.Refuse(
            "'someone/elsewhere', but there is no such folder",
            "bridge",
            "eval",
            "--model",
            folders["there"],
            "--data",
            folders.Data
        );

        WriteBridges([], float.NaN);
        CommandResult notFinite = CommandLine.Run([.. eval, folders["there"]]);
        Assert.Equal((1, ""), (notFinite.ExitCode, notFinite.Output));
        Assert.Contains("bridges.bin", Assert.Single(notFinite.Errors.Trim().Split('\n')), StringComparison.Ordinal);
        Assert.Contains("bridges.2.decoder.linear.bias", notFinite.Errors, StringComparison.Ordinal);
        WriteBridges([TensorToWrite.Of("bridges.0.encoder.log_eps", [32], () => new float[32])]);
        CommandLine.Refuse("learned thresholds (bridges.0.encoder.log_eps)", [.. eval, folders["there"]]);
        WriteBridges([TensorToWrite.Of("bridges.5.encoder.linear.bias", [32], () => new float[32])]);
        CommandLine.Refuse("has bridges.5.encoder.linear.bias", [.. eval, folders["there"]]);

        static string[] Lines(string output) =>
            [
                .. output
                    .Split('\n')
                    .Where(line => line.Contains('.', StringComparison.Ordinal) && !line.Contains('/', StringComparison.Ordinal)),
            ];
    }

    /// <param name="further">Tensors beside those of the bridges.</param>
    /// <param name="bad">One entry of one of them.</param>
    private void WriteBridges(IEnumerable<TensorToWrite> further, float? bad = null)
    {
        using TensorFile file = Safetensors.Open(folders["bridged/bridges.safetensors"]);
        ModelConfig config = new RunFolder(folders["bridged"]).ReadConfig();
        var tensors = new List<TensorToWrite>(further);
        for (int location = 0; location <= 2 * config.NLayer; location++)
        {
            string ours = $"bridges.{Transformer.SiteOfResidual(config, location)}.";
            foreach (StoredTensor tensor in file.Tensors.Where(tensor => tensor.Name.StartsWith(ours, StringComparison.Ordinal)))
            {
                string[] rest = tensor.Name[ours.Length..].Split('.');
                float[] values = tensor.Floats().ToArray();
                values[^1] = location == 2 && rest is ["decoder", "bias"] && bad is { } entry ? entry : values[^1];
                tensors.Add(TensorToWrite.Of($"bridges.{location}.{rest[0]}.linear.{rest[1]}", [.. tensor.Shape], () => values));
            }
        }

        TorchFile.Write(folders["there/bridges.bin"], tensors);
    }

    private static string Told(params string[] arguments)
    {
        string output = CommandLine.Succeed(arguments);
        return string.Join('\n', output.Split('\n').Where(line => !line.Contains("guess", StringComparison.Ordinal)));
    }

    private static string Hash(string path) => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path)));

    /// <summary>
    /// Two small models with the replication's tokenizer: one with AbsTopK at its own places, as a run and in its layout, and one with the
    /// usual places.
    /// </summary>
    public sealed class Folders : IDisposable
    {
        private const string Usual = "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_v,attn_k,attn_q";

        private readonly TemporaryFolder _folder = new();
        private readonly Lazy<string> _circuit;

        public Folders()
        {
            TextTokenizer tokenizer = TokenizerFolder.Load(Path.Combine(OfficialFixture.Root, "..", "replication", "tokenizer"));
            string[] sentences =
            [
                "when Leo felt sad, Mia helped him.",
                "As Rita came down the hill, she smiled.",
                "Why do you like this song?",
                "The king said \"come with me\" and went home.",
            ];
            CorpusFolder.Write(
                Data,
                Enumerable
                    .Range(0, 200)
                    .Select(i => new CorpusDocument(
                        $"{i}",
                        string.Join(' ', sentences.Skip(i % 4).Concat(sentences.Take(i % 3))),
                        i % 5 == 0
                    )),
                CorpusInfo.Of("sentences", 1)
            );
            DataFolder.Tokenize(Data, tokenizer, 0);
            File.WriteAllText(
                Pruning,
                """{"steps": 4, "k_coef": [0.001], "batch_pairs": 4, "test_pairs": 8, "selection_pairs": 8, "mean_batches": 1, "random_circuits": 1, "target_loss": 5}"""
            );
            Train(_folder["trained"], Usual.Replace("mlp_neuron", "mlp_pre_act,resid_pre,resid_post_attn", StringComparison.Ordinal));
            Train(Plain, Usual);
            CommandLine.Succeed("convert", "--from", _folder["trained"], "--to", "replication", "--out", Replication);
            // It says as little of its training as the other.
            CommandLine.Succeed("convert", "--from", _folder["trained"], "--to", "run", "--out", Run);
            _circuit = new Lazy<string>(() =>
            {
                CommandLine.Succeed(
                    "prune",
                    "--model",
                    Run,
                    "--data",
                    Data,
                    "--task",
                    Path.Combine(Tasks, "pronoun_pairs.json"),
                    "--config",
                    Pruning,
                    "--out",
                    _folder["a circuit"]
                );
                return _folder["a circuit/circuit.json"];
            });
        }

        public string Data => _folder["data"];

        public string Run => _folder["run"];

        public string Plain => _folder["plain"];

        public string Replication => _folder["replication"];

        public string Pruning => _folder["pruning.json"];

        public string Circuit => _circuit.Value;

        public string this[string name] => _folder[name];

        public void Dispose() => _folder.Dispose();

        private void Train(string folder, string places)
        {
            var model = new JsonObject
            {
                ["block_size"] = 24,
                ["vocab_size"] = 4096,
                ["n_layer"] = 2,
                ["n_head"] = 4,
                ["d_head"] = 8,
                ["d_model"] = 32,
                ["d_mlp"] = 48,
                ["rms_norm"] = true,
                ["tied_unembed"] = false,
                ["sink"] = true,
                ["afrac"] = 0.25,
                ["afrac_loctypes"] = places,
                ["afrac_at_least_one"] = true,
            };
            File.WriteAllText(
                folder + ".json",
                new JsonObject
                {
                    ["model"] = model,
                    ["training"] = new JsonObject
                    {
                        ["density"] = 0.25,
                        ["minimum_alive_per_neuron"] = 2,
                        ["lr"] = 0.0128,
                        ["position_embeddings"] = "none",
                    },
                }.ToJsonString()
            );
            CommandLine.Succeed(
                "train",
                "--data",
                Data,
                "--config",
                folder + ".json",
                "--context",
                "16",
                "--batch",
                "4",
                "--tokens",
                "2048",
                "--out",
                folder
            );
        }
    }
}
