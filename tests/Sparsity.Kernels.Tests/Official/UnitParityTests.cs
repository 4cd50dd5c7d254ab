using System.Text.Json;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Training;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Official;

/// <summary>Single parts of the official code: schedules, initial weights, the choice of weights, ablations of nodes.</summary>
[Trait("Category", "OfficialParity")]
public class UnitParityTests
{
    private static readonly string[] Kinds = ["schedules", "init_stats", "apply_topk", "ablation"];

    public static TheoryData<string> Schedules => [.. FilesOf("schedules")];

    public static TheoryData<string, string> InitialWeights => Engines.With([.. FilesOf("init_stats")]);

    public static TheoryData<string, string> Selections => Engines.With([.. FilesOf("apply_topk")]);

    public static TheoryData<string, string> Ablations => Engines.With([.. FilesOf("ablation")]);

    /// <summary>A file that no test below reads would be numbers nobody compares.</summary>
    [Fact]
    public void EveryFileIsOfAKnownKind()
    {
        foreach (string path in OfficialFolders.UnitFiles)
        {
            bool known = File.Exists(path) && Kinds.Any(kind => Path.GetFileName(path).StartsWith(kind, StringComparison.Ordinal));
            bool paired =
                Path.GetExtension(path) == ".json"
                || (Path.GetExtension(path) == ".bin" && File.Exists(Path.ChangeExtension(path, ".json")));
            Assert.True(known && paired, $"{path}: is of no kind that is understood ({string.Join(", ", Kinds)}).");
        }
    }

    [Theory]
    [MemberData(nameof(Schedules))]
    public void SchedulesAgreeAtEveryStep(string file)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(file));
        foreach (JsonElement entry in document.RootElement.EnumerateArray())
        {
            string name = entry.GetProperty("name").GetString()!;
            TrainingConfig config = OfficialSettings.Read(entry.GetProperty("hparams")).Resolved(new ModelConfig());
            var schedule = new Schedule(config, entry.GetProperty("total_steps").GetInt32());
            Assert.Equal(
                ["step", "lr", "pfrac", "L0frac_weights", "L0frac_embed_and_bias"],
                entry.GetProperty("columns").EnumerateArray().Select(column => column.GetString())
            );
            Assert.NotEmpty(entry.GetProperty("rows").EnumerateArray());
            foreach (JsonElement row in entry.GetProperty("rows").EnumerateArray())
            {
                int step = row[0].GetInt32();
                double[] expected = [.. row.EnumerateArray().Skip(1).Select(number => number.GetDouble())];
                double[] actual =
                [
                    schedule.LearningRate(step),
                    schedule.Pfrac(step),
                    schedule.MatrixFraction(step),
                    schedule.EmbeddingFraction(step),
                ];
                for (int i = 0; i < actual.Length; i++)
                {
                    Assert.True(
                        Math.Abs(expected[i] - actual[i]) <= 1e-12 * Math.Max(1, expected[i]),
                        $"{name}, step {step}, column {i + 1}: {actual[i]}, expected {expected[i]}."
                    );
                }
            }
        }
    }

    /// <summary>Means and deviations of random draws: equal to within five times their own sampling errors, on both sides.</summary>
    [Theory]
    [MemberData(nameof(InitialWeights))]
    public void InitialWeightsHaveTheOfficialDistributions(string engineName, string file)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(file));
        JsonElement stats = document.RootElement;
        int[] embedding = Shape(ParameterNames.Token);
        ModelConfig config = new ModelConfig
        {
            BlockSize = Shape(ParameterNames.Position)[0],
            VocabSize = embedding[0],
            DModel = embedding[1],
            NLayer = stats.EnumerateObject().Count(entry => entry.Name.EndsWith("ln_1.weight", StringComparison.Ordinal)),
            NHead = 1,
            DHeadField = Shape("transformer.h.0.attn.c_attn.weight")[0] / 3,
            DMlpField = Shape("transformer.h.0.mlp.c_fc.weight")[0],
            RmsNorm = !stats.TryGetProperty("transformer.ln_f.bias", out _),
            Bias = stats.TryGetProperty("transformer.h.0.mlp.c_fc.bias", out _),
            TiedUnembed = !stats.TryGetProperty(ParameterNames.Unembedding, out _),
        }.Validated();
        using IComputeEngine engine = Engines.Create(engineName);
        using var parameters = new ModelParameters(engine, config);
        parameters.Initialise(1);
        foreach (JsonProperty entry in stats.EnumerateObject())
        {
            ParameterSpec spec = parameters[entry.Name].Spec;
            Assert.Equal(spec.Shape, Shape(entry.Name));
            double mean = entry.Value.GetProperty("mean").GetDouble();
            double deviation = entry.Value.GetProperty("std").GetDouble();
            if (entry.Name == ParameterNames.Position)
            {
                // The script then sets it to zero, and so does Initialise.
                Assert.Equal(deviation, spec.InitialDeviation, 5 * deviation / Math.Sqrt(2.0 * spec.Length));
                continue;
            }

            double[] values = [.. parameters.Read(entry.Name).Select(value => (double)value)];
            double ownMean = values.Average();
            double own = Math.Sqrt(values.Sum(value => (value - ownMean) * (value - ownMean)) / values.Length);
            Assert.True(
                Math.Abs(own - deviation) <= 5 * deviation * Math.Sqrt(2.0 / 2 / values.Length),
                $"{entry.Name}: deviation {own}, expected {deviation}."
            );
            Assert.True(
                Math.Abs(ownMean - mean) <= 5 * deviation * Math.Sqrt(2.0 / values.Length),
                $"{entry.Name}: mean {ownMean}, expected {mean}."
            );
        }

        int[] Shape(string name) => [.. stats.GetProperty(name).GetProperty("shape").EnumerateArray().Select(size => size.GetInt32())];
    }

    /// <summary>The official apply_topk_, which never zeroes vectors; the budget and every kept entry.</summary>
    [Theory]
    [MemberData(nameof(Selections))]
    public void TheSameWeightsAreKept(string engineName, string file)
    {
        OfficialFixture fixture = OfficialFixture.At(Path.ChangeExtension(file, null));
        using IComputeEngine engine = Engines.Create(engineName);
        int compared = 0;
        foreach (JsonElement settings in fixture.Meta.GetProperty("cases").EnumerateArray())
        {
            string prefix = $"case{settings.GetProperty("case").GetInt32()}/";
            ModelConfig model = ModelConfig.Parse(settings.GetProperty("model").GetRawText(), prefix);
            TrainingConfig training = new TrainingConfig
            {
                ContextTokens = 2,
                Pfrac = settings.GetProperty("final_pfrac").GetDouble(),
                PfracAnnealInitial = settings.GetProperty("pfrac").GetDouble(),
                ExpansionFactor = settings.GetProperty("expansion_factor").GetDouble(),
                ExpansionFactorMlp = settings.GetProperty("expansion_factor_mlp").GetDouble(),
                MinimumAlivePerNeuron = settings.GetProperty("achyuta_mixed_neuronwise_v2").GetBoolean()
                    ? settings.GetProperty("minimum_alive_per_neuron").GetInt32()
                    : 0,
                SparseBiases = false,
                PositionEmbeddings = PositionEmbeddings.Learned,
            }.Resolved(model);
            using var parameters = new ModelParameters(engine, model, _ => true);
            using var sparsity = new WeightSparsity(parameters, training, lastStep: 100);
            foreach (Parameter parameter in parameters.Trained)
            {
                engine.Write(parameter.Value, fixture.Floats(prefix + "before/" + parameter.Spec.Name));
            }

            sparsity.Apply(0);
            foreach (Parameter parameter in parameters.Trained)
            {
                ParameterSpec spec = parameter.Spec;
                JsonElement k = settings.GetProperty("k").GetProperty(spec.Name);
                Assert.Equal(
                    (prefix, spec.Name, k.ValueKind == JsonValueKind.Null ? spec.Length : k.GetInt32()),
                    (prefix, spec.Name, sparsity.Kept(spec, 0))
                );
                float[] before = fixture.Floats(prefix + "before/" + spec.Name);
                byte[] kept = fixture.Bytes(prefix + "kept/" + spec.Name);
                Comparison.SameBits(
                    [.. before.Zip(kept, (value, keep) => keep != 0 ? value : 0)],
                    parameters.Read(spec.Name),
                    $"{engineName}: {prefix}{spec.Name}"
                );
                Assert.Equal(
                    (spec.Name, settings.GetProperty("nnz").GetProperty(spec.Name).GetInt32()),
                    (spec.Name, engine.CountNonzero(parameter.Value))
                );
                compared += 2;
            }
        }

        Assert.Equal(fixture.TensorNames.Count(), compared);
    }

    /// <summary>Nodes frozen at given means: logits, loss, and its derivative with respect to every node's mask.</summary>
    [Theory]
    [MemberData(nameof(Ablations))]
    public void AblationsAgree(string engineName, string file)
    {
        OfficialFixture fixture = OfficialFixture.At(Path.ChangeExtension(file, null));
        string model = fixture.Meta.GetProperty("model").GetString()!;
        string folder = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, model));
        if (!Directory.Exists(folder))
        {
            folder = Path.GetFullPath(Path.Combine(OfficialFixture.Root, "units", model));
        }

        int[] tokens = fixture.Integers("tokens");
        int[] batch = fixture.Shape("tokens");
        using IComputeEngine engine = Engines.Create(engineName);
        using var pass = new OfficialPass(engine, folder, batch);
        var layout = new NodeLayout(pass.Parameters.Config);
        using var gates = new NodeGates(engine, layout, OfAllNodes("mean/"));
        gates.SetMask(OfAllNodes("mask/"));
        pass.AddHook(gates);
        pass.Forward(tokens);
        fixture.RequireClose("logits", pass.Logits());
        fixture.RequireClose("loss", [pass.MeanLoss(OfficialPass.NextTokens(tokens, batch[1]), withGradient: true)]);
        pass.Backward();
        var gradient = new float[layout.Count];
        gates.TakeMaskGradient(gradient);
        for (int i = 0; i < layout.Sites.Count; i++)
        {
            fixture.RequireClose($"maskgrad/{layout.Sites[i]}", gradient[layout.RangeOf(i)]);
        }

        Assert.Equal(3 + (3 * layout.Sites.Count), fixture.TensorNames.Count());

        float[] OfAllNodes(string prefix) => [.. layout.Sites.SelectMany(site => fixture.Floats(prefix + site.Name))];
    }

    private static IEnumerable<string> FilesOf(string kind) =>
        OfficialFolders.UnitFiles.Where(path =>
            Path.GetFileName(path).StartsWith(kind, StringComparison.Ordinal) && Path.GetExtension(path) == ".json"
        );
}
