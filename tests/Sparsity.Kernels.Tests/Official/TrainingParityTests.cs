using System.Text.Json;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Training;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Official;

[Trait("Category", "OfficialParity")]
public class TrainingParityTests
{
    public static TheoryData<string, string> Folders() =>
        Engines.With([.. Directory.GetDirectories(Path.Combine(OfficialFixture.Root, "train")).Select(path => Path.GetFileName(path)!).Order()]);

    [Theory]
    [MemberData(nameof(Folders))]
    public void SixtyOneStepsFollowTheOfficialScript(string engineName, string folder)
    {
        var fixture = OfficialFixture.Open($"train/{folder}/expected");
        ModelConfig model = ModelConfig.Parse(fixture.Meta.GetProperty("config").GetRawText(), folder);
        JsonElement h = fixture.Meta.GetProperty("hparams");
        int batch = fixture.Meta.GetProperty("batch").GetInt32();
        int context = fixture.Meta.GetProperty("n_ctx").GetInt32();
        int lastStep = fixture.Meta.GetProperty("total_steps").GetInt32();
        TrainingConfig training = new TrainingConfig
        {
            TotalTokens = (long)lastStep * batch * context,
            BatchSequences = batch,
            ContextTokens = context,
            Lr = h.GetProperty("lr").GetDouble(),
            WeightDecay = h.GetProperty("weight_decay").GetDouble(),
            AdamBeta1 = h.GetProperty("adam_beta1").GetDouble(),
            AdamBeta2 = h.GetProperty("adam_beta2").GetDouble(),
            Eps = h.GetProperty("eps").GetDouble(),
            LrWarmupFrac = h.GetProperty("lr_warmup_frac").GetDouble(),
            Pfrac = h.GetProperty("pfrac").GetDouble(),
            PfracAnneal = h.GetProperty("pfrac_anneal").GetBoolean(),
            PfracAnnealStartFrac = h.GetProperty("pfrac_anneal_start_frac").GetDouble(),
            PfracAnnealStopFrac = h.GetProperty("pfrac_anneal_stop_frac").GetDouble(),
            MinimumAlivePerNeuron = h.GetProperty("minimum_alive_per_neuron").GetInt32(),
            ExpansionFactor = h.GetProperty("expansion_factor").GetDouble(),
            ExpansionFactorMlp = h.GetProperty("expansion_factor_mlp").GetDouble(),
            SparseBiases = false,
            PositionEmbeddings = PositionEmbeddings.Learned,
        }.Resolved(model);

        using IComputeEngine engine = Engines.Create(engineName);
        using var trainer = new Trainer(engine, model, training);
        foreach (Parameter parameter in trainer.Parameters.All.Where(parameter => fixture.Contains("init/" + parameter.Spec.Name)))
        {
            engine.Write(parameter.Value, fixture.Floats("init/" + parameter.Spec.Name));
        }

        int[] tokens = fixture.Integers("tokens");
        JsonElement log = fixture.Meta.GetProperty("log");
        for (int step = 0; step <= lastStep; step++)
        {
            Assert.Equal(log[step].GetProperty("lr").GetDouble(), trainer.Sparsity.Schedule.LearningRate(step), 1e-12);
            Assert.Equal(log[step].GetProperty("pfrac").GetDouble(), trainer.Sparsity.Schedule.Pfrac(step), 1e-12);
            (double loss, double rms) = trainer.Step(step, tokens.AsSpan(step * batch * context, batch * context));
            Assert.Equal(log[step].GetProperty("loss").GetDouble(), loss, 2e-5);
            Assert.Equal(log[step].GetProperty("grad_rms").GetDouble(), rms, 1e-5 * rms);
            foreach (JsonProperty nonzero in log[step].GetProperty("nnz").EnumerateObject())
            {
                Parameter parameter = trainer.Parameters[nonzero.Name];
                if (parameter.Spec.Shape.Count == 2)
                {
                    // The official code never zeroes vectors; the gradient of k's bias is zero but for rounding, so its support says nothing.
                    Assert.Equal((nonzero.Name, nonzero.Value.GetInt32()), (nonzero.Name, engine.CountNonzero(parameter.Value)));
                }

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

    /// <summary>Equal support of matrices, and values within the fixture's tolerance; nothing where the fixture has no such tensor.</summary>
    private static void AssertMatches(OfficialFixture fixture, string name, IComputeEngine engine, WeightTensor tensor)
    {
        if (!fixture.Contains(name))
        {
            return;
        }

        float[] expected = fixture.Floats(name);
        var actual = new float[expected.Length];
        engine.Read(tensor, actual);
        double tolerance = fixture.Tolerance(name);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(tensor.Rows == 1 || expected[i] == 0 == (actual[i] == 0), $"{name}[{i}]: expected {expected[i]}, actual {actual[i]}: another support");
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance, $"{name}[{i}]: expected {expected[i]}, actual {actual[i]}, tolerance {tolerance}");
        }
    }
}
