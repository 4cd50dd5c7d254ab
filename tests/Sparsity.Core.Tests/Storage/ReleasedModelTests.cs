using System.Text.Json.Nodes;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tensors;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Storage;

/// <summary>Model folders as other programs leave them: more fields, other names of tensors, a tied pair stored once.</summary>
public sealed class ReleasedModelTests : IDisposable
{
    /// <summary>What real beeg_config.json files have beyond GPTConfig's fields.</summary>
    private const string RealFields = """
        {"afrac_approx": false, "rtopk": false, "bigram_table_rank": null, "n_embd": null, "ignore_dw_grad": false, "debug_exact_topk": true, "sparse_matmul_impl": "cuda",
         "pfrac": 0.25, "expansion_factor": 1, "expansion_factor_mlp": 1.5, "use_tied_aux_matrix": false, "cat_pos_emb": false, "mup_width_multiplier": null}
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(ModelFolderKind.Official)]
    [InlineData(ModelFolderKind.HuggingFace)]
    [InlineData(ModelFolderKind.Run)]
    public void FieldsOfTheReleaseAreReadAndWrittenAgain(ModelFolderKind kind)
    {
        JsonObject plain = Release("e_rms_sink_afrac8");
        using StoredModel model = StoredModel.Open(_folder["release"]);
        using StoredModel official = StoredModel.Open(Fixture("e_rms_sink_afrac8"));
        Assert.Equal(official.Config, model.Config with { OtherFields = null });

        model.Save(RunFolder.Create(_folder["saved"]).Directory, kind);
        using StoredModel saved = StoredModel.Open(_folder["saved"]);
        Assert.Equal(model.Config, saved.Config);
        var written = (JsonObject)
            JsonNode.Parse(File.ReadAllText(_folder[kind == ModelFolderKind.Official ? "saved/beeg_config.json" : "saved/config.json"]))!;
        foreach ((string name, JsonNode? value) in JsonNode.Parse(RealFields)!.AsObject().Concat(plain))
        {
            Assert.True(written.ContainsKey(name), $"{name} was lost");
            Assert.True(JsonNode.DeepEquals(value, written[name]), $"{name} is {written[name]?.ToJsonString()}");
        }
    }

    [Theory]
    [InlineData(
        """{"afrac_approx": true, "rtopk": true, "bigram_table_rank": 64}""",
        "afrac_approx is true",
        "rtopk is true",
        "bigram_table_rank is 64"
    )]
    [InlineData("""{"mup": true, "unembed_rank": 8, "afrac_ste": true}""", "mup is true", "unembed_rank is 8", "afrac_ste is true")]
    [InlineData(
        """{"use_tied_aux_matrix": true, "enable_fp8_linear": true, "scale_invariance": true}""",
        "use_tied_aux_matrix",
        "enable_fp8_linear",
        "scale_invariance"
    )]
    [InlineData(
        """{"mup_width_multiplier": 2.0, "cat_pos_emb": true}""",
        "mup_width_multiplier is 2",
        "cat_pos_emb is true, which contradicts d_pos_emb"
    )]
    [InlineData("""{"n_embd": 33}""", "d_model is 32, but its old name n_embd is 33")]
    [InlineData("""{"n_mlp": 33}""", "d_mlp is 128, but its old name n_mlp is 33")]
    [InlineData("""{"n_layers": 2, "afrac_exact": true, "pfrac": 2, "rope": null}""", "unknown fields 'n_layers', 'afrac_exact', 'rope'")]
    [InlineData("""{"pos": 2}""", "unknown field 'pos'; check the spelling or remove it.")]
    public void WhatWouldChangeTheNumbersAndWhatIsUnknownIsNamedAtOnce(string fields, params string[] expected)
    {
        Release("e_rms_sink_afrac8", fields);
        string message = Assert.Throws<BadInputException>(() => StoredModel.Open(_folder["release"])).Message;
        Assert.All(expected, part => Assert.Contains(part, message, StringComparison.Ordinal));
        Assert.DoesNotContain("pfrac", message, StringComparison.Ordinal);
        Assert.StartsWith(_folder["release/beeg_config.json"], message, StringComparison.Ordinal);
    }

    [Fact]
    public void AHuggingFaceConfigurationMayHaveAnythingButWhatChangesTheNumbers()
    {
        Release("e_rms_sink_afrac8");
        using (StoredModel model = StoredModel.Open(_folder["release"]))
        {
            model.Save(RunFolder.Create(_folder["hf"]).Directory, ModelFolderKind.HuggingFace);
        }

        Edit("hf/config.json", new JsonObject { ["torch_dtype"] = "float32", ["mup"] = false });
        using (StoredModel copy = StoredModel.Open(_folder["hf"]))
        {
            Assert.Equal(["architectures", "model_type", "torch_dtype"], copy.IgnoredFields.Order());
            Assert.Contains("\"mup\": false", copy.Config.ToJson(), StringComparison.Ordinal);
        }

        Edit("hf/config.json", new JsonObject { ["mup"] = true });
        Refused("mup is true", "hf");
    }

    [Fact]
    public void OldNamesAndNoOthersInSettings()
    {
        ModelConfig old = ModelConfig.Parse(
            """{"n_embd": 48, "n_mlp": 96, "vocab_size": 29, "d_pos_emb": 4, "cat_pos_emb": true}""",
            "old",
            isStored: true
        );
        Assert.Equal((48, 96), (old.DModel, old.DMlp));

        // A field without effect would be a setting that is not followed.
        Assert.Contains(
            "'pfrac', 'n_embd'",
            Assert.Throws<BadInputException>(() => ModelConfig.Parse("""{"pfrac": 0.5, "n_embd": 64}""", "settings")).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("module.{0}", "module.")]
    [InlineData("_orig_mod.{0}", "_orig_mod.")]
    [InlineData("module._orig_mod.{0}", "_orig_mod.", "module.")]
    [InlineData("_orig_mod.module.{0}", "_orig_mod.", "module.")]
    [InlineData("module.circuit_model._orig_mod.{0}", "_orig_mod.", "module.")]
    [InlineData("circuit_model.{0}")]
    [InlineData("compiled layers", "_orig_mod.")]
    public void PrefixesOfParallelAndCompiledModelsAreLeftOut(string form, params string[] prefixes)
    {
        using StoredModel official = StoredModel.Open(Fixture("a_ln_tied_gelu"));
        TensorToWrite[] tensors = [.. Tensors(official).Select(tensor => tensor with { Name = Wrapped(tensor.Name) })];
        WriteFolder(official.Config, tensors);

        using StoredModel wrapped = StoredModel.Open(_folder["written"]);
        Assert.Equal(prefixes, wrapped.WrapperPrefixes);
        Assert.Empty(official.WrapperPrefixes);
        SameWeights(official, wrapped);

        WriteFolder(official.Config, [.. tensors, tensors[0] with { Name = "module.module." + Tensors(official)[0].Name }]);
        Refused("transformer.wte.weight twice", "written");

        string Wrapped(string name) =>
            form != "compiled layers"
                ? string.Format(System.Globalization.CultureInfo.InvariantCulture, form, name)
                : name.Replace("transformer.h.1.", "transformer.h.1._orig_mod.", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("transformer.wte.weight")]
    [InlineData("lm_head.weight")]
    public void ATiedPairMayBeStoredOnceUnderEitherName(string kept)
    {
        using StoredModel official = StoredModel.Open(Fixture("a_ln_tied_gelu"));
        TensorToWrite[] tensors =
        [
            .. Tensors(official).Select(tensor => tensor.Name == "transformer.wte.weight" ? tensor with { Name = kept } : tensor),
        ];
        WriteFolder(official.Config, tensors);
        using (StoredModel once = StoredModel.Open(_folder["written"]))
        {
            SameWeights(official, once);
        }

        WriteFolder(official.Config, [.. tensors.Where(tensor => tensor.Name != kept)]);
        Refused("lacks transformer.wte.weight", "written");

        // Without tying there is no stand-in.
        WriteFolder(official.Config with { TiedUnembed = false }, tensors);
        Refused($"lacks {(kept == "lm_head.weight" ? "transformer.wte.weight" : "lm_head.weight")}", "written");
    }

    private static string Fixture(string name) => Path.Combine(OfficialFixture.Root, "forward", name);

    private static List<TensorToWrite> Tensors(StoredModel model) =>
        [
            .. ParameterSpec
                .ListFor(model.Config)
                .OrderBy(spec => spec.Name != "transformer.wte.weight")
                .Select(spec => TensorToWrite.Of(spec.Name, spec.Shape, () => model.Values(spec).ToArray())),
        ];

    private static void SameWeights(StoredModel expected, StoredModel actual)
    {
        foreach (ParameterSpec spec in ParameterSpec.ListFor(expected.Config))
        {
            Comparison.SameBits(expected.Values(spec), actual.Values(spec), spec.Name);
        }
    }

    /// <summary>A fixture's folder with further fields; returns the fields it had.</summary>
    private JsonObject Release(string fixture, string fields = RealFields)
    {
        File.Copy(Path.Combine(Fixture(fixture), "final_model.pt"), _folder["release/final_model.pt"], overwrite: true);
        File.Copy(Path.Combine(Fixture(fixture), "beeg_config.json"), _folder["release/beeg_config.json"], overwrite: true);
        var plain = (JsonObject)JsonNode.Parse(File.ReadAllText(_folder["release/beeg_config.json"]))!;
        Edit("release/beeg_config.json", JsonNode.Parse(fields)!.AsObject());
        return plain;
    }

    private void Edit(string path, JsonObject fields)
    {
        var config = (JsonObject)JsonNode.Parse(File.ReadAllText(_folder[path]))!;
        foreach ((string name, JsonNode? value) in fields)
        {
            config[name] = value?.DeepClone();
        }

        File.WriteAllText(_folder[path], config.ToJsonString());
    }

    private void WriteFolder(ModelConfig config, IReadOnlyList<TensorToWrite> tensors)
    {
        AtomicFile.WriteText(_folder["written/config.json"], config.ToJson());
        Safetensors.Write(_folder["written/model.safetensors"], tensors, new Dictionary<string, string>());
    }

    private void Refused(string expected, string folder) =>
        Assert.Contains(
            expected,
            Assert.Throws<BadInputException>(() => StoredModel.Open(_folder[folder])).Message,
            StringComparison.Ordinal
        );
}
