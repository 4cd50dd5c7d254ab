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
            foreach (ModelFolderKind kind in Enum.GetValues<ModelFolderKind>().Except([ModelFolderKind.Replication])) // which cannot hold them all: ReplicationModelTests
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
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"model_type\"", "\"transformers_version\": \"4.0\", \"model_type\"", StringComparison.Ordinal));
        using (StoredModel copy = StoredModel.Open(_folder.Path))
        {
            Assert.Equal(["architectures", "transformers_version", "model_type"], copy.IgnoredFields);
            Assert.Equal(official.Config, copy.Config);
        }

        File.WriteAllText(config, """{"n_layers": 2}""");
        Assert.Contains("n_layers", Assert.Throws<BadInputException>(() => StoredModel.Open(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MissingUnknownAndMisshapenTensorsAreNamed()
    {
        ModelConfig config = TinyModels.Config;
        ParameterSpec[] specs = [.. ParameterSpec.ListFor(config)];
        AtomicFile.WriteText(_folder["config.json"], config.ToJson());

        Refused("lacks transformer.h.1.attn.c_attn.bias, transformer.ln_f.weight, which", Write(specs.Where(spec => spec.Name is not ("transformer.ln_f.weight" or "transformer.h.1.attn.c_attn.bias"))));
        Refused("has extra, transformer.h.2.ln_1.weight, which", Write([.. specs, new("extra", [1]), new("transformer.h.2.ln_1.weight", [16])]));
        Refused("transformer.wte.weight has shape [16, 29], but the configuration asks for [29, 16]", Write(specs.Select(spec => spec.Name == "transformer.wte.weight" ? spec with { Shape = [16, 29] } : spec)));
        Refused("lm_head.weight is I32, but must be floating-point", Write(specs, integer: "lm_head.weight"));
        Refused("and 10 more", Write(specs.Take(specs.Length - 19)));

        // What may be there, or not.
        Write([.. specs.Where(spec => spec.Name != "final_logits_bias"), new("transformer.h.0.attn.bias", [1, 1, 20, 20])])();

        Action Write(IEnumerable<ParameterSpec> written, string? integer = null)
        {
            Safetensors.Write(
                _folder["model.safetensors"],
                [
                    .. written.Select(spec => spec.Name == integer
                        ? TensorToWrite.Of(spec.Name, spec.Shape, () => new int[spec.Shape.Aggregate(1, (a, b) => a * b)])
                        : TensorToWrite.Of(spec.Name, spec.Shape, () => new float[spec.Shape.Aggregate(1, (a, b) => a * b)])),
                ],
                new Dictionary<string, string>());
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
                    .. ParameterSpec.ListFor(config).Select(spec => TensorToWrite.Of(spec.Name, spec.Shape, () => [.. Enumerable.Repeat(1f, spec.Length)])),
                    TensorToWrite.Of("lm_head.weight", [29, 16], () => [.. Enumerable.Repeat(other, 29 * 16)]),
                ],
                new Dictionary<string, string>());
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

    private static void Refused(string expected, Action open) => Assert.Contains(expected, Assert.Throws<BadInputException>(open).Message, StringComparison.Ordinal);
}
