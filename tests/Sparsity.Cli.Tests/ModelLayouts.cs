using System.Text.Json.Nodes;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>
/// One small sparse model, and one dense one, in every layout: as a run; as the official release has it, with the fields of real
/// beeg_config.json files, final_model.pt and the tokenizer in its own folder; and as a Hugging Face folder. The tokenizer is laid out as
/// tinypython_2k, and the vocabulary padded by 12.
/// </summary>
public sealed class ModelLayouts : IDisposable
{
    /// <summary>Tokens of the tokenizer, special ones included; the models have 12 more.</summary>
    public const int Tokens = 400;

    private readonly TemporaryFolder _folder = new();

    public ModelLayouts()
    {
        CommandLine.Succeed("corpus", "--synthetic", "--megabytes", "0.1", "--vocabulary", $"{Tokens - 1}", "--out", _folder["first data"]);
        MakeTokenizer(Path.Combine(_folder["first data"], "tokenizer"));
        CommandLine.Succeed("corpus", "--synthetic", "--megabytes", "0.2", "--tokenizer", Tokenizer, "--out", Data);
        Train("run", "{}", "--density", "0.25", "--minimum-alive", "2", "--lr", "0.02");
        Train("dense run", """{"afrac": null}""", "--density", "1", "--lr", "0.001");
    }

    /// <summary>What verbs made of the run, by verb: made once for all layouts.</summary>
    public Dictionary<string, string> OfRun { get; } = [];

    public string Data => _folder["data"];

    public string Tokenizer => _folder["release/tinypython"];

    /// <summary>A path for a file or folder of a test; names must differ between tests.</summary>
    public string this[string name] => _folder[name];

    /// <summary>The folder of the sparse model (or dense one) in a layout, and the flags with which verbs open it.</summary>
    public static string NameOf(string layout, bool isDense) =>
        layout switch
        {
            "run" => isDense ? "dense run" : "run",
            "official" => isDense ? "release/models/csp_dense" : "release/models/csp_small",
            _ => isDense ? "hf dense" : "hf",
        };

    public void Dispose() => _folder.Dispose();

    /// <summary>Trains for a moment, and puts the model into the other layouts.</summary>
    private void Train(string name, string fields, params string[] flags)
    {
        var model = new JsonObject
        {
            ["block_size"] = 64,
            ["vocab_size"] = Tokens + 12,
            ["n_layer"] = 2,
            ["n_head"] = 2,
            ["d_head"] = 16,
            ["d_model"] = 32,
            ["d_mlp"] = 64,
            ["rms_norm"] = true,
            ["tied_unembed"] = false,
            ["enable_bigram_table"] = true,
            ["learnable_bigram_table"] = true,
            ["sink"] = true,
            ["afrac"] = 0.25,
            ["afrac_loctypes"] = "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_q,attn_k,attn_v",
        };
        foreach ((string field, JsonNode? value) in JsonNode.Parse(fields)!.AsObject())
        {
            model[field] = value?.DeepClone();
        }

        File.WriteAllText(_folder[name + ".json"], new JsonObject { ["model"] = model }.ToJsonString());
        CommandLine.Succeed([
            "train",
            "--data",
            Data,
            "--config",
            _folder[name + ".json"],
            "--tokens",
            "16384",
            "--out",
            _folder[name],
            .. flags,
        ]);
        bool isDense = name != "run";
        string official = _folder[NameOf("official", isDense)];
        CommandLine.Succeed("convert", "--from", _folder[name], "--to", "official", "--out", official);
        CommandLine.Succeed("convert", "--from", _folder[name], "--to", "huggingface", "--out", _folder[NameOf("huggingface", isDense)]);
        File.Delete(Path.Combine(official, "encoder.json"));
        File.Delete(Path.Combine(official, "vocab.bpe"));
        string path = Path.Combine(official, "beeg_config.json");
        var config = (JsonObject)JsonNode.Parse(File.ReadAllText(path))!;
        foreach ((string field, JsonNode? value) in ReleasedFields())
        {
            config[field] = value?.DeepClone();
        }

        config.Remove("d_mlp");
        config["n_mlp"] = 64; // as older files call it
        File.WriteAllText(path, config.ToJsonString());
    }

    private static JsonObject ReleasedFields() =>
        new()
        {
            ["afrac_approx"] = false,
            ["rtopk"] = false,
            ["bigram_table_rank"] = null,
            ["n_embd"] = null,
            ["ignore_dw_grad"] = false,
            ["debug_exact_topk"] = true,
            ["sparse_matmul_impl"] = "cuda",
            ["pfrac"] = 0.25,
            ["expansion_factor"] = 0.125,
            ["expansion_factor_mlp"] = 0.0625,
            ["use_tied_aux_matrix"] = false,
        };

    /// <summary>
    /// Like the release: a comment on the first line of vocab.bpe, and after the merges two special tokens with the highest ids.
    /// </summary>
    private void MakeTokenizer(string trained)
    {
        Directory.CreateDirectory(Tokenizer);
        string[] merges = File.ReadAllLines(Path.Combine(trained, "vocab.bpe"));
        File.WriteAllLines(Path.Combine(Tokenizer, "vocab.bpe"), ["# tinypython, small", .. merges[1..]]);
        var encoder = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(trained, "encoder.json")))!;
        encoder.Remove("<|endoftext|>");
        encoder["<|startoftext|>"] = Tokens - 2;
        encoder["<|endoftext|>"] = Tokens - 1;
        File.WriteAllText(Path.Combine(Tokenizer, "encoder.json"), encoder.ToJsonString());
    }
}
