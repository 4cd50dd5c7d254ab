using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Tensors;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Storage;

public sealed class StoredModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string, ModelFolderKind> Conversions()
    {
        var data = new TheoryData<string, ModelFolderKind>();
        foreach (string path in Directory.GetDirectories(Path.Combine(OfficialFixture.Root, "forward")).Order(StringComparer.Ordinal))
        {
            // The replication cannot hold them all (ReplicationModelTests), and packing rounds (PackedModelTests).
            foreach (
                ModelFolderKind kind in Enum.GetValues<ModelFolderKind>().Except([ModelFolderKind.Replication, ModelFolderKind.Packed])
            )
            {
                data.Add(Path.GetFileName(path), kind);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Conversions))]
    public void EveryKindOfFolderReadsBackBitForBit(string folder, ModelFolderKind kind)
    {
        using StoredModel official = StoredModel.Open(Path.Combine(OfficialFixture.Root, "forward", folder));
        official.Save(_folder.Path, kind);
        using StoredModel copy = StoredModel.Open(_folder.Path);

        Assert.Equal(official.Config, copy.Config);
        foreach (ParameterSpec spec in ParameterSpec.ListFor(official.Config))
        {
            Comparison.SameBits(official.Values(spec), copy.Values(spec), spec.Name);
        }

        string weights = Path.Combine(_folder.Path, kind == ModelFolderKind.Official ? "final_model.pt" : "model.safetensors");
        byte[] first = File.ReadAllBytes(weights);
        official.Save(_folder.Path, kind);
        Assert.Equal(first, File.ReadAllBytes(weights));
    }

    [Fact]
    public void NamesOfAHuggingFaceReleaseHaveAPrefixAndItsConfigurationOtherFields()
    {
        using StoredModel official = StoredModel.Open(Path.Combine(OfficialFixture.Root, "forward", "a_ln_tied_gelu"));
        official.Save(_folder.Path, ModelFolderKind.HuggingFace);
        using (TensorFile file = Safetensors.Open(_folder["model.safetensors"]))
        {
            Assert.All(file.Tensors, tensor => Assert.StartsWith("circuit_model.", tensor.Name, StringComparison.Ordinal));
            Assert.Contains("circuit_model.transformer.h.1.mlp.c_fc.weight", file.ByName.Keys);
        }

        string config = _folder["config.json"];
        File.WriteAllText(
            config,
            File.ReadAllText(config)
                .Replace("\"model_type\"", "\"transformers_version\": \"4.0\", \"model_type\"", StringComparison.Ordinal)
        );
        using (StoredModel copy = StoredModel.Open(_folder.Path))
        {
            Assert.Equal(["architectures", "transformers_version", "model_type"], copy.IgnoredFields);
            Assert.Equal(official.Config, copy.Config);
        }

        File.WriteAllText(config, """{"n_layers": 2}""");
        Assert.Contains(
            "n_layers",
            Assert.Throws<BadInputException>(() => StoredModel.Open(_folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    /// <summary>People keep the weights of either configuration in any of the usual files, and in several.</summary>
    [Theory]
    [InlineData("config.json", "final_model.pt")]
    [InlineData("config.json", "pytorch_model.bin")]
    [InlineData("beeg_config.json", "model.safetensors")]
    [InlineData("beeg_config.json", "pytorch_model.bin")]
    [InlineData("config.json", "model.safetensors.index.json")]
    [InlineData("beeg_config.json", "model.safetensors.index.json")]
    public void WeightsMayBeInAnyOfTheUsualFiles(string configName, string weightsName)
    {
        using StoredModel official = StoredModel.Open(Path.Combine(OfficialFixture.Root, "forward", "c_rms_afrac8_bigram"));
        Put(official, configName, weightsName, "");

        Assert.True(StoredModel.IsIn(_folder.Path));
        using StoredModel copy = StoredModel.Open(_folder.Path);
        Assert.Equal(official.Fingerprint(), copy.Fingerprint());
    }

    [Fact]
    public void OfSeveralFilesEachHasWhatTheIndexSays()
    {
        using StoredModel official = StoredModel.Open(Path.Combine(OfficialFixture.Root, "forward", "a_ln_tied_gelu"));
        string index = _folder["model.safetensors.index.json"];
        Put(official, "config.json", Path.GetFileName(index), "");
        string right = File.ReadAllText(index);

        foreach (
            (string from, string to, string expected) in new[]
            {
                ("part-1.safetensors", "part-9.safetensors", "part-9.safetensors"),
                ("part-1.safetensors", "../part-1.safetensors", "no file name"),
                ("weight_map", "weights", "no weight_map"),
                ("transformer.ln_f.bias", "transformer.ln_f.other", "otherwise than"),
                ("\"part-1.safetensors\"", "5", "no file name"),
            }
        )
        {
            File.WriteAllText(index, right.Replace(from, to, StringComparison.Ordinal));
            Refused(expected, () => StoredModel.Open(_folder.Path).Dispose());
        }

        File.Delete(index);
        Refused("but no weights; expected model.safetensors", () => StoredModel.Open(_folder.Path).Dispose());
        Assert.False(StoredModel.IsIn(_folder.Path));
    }

    [Theory]
    [InlineData("model.")]
    [InlineData("module.model._orig_mod.")]
    [InlineData("net.gpt.")]
    public void APrefixOfEveryNameIsLeftOut(string prefix)
    {
        using StoredModel official = StoredModel.Open(Path.Combine(OfficialFixture.Root, "forward", "a_ln_tied_gelu"));
        Put(official, "config.json", "model.safetensors", prefix);

        using StoredModel copy = StoredModel.Open(_folder.Path);
        Assert.Equal(official.Fingerprint(), copy.Fingerprint());
        Assert.NotEmpty(copy.WrapperPrefixes);
    }

    /// <summary>Some programs write every number with a point; another value is no whole number.</summary>
    [Fact]
    public void WholeNumbersMayBeWrittenWithAPoint()
    {
        string json = TinyModels.Config.ToJson();
        AtomicFile.WriteText(
            _folder["config.json"],
            json.Replace("\"n_layer\": 2", "\"n_layer\": 2.0", StringComparison.Ordinal)
                .Replace("\"d_model\": 16", "\"d_model\": 1.6e1", StringComparison.Ordinal)
        );
        Assert.NotEqual(json, File.ReadAllText(_folder["config.json"]));
        Assert.Equal(TinyModels.Config, new RunFolder(_folder.Path).ReadConfig());

        foreach (
            (string from, string to, string expected) in new[]
            {
                ("\"n_layer\": 2", "\"n_layer\": 2.5", "n_layer: must be a whole number"),
                ("\"n_layer\": 2", "\"n_layer\": 1e10", "n_layer: must be a whole number"),
                ("\"n_layer\": 2", "\"n_layer\": \"2\"", "n_layer: must be a whole number"),
                ("\"rms_norm\": true", "\"rms_norm\": 1", "rms_norm: must be true or false"),
                ("\"dropout\": 0", "\"dropout\": \"0\"", "dropout: must be a number"),
            }
        )
        {
            AtomicFile.WriteText(_folder["config.json"], json.Replace(from, to, StringComparison.Ordinal));
            Refused(expected, () => new RunFolder(_folder.Path).ReadConfig());
        }
    }

    /// <summary>What the programs write for every model is no news; what may mean something is.</summary>
    [Fact]
    public void FieldsThatMayMeanSomethingAreNamed()
    {
        using StoredModel official = StoredModel.Open(Path.Combine(OfficialFixture.Root, "forward", "a_ln_tied_gelu"));
        official.Save(_folder.Path, ModelFolderKind.HuggingFace);
        string config = File.ReadAllText(_folder["config.json"]);
        File.WriteAllText(
            _folder["config.json"],
            config.Replace(
                "\"model_type\"",
                "\"torch_dtype\": \"float32\", \"layer_norm_eps\": 1e-3, \"model_type\"",
                StringComparison.Ordinal
            )
        );

        using StoredModel copy = StoredModel.Open(_folder.Path);
        Assert.Equal(["layer_norm_eps"], copy.UnknownFields);
    }

    private void Put(StoredModel model, string configName, string weightsName, string prefix)
    {
        AtomicFile.WriteText(_folder[configName], model.Config.ForOfficialCode().ToJson());
        List<TensorToWrite> tensors =
        [
            .. ParameterSpec
                .ListFor(model.Config)
                .Select(spec => TensorToWrite.Of(prefix + spec.Name, spec.Shape, () => model.Values(spec).ToArray())),
        ];
        var metadata = new Dictionary<string, string> { ["format"] = "pt" };
        switch (weightsName)
        {
            case "model.safetensors":
                Safetensors.Write(_folder[weightsName], tensors, metadata);
                break;
            case "model.safetensors.index.json":
                Safetensors.Write(_folder["part-1.safetensors"], [.. tensors.Where((_, i) => i % 3 != 0)], metadata);
                Safetensors.Write(_folder["part-2.safetensors"], [.. tensors.Where((_, i) => i % 3 == 0)], metadata);
                IEnumerable<string> map = tensors.Select((tensor, i) => $"\"{tensor.Name}\": \"part-{(i % 3 != 0 ? 1 : 2)}.safetensors\"");
                File.WriteAllText(
                    _folder[weightsName],
                    $$"""{"metadata": {"total_size": 1}, "weight_map": { {{string.Join(", ", map)}} } }"""
                );
                break;
            default:
                TorchFile.Write(_folder[weightsName], tensors);
                break;
        }
    }

    [Fact]
    public void AFolderWithoutAModelIsNamed() =>
        Refused("holds no model; expected config.json or beeg_config.json", () => StoredModel.Open(_folder.Path).Dispose());

    [Fact]
    public void MissingUnknownAndMisshapenTensorsAreNamed()
    {
        ModelConfig config = TinyModels.Config;
        ParameterSpec[] specs = [.. ParameterSpec.ListFor(config)];
        AtomicFile.WriteText(_folder["config.json"], config.ToJson());

        Refused(
            "lacks transformer.h.1.attn.c_attn.bias, transformer.ln_f.weight, which",
            Write(specs.Where(spec => spec.Name is not ("transformer.ln_f.weight" or "transformer.h.1.attn.c_attn.bias")))
        );
        Refused(
            "has extra, transformer.h.2.ln_1.weight, which",
            Write([.. specs, new("extra", [1]), new("transformer.h.2.ln_1.weight", [16])])
        );
        Refused(
            "transformer.wte.weight has shape [16, 29], but the configuration asks for [29, 16]",
            Write(specs.Select(spec => spec.Name == "transformer.wte.weight" ? spec with { Shape = [16, 29] } : spec))
        );
        Refused("lm_head.weight is I32, but must be floating-point", Write(specs, integer: "lm_head.weight"));
        Refused("and 10 more", Write(specs.Take(specs.Length - 19)));

        // What may be there, or not.
        Write([.. specs.Where(spec => spec.Name != "final_logits_bias"), new("transformer.h.0.attn.bias", [1, 1, 20, 20])])();

        Action Write(IEnumerable<ParameterSpec> written, string? integer = null)
        {
            Safetensors.Write(
                _folder["model.safetensors"],
                [
                    .. written.Select(spec =>
                        spec.Name == integer
                            ? TensorToWrite.Of(spec.Name, spec.Shape, () => new int[spec.Shape.Aggregate(1, (a, b) => a * b)])
                            : TensorToWrite.Of(spec.Name, spec.Shape, () => new float[spec.Shape.Aggregate(1, (a, b) => a * b)])
                    ),
                ],
                new Dictionary<string, string>()
            );
            return () => StoredModel.Open(_folder.Path).Dispose();
        }
    }

    [Fact]
    public void ATiedUnembeddingMustBeTheEmbedding()
    {
        ModelConfig config = (TinyModels.Config with { TiedUnembed = true }).Validated();
        AtomicFile.WriteText(_folder["config.json"], config.ToJson());
        foreach (float other in new[] { 1f, 2f })
        {
            Safetensors.Write(
                _folder["model.safetensors"],
                [
                    .. ParameterSpec
                        .ListFor(config)
                        .Select(spec => TensorToWrite.Of(spec.Name, spec.Shape, () => [.. Enumerable.Repeat(1f, spec.Length)])),
                    TensorToWrite.Of("lm_head.weight", [29, 16], () => [.. Enumerable.Repeat(other, 29 * 16)]),
                ],
                new Dictionary<string, string>()
            );
            if (other == 1)
            {
                StoredModel.Open(_folder.Path).Dispose();
            }
            else
            {
                Refused("lm_head.weight differs from transformer.wte.weight", () => StoredModel.Open(_folder.Path));
            }
        }
    }

    private static void Refused(string expected, Action open) =>
        Assert.Contains(expected, Assert.Throws<BadInputException>(open).Message, StringComparison.Ordinal);
}
