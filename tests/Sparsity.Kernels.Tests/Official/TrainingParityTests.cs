using System.Text.Json.Nodes;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Official;

[Trait("Category", "OfficialParity")]
public class TrainingParityTests
{
    public static TheoryData<string> Folders() => [.. Directory.GetDirectories(Path.Combine(OfficialFixture.Root, "train")).Select(path => Path.GetFileName(path)!).Order()];

    [Theory]
    [MemberData(nameof(Folders))]
    public void SixtyOneStepsFollowTheOfficialScript(string folder)
    {
        var fixture = new OfficialFixture(Path.Combine(OfficialFixture.Root, "train", folder, "expected.json"));
        ModelConfig model = ModelConfig.Parse(fixture.Meta["config"]!.ToJsonString(), folder);
        JsonNode h = fixture.Meta["hparams"]!;
        int batch = (int)fixture.Meta["batch"]!;
        int context = (int)fixture.Meta["n_ctx"]!;
        int lastStep = (int)fixture.Meta["total_steps"]!;
        TrainingConfig training = new TrainingConfig
        {
            TotalTokens = (long)lastStep * batch * context,
            BatchSequences = batch,
            ContextTokens = context,
            Lr = (double)h["lr"]!,
            WeightDecay = (double)h["weight_decay"]!,
            AdamBeta1 = (double)h["adam_beta1"]!,
            AdamBeta2 = (double)h["adam_beta2"]!,
            Eps = (double)h["eps"]!,
            LrWarmupFrac = (double?)h["lr_warmup_frac"],
            Pfrac = (double)h["pfrac"]!,
            PfracAnneal = (bool)h["pfrac_anneal"]!,
            PfracAnnealStartFrac = (double)h["pfrac_anneal_start_frac"]!,
            PfracAnnealStopFrac = (double)h["pfrac_anneal_stop_frac"]!,
            MinimumAlivePerNeuron = (int)h["minimum_alive_per_neuron"]!,
            ExpansionFactor = (double)h["expansion_factor"]!,
            ExpansionFactorMlp = (double)h["expansion_factor_mlp"]!,
            SparseBiases = false,
            PositionEmbeddings = PositionEmbeddings.Learned,
        }.Resolved(model);

        using var engine = new CpuEngine(2);
        using var trainer = new Trainer(engine, model, training);
        foreach (Parameter parameter in trainer.Parameters.All.Where(parameter => fixture.Has("init/" + parameter.Spec.Name)))
        {
            engine.Write(parameter.Value, fixture.Floats("init/" + parameter.Spec.Name));
        }

        int[] tokens = fixture.Integers("tokens");
        JsonArray log = fixture.Meta["log"]!.AsArray();
        for (int step = 0; step <= lastStep; step++)
        {
            Assert.Equal((double)log[step]!["lr"]!, trainer.Sparsity.Schedule.LearningRate(step), 1e-12);
            Assert.Equal((double)log[step]!["pfrac"]!, trainer.Sparsity.Schedule.Pfrac(step), 1e-12);
            (double loss, double rms) = trainer.Step(step, tokens.AsSpan(step * batch * context, batch * context));
            Assert.Equal((double)log[step]!["loss"]!, loss, 2e-5);
            Assert.Equal((double)log[step]!["grad_rms"]!, rms, 1e-5 * rms);
            foreach (Parameter parameter in trainer.Parameters.All.Where(parameter => log[step]!["nnz"]![parameter.Spec.Name] is not null))
            {
                Assert.Equal((parameter.Spec.Name, (int)log[step]!["nnz"]![parameter.Spec.Name]!), (parameter.Spec.Name, engine.CountNonzero(parameter.Value)));
                AssertMatches(fixture, $"after_step_{step}/{parameter.Spec.Name}", engine, parameter.Value);
            }
        }

        foreach (AdamMoments moments in trainer.Optimizer.Moments)
        {
            AssertMatches(fixture, "final/" + moments.Parameter.Spec.Name, engine, moments.Parameter.Value);
            AssertMatches(fixture, "adam_m/" + moments.Parameter.Spec.Name, engine, moments.First);
            AssertMatches(fixture, "adam_v/" + moments.Parameter.Spec.Name, engine, moments.Second);
        }
    }

    /// <summary>Equal support, and values within the fixture's tolerance; nothing where the fixture has no such tensor.</summary>
    private static void AssertMatches(OfficialFixture fixture, string name, IComputeEngine engine, WeightTensor tensor)
    {
        if (!fixture.Has(name))
        {
            return;
        }

        float[] expected = fixture.Floats(name);
        var actual = new float[expected.Length];
        engine.Read(tensor, actual);
        double tolerance = fixture.Tolerance(name);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(expected[i] == 0 == (actual[i] == 0), $"{name}[{i}]: expected {expected[i]}, actual {actual[i]}: another support");
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance, $"{name}[{i}]: expected {expected[i]}, actual {actual[i]}, tolerance {tolerance}");
        }
    }
}
