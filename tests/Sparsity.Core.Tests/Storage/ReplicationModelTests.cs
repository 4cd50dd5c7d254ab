using System.Text.Json.Nodes;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tensors;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Storage;

/// <summary>
/// Folders of the public replication: what config.json means in both generations, what training_config.yaml adds, and the way to other
/// folders and back.
/// </summary>
public sealed class ReplicationModelTests : IDisposable
{
    private const string Public = "r1_public_sinks_abstopk8";
    private const string Newer = "r3_preactivation_six_places";

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, ModelFolderKind> Conversions =>
        new()
        {
            { Public, ModelFolderKind.Run },
            { Public, ModelFolderKind.Official },
            { Public, ModelFolderKind.HuggingFace },
            { Public, ModelFolderKind.Replication },
            { Newer, ModelFolderKind.Run },
            { Newer, ModelFolderKind.Replication },
        };

    [Theory]
    [MemberData(nameof(Conversions))]
    public void ModelsGoIntoOtherFoldersAndComeBackBitForBit(string name, ModelFolderKind kind)
    {
        using StoredModel original = StoredModel.Open(Folder(name));
        original.Save(New("there"), kind);
        using StoredModel there = StoredModel.Open(_folder["there"]);
        there.Save(New("back"), ModelFolderKind.Replication);
        using StoredModel back = StoredModel.Open(_folder["back"]);

        RequireSame(original, there);
        RequireSame(original, back);
        Assert.Equal(original.Config, back.Config);
        using TensorFile first = TorchFile.Open(Path.Combine(Folder(name), "pytorch_model.bin"));
        using TensorFile last = TorchFile.Open(Path.Combine(_folder["back"], "pytorch_model.bin"));
        Assert.Equal(first.ByName.Keys.Order(StringComparer.Ordinal), last.ByName.Keys.Order(StringComparer.Ordinal));
        Assert.DoesNotContain(back.Notes, note => !note.Contains("guess", StringComparison.Ordinal)); // it says where AbsTopK acts
    }

    [Theory]
    [InlineData("a_ln_tied_gelu")]
    [InlineData("c_rms_afrac8_bigram")]
    [InlineData("j_legacy_keys_noflash")]
    public void OfficialModelsGoIntoTheReplicationsFolderAndBack(string name)
    {
        using StoredModel official = StoredModel.Open(Path.Combine(OfficialFixture.Root, "forward", name));
        WithoutLogitsBias(official, _folder["official"]);
        using StoredModel plain = StoredModel.Open(_folder["official"]);
        plain.Save(New("there"), ModelFolderKind.Replication);
        using StoredModel there = StoredModel.Open(_folder["there"]);
        there.Save(New("back"), ModelFolderKind.Official);
        using StoredModel back = StoredModel.Open(_folder["back"]);

        RequireSame(plain, there);
        RequireSame(plain, back);
        Assert.Equal(Sites(plain), Sites(there));
    }

    [Theory]
    [InlineData("d_rms_residrelu_residtopk", "resid")]
    [InlineData("f_catpos_learned_ln", "d_pos_emb")]
    [InlineData("e_rms_sink_afrac8", "n_head * d_head is 64 and d_model 32")]
    public void WhatTheReplicationCannotComputeIsRefusedByName(string name, string named)
    {
        using StoredModel official = StoredModel.Open(Path.Combine(OfficialFixture.Root, "forward", name));
        WithoutLogitsBias(official, _folder["official"]);
        using StoredModel plain = StoredModel.Open(_folder["official"]);

        Assert.Contains(
            named,
            Assert.Throws<BadInputException>(() => plain.Save(New("there"), ModelFolderKind.Replication)).Message,
            StringComparison.Ordinal
        );
        Assert.False(File.Exists(Path.Combine(_folder["there"], "pytorch_model.bin")));
    }

    [Fact]
    public void WhatTheOfficialCodeCannotComputeIsRefusedByName()
    {
        using StoredModel model = StoredModel.Open(Folder(Newer));

        Assert.Contains(
            "mlp_pre_act",
            Assert.Throws<BadInputException>(() => model.Save(New("there"), ModelFolderKind.Official)).Message,
            StringComparison.Ordinal
        );
        var few = new ModelConfig
        {
            NLayer = 1,
            NHead = 2,
            DModel = 4,
            Afrac = 0.2,
            AfracLoctypes = "mlp_in",
            AfracAtLeastOne = true,
        };
        Assert.Equal(1, few.KeptAt(new Site(0, SiteKind.MlpActIn)));
        Assert.Contains(
            "would keep no entry",
            Assert.Throws<BadInputException>(() => few.ForOfficialCode()).Message,
            StringComparison.Ordinal
        );
        Assert.False((few with { Afrac = 0.25 }).ForOfficialCode().AfracAtLeastOne);
    }

    [Fact]
    public void AFileAsPyTorch2WritesItHoldsTheSameModel()
    {
        using StoredModel first = StoredModel.Open(Folder(Public));
        Copy(Public, weights: Path.Combine(Folder(Public), "as_torch2_cuda.bin"));
        using StoredModel second = StoredModel.Open(_folder["copy"]);

        RequireSame(first, second);
    }

    [Fact]
    public void BothGenerationsOfFieldsAreUnderstood()
    {
        using StoredModel older = StoredModel.Open(Folder(Public));
        using StoredModel newer = StoredModel.Open(Folder(Newer));

        Assert.Equal("attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_v,attn_k,attn_q", older.Config.AfracLoctypes);
        Assert.Contains("does not say where AbsTopK acts", Assert.Single(older.Notes), StringComparison.Ordinal);
        Assert.Equal("attn_q,attn_k,attn_v,attn_out,mlp_pre_act,mlp_out", newer.Config.AfracLoctypes);
        Assert.Contains("guess", Assert.Single(newer.Notes), StringComparison.Ordinal);
        Assert.Equal((true, true, 4, 8), (older.Config.Sink, older.Config.AfracAtLeastOne, older.Config.NHead, older.Config.DHead));
        Assert.Equal(9, newer.Config.KeptAt(new Site(1, SiteKind.MlpPreAct)));
        Assert.Null(newer.Config.KeptAt(new Site(1, SiteKind.MlpPostAct)));
    }

    [Theory]
    [InlineData("model")]
    [InlineData("sparse_model")] // in the repository of a bridge training
    public void TheRecipeSaysWhatTheConfigurationLeavesOut(string section)
    {
        Copy(
            Public,
            recipe: $"{section}:\n  n_layer: 2\n  d_model: 32\n  use_flash_attention: true\nsparsity:\n  "
                + "activation_topk_fraction: 0.25\n  activation_sparsity_locations: mlp_in,resid_mid,resid_pre # both\n"
        );
        using StoredModel model = StoredModel.Open(_folder["copy"]);

        Assert.Equal("mlp_in,resid_post_attn,resid_pre", model.Config.AfracLoctypes);
        Assert.Contains("training_config.yaml", Assert.Single(model.Notes), StringComparison.Ordinal);
        Assert.Equal(
            ["0.resid_in", "0.resid_mid", "0.mlp.act_in", "1.resid_in", "1.resid_mid", "1.mlp.act_in"],
            Site.AllOf(model.Config).Where(site => model.Config.KeptAt(site) is not null).Select(site => site.Name)
        );
    }

    [Theory]
    [InlineData("model: {d_model: 64}\n", "d_model is 64, but 32")]
    [InlineData("sparsity: {activation_topk_fraction: 0,25}\n", "training_config.yaml")]
    [InlineData("sparsity: [1\n", "not valid YAML")]
    [InlineData("- 1\n", "sections")]
    [InlineData("sparsity: {activation_sparsity_locations: [a, b]}\n", "no single value")]
    [InlineData("model: {use_flash_attention: maybe}\n", "use_flash_attention is maybe")]
    public void ARecipeThatDoesNotFitIsRefused(string recipe, string named)
    {
        Copy(Public, recipe: recipe);

        Refused(named);
    }

    [Fact]
    public void ARecipeOfManyBracketsIsRefused()
    {
        Copy(Public, recipe: new string('[', 200_000));

        Refused("nests more than 32 levels");
    }

    [Fact]
    public void PlacesAreSplitAsTheReplicationSplitsThem()
    {
        Copy(Newer, config => config["sparsity_config"]!["activation_sparsity_locations"] = "attn_q, attn_k,everywhere");
        using StoredModel model = StoredModel.Open(_folder["copy"]);

        Assert.Equal("attn_q", model.Config.AfracLoctypes);
        Assert.Contains("' attn_k', 'everywhere'", Assert.Single(model.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void SinksOfModelsWithoutFlashAttentionDoNothingAndTheirMasksAreDropped()
    {
        using (StoredModel original = StoredModel.Open(Folder(Newer)))
        using (TensorFile file = TorchFile.Open(Path.Combine(Folder(Newer), "pytorch_model.bin")))
        {
            Copy(Newer, config => config["model_config"]!["use_flash_attention"] = false);
            TorchFile.Write(
                _folder["copy/pytorch_model.bin"],
                [
                    .. file.Tensors.Select(tensor =>
                        TensorToWrite.Of("_orig_mod." + tensor.Name, [.. tensor.Shape], () => tensor.Floats().ToArray())
                    ),
                    .. Enumerable
                        .Range(0, 2)
                        .Select(layer =>
                            TensorToWrite.Of($"_orig_mod.blocks.{layer}.attn.causal_mask", [1, 1, 24, 24], () => new float[24 * 24])
                        ),
                ]
            );
        }

        using StoredModel model = StoredModel.Open(_folder["copy"]);

        Assert.False(model.Config.Sink);
        Assert.Contains(model.Notes, note => note.Contains("attention sinks", StringComparison.Ordinal));
        Assert.Equal(["_orig_mod."], model.WrapperPrefixes);
    }

    [Fact]
    public void ABridgeRepositorysModelOpensByItself()
    {
        Copy(
            Public,
            config =>
                config["bridges_config"] = JsonNode.Parse(
                    """{"encoder_afrac": 0.25, "n_layers": 2, "d_dense": "someone/dense", "d_sparse": 32}"""
                )
        );
        File.Move(_folder["copy/pytorch_model.bin"], _folder["copy/sparse_model.bin"]);
        using StoredModel original = StoredModel.Open(Folder(Public));
        using StoredModel model = StoredModel.Open(_folder["copy"]);

        RequireSame(original, model);
    }

    [Fact]
    public void WhatIsNotKnownIsRefusedAndAllOfItIsNamed()
    {
        Copy(
            Newer,
            config =>
            {
                config["model_config"]!["use_magic"] = true;
                config["sparsity_config"]!["node_budget"] = 3;
                config["other_config"] = new JsonObject();
                config["training_config"]!["anything"] = 1; // says nothing of what the model computes
            }
        );

        Refused("other_config, model_config.use_magic, sparsity_config.node_budget");
    }

    [Theory]
    [InlineData("model_config", "d_head", "5", "d_head must divide")]
    [InlineData("model_config", "vocab_size", "null", "vocab_size")]
    [InlineData("model_config", "activation", "\"swish\"", "swish")]
    [InlineData("model_config", "tie_embeddings", "true", "lm_head.weight differs from wte.weight")]
    [InlineData("model_config", "use_bigram_table", "true", "lacks bigram_table")]
    [InlineData("model_config", "use_positional_embeddings", "true", "lacks wpe.weight")]
    [InlineData("model_config", "use_rms_norm", "false", "blocks.0.ln_1.bias")]
    [InlineData("model_config", "use_bias", "false", "has blocks.0.attn.c_attn.bias")]
    [InlineData("model_config", "n_layer", "1", "has blocks.1.attn.attn_fn.sink_logit")]
    [InlineData("model_config", "d_mlp", "50", "blocks.0.mlp.c_fc.weight has shape [48, 32], but the configuration asks for [50, 32]")]
    [InlineData("sparsity_config", "activation_topk_mode", "\"batch\"", "activation_topk_mode is batch")]
    [InlineData("sparsity_config", "activation_topk_fraction", "0", "afrac is 0")]
    public void WhatDoesNotFitTheWeightsIsSaidInTheirOwnNames(string section, string field, string value, string named)
    {
        Copy(Newer, config => config[section]![field] = JsonNode.Parse(value));

        Refused(named);
    }

    public void Dispose() => _folder.Dispose();

    private static string Folder(string name) => Path.Combine(Path.GetDirectoryName(OfficialFixture.Root)!, "replication", name);

    private static IEnumerable<(string Site, int? Kept)> Sites(StoredModel model) =>
        Site.AllOf(model.Config).Select(site => (site.Name, model.Config.KeptAt(site)));

    private static void RequireSame(StoredModel expected, StoredModel actual)
    {
        foreach (ParameterSpec spec in ParameterSpec.ListFor(expected.Config))
        {
            Comparison.SameBits(expected.Values(spec), actual.Values(spec), spec.Name);
        }
    }

    /// <summary>The fixtures of the official code have one that is not zero, which the replication cannot hold.</summary>
    private static void WithoutLogitsBias(StoredModel model, string directory)
    {
        Directory.CreateDirectory(directory);
        model.Save(directory, ModelFolderKind.Official);
        TorchFile.Write(
            Path.Combine(directory, "final_model.pt"),
            [
                .. ParameterSpec
                    .ListFor(model.Config)
                    .Where(spec => spec.Name != ParameterNames.LogitsBias)
                    .Select(spec => TensorToWrite.Of(spec.Name, spec.Shape, () => model.Values(spec).ToArray())),
            ]
        );
    }

    private string New(string name) => Directory.CreateDirectory(_folder[name]).FullName;

    private void Copy(string name, Action<JsonObject>? change = null, string? recipe = null, string? weights = null)
    {
        Directory.CreateDirectory(_folder["copy"]);
        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder(name), "config.json")))!.AsObject();
        change?.Invoke(config);
        File.WriteAllText(_folder["copy/config.json"], config.ToJsonString());
        File.Copy(weights ?? Path.Combine(Folder(name), "pytorch_model.bin"), _folder["copy/pytorch_model.bin"]);
        if (recipe is not null)
        {
            File.WriteAllText(_folder["copy/training_config.yaml"], recipe);
        }
    }

    private void Refused(string named)
    {
        string message = Assert.Throws<BadInputException>(() => StoredModel.Open(_folder["copy"]).Dispose()).Message;

        Assert.Contains(named, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }
}
