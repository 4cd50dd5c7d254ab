using System.Text.Json;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Official;

/// <summary>Training step by step as the official script does it: losses, schedules, weights and their support, Adam's moments.</summary>
[Trait("Category", "OfficialParity")]
public class TrainingParityTests
{
    /// <summary>The fixtures' own float32 and float64 runs agree to 6e-7 at every step.</summary>
    private const double LossTolerance = 2e-5;

    public static TheoryData<string, string> Folders => Engines.With(OfficialFolders.Of("train"));

    [Theory]
    [MemberData(nameof(Folders))]
    public void EveryStepFollowsTheOfficialScript(string engineName, string folder)
    {
        OfficialFixture fixture = OfficialFolders.Open(folder);
        ModelConfig model = ModelConfig.Parse(fixture.Meta.GetProperty("config").GetRawText(), folder);
        TrainingConfig training = OfficialSettings.Read(fixture.Meta, model);
        using IComputeEngine engine = Engines.Create(engineName);
        using var trainer = new Trainer(engine, model, training);
        foreach (
            Parameter parameter in trainer.Parameters.All.Where(parameter =>
                !parameter.Spec.IsBuffer || fixture.Contains("init/" + parameter.Spec.Name)
            )
        )
        {
            engine.Write(parameter.Value, fixture.Floats("init/" + parameter.Spec.Name));
        }

        trainer.Sparsity.ApplyAtStart();
        var compared = new HashSet<string>(
            fixture.TensorNames.Where(name => name == "tokens" || name.StartsWith("init/", StringComparison.Ordinal))
        );
        RequireWeights(fixture, "start/", trainer, compared);
        int[] tokens = fixture.Integers("tokens");
        int batchTokens = training.BatchSequences * training.ContextTokens;
        JsonElement log = fixture.Meta.GetProperty("log");
        Assert.Equal(training.LastStep() + 1, log.GetArrayLength());
        for (int step = 0; step < log.GetArrayLength(); step++)
        {
            JsonElement expected = log[step];
            Assert.Equal(expected.GetProperty("lr").GetDouble(), trainer.Sparsity.Schedule.LearningRate(step), 1e-12);
            RequireBudget(expected, trainer, step);
            (double loss, double rms) = trainer.Step(step, tokens.AsSpan(step * batchTokens, batchTokens));
            Assert.True(
                Math.Abs(expected.GetProperty("loss").GetDouble() - loss) <= LossTolerance,
                $"{folder}, step {step}: loss {loss}, expected {expected.GetProperty("loss")}."
            );
            Assert.Equal(expected.GetProperty("grad_rms").GetDouble(), rms, 1e-5 * rms);
            foreach (JsonProperty count in expected.GetProperty("nnz").EnumerateObject())
            {
                if (trainer.Parameters[count.Name] is { Spec.Shape.Count: 2 } parameter)
                {
                    // Vectors are never zeroed; the gradient of the keys' bias is zero but for rounding, so that its support says nothing.
                    Assert.Equal((step, count.Name, count.Value.GetInt32()), (step, count.Name, engine.CountNonzero(parameter.Value)));
                }
            }

            RequireWeights(fixture, $"after_step_{step}/", trainer, compared);
        }

        RequireWeights(fixture, "final/", trainer, compared);
        foreach (AdamMoments moments in trainer.Optimizer.Moments)
        {
            Require(fixture, "adam_m/" + moments.Parameter.Spec.Name, engine, moments.First, compared);
            Require(fixture, "adam_v/" + moments.Parameter.Spec.Name, engine, moments.Second, compared);
        }

        Assert.Empty(fixture.TensorNames.Except(compared));
    }

    /// <summary>
    /// The nonzero budget, and what it makes of each parameter: k entries of those the script selects, all of the others.
    /// </summary>
    private static void RequireBudget(JsonElement expected, Trainer trainer, int step)
    {
        if (expected.GetProperty("pfrac").ValueKind == JsonValueKind.Number)
        {
            Assert.Equal(expected.GetProperty("pfrac").GetDouble(), trainer.Sparsity.Schedule.Pfrac(step), 1e-12);
        }

        foreach (JsonProperty k in expected.GetProperty("k").EnumerateObject())
        {
            ParameterSpec spec = trainer.Parameters[k.Name].Spec;
            int kept = k.Value.ValueKind == JsonValueKind.Null ? spec.Length : k.Value.GetInt32();
            Assert.Equal((step, k.Name, kept), (step, k.Name, trainer.Sparsity.Kept(spec, step)));
        }
    }

    private static void RequireWeights(OfficialFixture fixture, string prefix, Trainer trainer, HashSet<string> compared)
    {
        foreach (Parameter parameter in trainer.Parameters.All)
        {
            Require(fixture, prefix + parameter.Spec.Name, trainer.Parameters.Engine, parameter.Value, compared);
        }
    }

    /// <summary>
    /// Values within the fixture's tolerance, and of matrices the same support; nothing where the fixture has no such tensor.
    /// </summary>
    private static void Require(OfficialFixture fixture, string name, IComputeEngine engine, WeightTensor tensor, HashSet<string> compared)
    {
        if (!fixture.Contains(name))
        {
            return;
        }

        compared.Add(name);
        var actual = new float[tensor.Length];
        engine.Read(tensor, actual);
        fixture.RequireClose(name, actual);
        if (tensor.Rows > 1)
        {
            float[] expected = fixture.Floats(name);
            int other = Enumerable.Range(0, actual.Length).FirstOrDefault(i => (expected[i] == 0) != (actual[i] == 0), -1);
            Assert.True(
                other < 0,
                $"{name}: entry {other} is {(other < 0 ? 0 : actual[other])}, expected {(other < 0 ? 0 : expected[other])}: another "
                    + $"support."
            );
        }
    }
}
