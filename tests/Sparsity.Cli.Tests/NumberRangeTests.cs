using Sparsity.Core.Tensors;

namespace Sparsity.Cli.Tests;

/// <summary>Numbers that are not finite or out of range, in flags, in files and in weights: one line, before any work.</summary>
public class NumberRangeTests(SmallRun run) : IClassFixture<SmallRun>
{
    [Theory]
    [InlineData("--max-tokens is 0", "tasks", "eval", "single_double_quote", "--model", "MODEL", "--max-tokens", "0")]
    [InlineData("--max-tokens is -1", "tasks", "eval", "single_double_quote", "--model", "MODEL", "--max-tokens", "-1")]
    [InlineData("--pairs is 2147483647", "tasks", "eval", "single_double_quote", "--model", "MODEL", "--pairs", "2147483647")]
    [InlineData(
        "steps is 2147483647",
        "prune",
        "--model",
        "MODEL",
        "--task",
        "single_double_quote",
        "--steps",
        "2147483647",
        "--out",
        "OUT"
    )]
    [InlineData(
        "target_loss is 1E+300",
        "prune",
        "--model",
        "MODEL",
        "--task",
        "single_double_quote",
        "--target-loss",
        "1e300",
        "--out",
        "OUT"
    )]
    [InlineData("expansion_factor is 1E+300", "train", "--data", "DATA", "--expansion-factor", "1e300", "--dry-run")]
    [InlineData("weight_decay is 1E+300", "train", "--data", "DATA", "--weight-decay", "1e300", "--dry-run")]
    [InlineData("batch_sequences", "train", "--data", "DATA", "--batch", "2147483647", "--tokens", "9223372036854775807", "--dry-run")]
    [InlineData(
        "--mean-batches is 2147483647",
        "trace",
        "--model",
        "MODEL",
        "--ids",
        "[1]",
        "--mean-ablate",
        "0.attn.q:1",
        "--mean-batches",
        "2147483647",
        "--out",
        "OUT"
    )]
    [InlineData("[1] is null", "trace", "--model", "MODEL", "--ids", "[[1],null]", "--out", "OUT")]
    [InlineData("[0] is 1e999", "trace", "--model", "MODEL", "--ids", "[1e999]", "--out", "OUT")]
    [InlineData("null: cannot be read", "trace", "--model", "MODEL", "--ids", "null", "--out", "OUT")]
    [InlineData("--ids", "trace", "--model", "MODEL", "--ids", "[[1],null]", "--out", "OUT")]
    [InlineData("is no intervention", "trace", "--model", "MODEL", "--ids", "[1]", "--set", "0.attn.q:1=0,5", "--out", "OUT")]
    [InlineData("--strengths has 1E+300", "bridge", "steer", "--model", "MODEL", "--strengths", "0.0,1e300")]
    public void FlagsOutOfRange(string expected, params string[] arguments) =>
        CommandLine.Refuse(
            expected,
            [
                .. arguments.Select(argument =>
                    argument switch
                    {
                        "MODEL" => run.Model,
                        "DATA" => run.Data,
                        "OUT" => run["never made"],
                        _ => argument,
                    }
                ),
            ]
        );

    [Theory]
    [InlineData("prune", "{\"lr\":1e999}", "lr is 1e999, but must be a finite number")]
    [InlineData("prune", "{\"epsilon\":1e999}", "epsilon is 1e999")]
    [InlineData("prune", "{\"distractor_lines\":2147483647}", "distractor_lines is 2147483647")]
    [InlineData("prune", "{\"batch_pairs\":2147483647}", "batch_pairs is 2147483647")]
    [InlineData("prune", "{\"steps\":1000000,\"batch_pairs\":11}", "steps * batch_pairs is 11000000")]
    [InlineData("train", "{\"training\":{\"weight_decay\":1e999}}", "training.weight_decay is 1e999")]
    [InlineData("train", "{\"model\":{\"afrac_loctypes\":null}}", "afrac_loctypes is null")]
    [InlineData("task", "{}", "lacks format_version, name, description, train, test")]
    [InlineData(
        "task",
        "{\"format_version\":1,\"name\":null,\"description\":\"\",\"train\":[],\"test\":[]}",
        "name: has a value of the wrong type"
    )]
    public void FilesOutOfRange(string kind, string json, string expected)
    {
        string path = run["given.json"];
        File.WriteAllText(path, json);
        string[] arguments = kind switch
        {
            "prune" => ["prune", "--model", run.Model, "--task", "single_double_quote", "--config", path, "--out", run["never made"]],
            "train" => ["train", "--data", run.Data, "--config", path, "--out", run["never made"]],
            _ => ["tasks", "show", path],
        };

        CommandLine.Refuse(expected, arguments);
        Assert.DoesNotContain("Sparsity.Core", CommandLine.Run(arguments).Errors, StringComparison.Ordinal);
        Assert.False(Directory.Exists(run["never made"]), "A refused run left a folder.");
    }

    [Theory]
    [InlineData("\"tau\":", "\"tau\": 1e999, \"x\":", "must be a finite number")]
    [InlineData("\"name\": \"0.", "\"name\": \"\\u00010.", "is no node")]
    [InlineData("\"name\": \"0.", "\"name\": \"00.", "is no node")]
    [InlineData("\"task\": \"", "\"task\": \"\\u0001", "control character")]
    [InlineData("\"from\": \"", "\"from\": \"9", "ends outside")]
    [InlineData("\"steps\": ", "\"steps\": -", "steps is -")]
    public void CircuitsWithValuesThatCannotBe(string found, string replaced, string expected)
    {
        string path = run["circuit.json"];
        string whole = File.ReadAllText(Path.Combine(OfficialFixture.Root, "..", "version1", "pruned", "circuit.json"));
        int at = whole.IndexOf(found, StringComparison.Ordinal);
        File.WriteAllText(path, whole[..at] + replaced + whole[(at + found.Length)..]);

        foreach (string format in new[] { "json", "dot", "graphml", "csv" })
        {
            CommandLine.Refuse(expected, "circuit", "export", path, "--format", format);
        }

        CommandLine.Refuse(expected, "circuit", "show", path);
        CommandLine.Refuse(expected, "view", "--circuit", path, "--html", run["page.html"]);
    }

    [Theory]
    [InlineData(float.NaN, "NaN")]
    [InlineData(float.NegativeInfinity, "infinity")]
    public void WeightsThatAreNotFiniteEndEveryVerbWithOneLineAndExitCode1(float bad, string name)
    {
        string model = run[$"bad {name}"];
        CopyFolder(run.Model, model);
        Poison(Path.Combine(model, "model.safetensors"), "transformer.h.0.mlp.c_fc.weight", bad);
        string[][] commands =
        [
            ["generate", "--model", model],
            ["generate", "--model", model, "--temperature", "0"],
            ["eval", "--model", model],
            ["tasks", "eval", "--model", model],
            ["prune", "--model", model, "--task", "single_double_quote", "--method", "attribution", "--out", run["never made"]],
            ["trace", "--model", model, "--ids", "[1,2]", "--out", run["never made"]],
            ["convert", "--from", model, "--to", "official", "--out", run[$"converted {name}"]],
            ["bridge", "train", "--dense", model, "--tokens", "2000", "--out", run["never made"]],
            [
                "train",
                "--data",
                run.Data,
                "--init",
                model,
                "--tokens",
                "2000",
                "--density",
                "0.25",
                "--minimum-alive",
                "2",
                "--out",
                run[$"begun {name}"],
            ],
        ];
        foreach (string[] command in commands)
        {
            CommandResult result = CommandLine.Run(command);

            Assert.True(result.ExitCode == 1, $"{string.Join(' ', command)}: {result.ExitCode} {result.Output}{result.Errors}");
            Assert.Contains($"the weights hold {name}, in transformer.h.0.mlp.c_fc.weight", result.Errors, StringComparison.Ordinal);
            Assert.Single(result.Errors.Trim().Split('\n'));
        }
    }

    [Fact]
    public void FiniteWeightsWhoseLogitsOverflow()
    {
        string model = run["overflow"];
        CopyFolder(run.Model, model);
        Poison(Path.Combine(model, "model.safetensors"), "lm_head.weight", 3e38f, all: true);
        foreach (
            string[] command in (string[][])
                [
                    ["generate", "--model", model],
                    ["eval", "--model", model],
                    ["tasks", "eval", "single_double_quote", "--model", model],
                    ["trace", "--model", model, "--ids", "[1,2]", "--out", run["overflow trace"]],
                ]
        )
        {
            CommandResult result = CommandLine.Run(command);

            Assert.True(result.ExitCode == 1, $"{string.Join(' ', command)}: {result.ExitCode} {result.Output}{result.Errors}");
            Assert.True(result.Errors.Contains("grow beyond what fits", StringComparison.Ordinal), $"{command[0]}: {result.Errors}");
        }
    }

    internal static void CopyFolder(string from, string to)
    {
        foreach (
            string file in Directory
                .EnumerateFiles(from, "*", SearchOption.AllDirectories)
                .Where(file => !Path.GetFileName(file).StartsWith(".lock", StringComparison.Ordinal))
        )
        {
            string copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    private static void Poison(string safetensors, string tensor, float bad, bool all = false)
    {
        TensorToWrite[] tensors;
        using (TensorFile file = Safetensors.Open(safetensors))
        {
            tensors =
            [
                .. file.Tensors.Select(stored =>
                {
                    float[] values = stored.Floats().ToArray();
                    values
                        .AsSpan(
                            0,
                            stored.Name != tensor ? 0
                                : all ? values.Length
                                : 1
                        )
                        .Fill(bad);
                    return TensorToWrite.Of(stored.Name, stored.Shape, () => values);
                }),
            ];
        }

        Safetensors.Write(safetensors, tensors, new Dictionary<string, string> { ["format"] = "pt" });
    }
}
