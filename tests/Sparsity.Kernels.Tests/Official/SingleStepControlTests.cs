using System.Text.Json;
using System.Text.Json.Nodes;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Kernels.Tests.Official;

/// <summary>What the comparison of single steps must report, and the near tie that it must not.</summary>
[Trait("Category", "OfficialParity")]
public class SingleStepControlTests
{
    private const string Selected = "transformer.h.0.mlp.c_proj.weight";

    /// <summary>Of this repository: whether a fault shows depends on the step, so others are not asked for it.</summary>
    public static TheoryData<string> Folders =>
        [.. Directory.GetDirectories(Path.Combine(OfficialFixture.Root, "single")).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Folders))]
    public void AdamsCountOffByOneIsReported(string folder) =>
        EachStep(
            folder,
            step =>
            {
                StepValues wrong = Update(step, count: step.Number + 2);
                Assert.Contains(Failures(step, wrong), name => name.EndsWith("weights after Adam", StringComparison.Ordinal));
                Assert.Contains(Failures(step, wrong), name => name.EndsWith("weights after selection", StringComparison.Ordinal));
                Assert.Empty(Failures(step, Update(step, count: step.Number + 1)));
            }
        );

    [Theory]
    [MemberData(nameof(Folders))]
    public void OneEntryTooManyOrTooFewIsReported(string folder) =>
        EachStep(
            folder,
            step =>
            {
                string[] expected =
                [
                    .. ParameterSpec
                        .ListFor(step.Model)
                        .Where(spec =>
                            spec.Sparsity != SparsityGroup.Dense && spec.Shape.Count == 2 && Threshold(step.Expected, spec.Name)[0] > 0
                        )
                        .Select(spec => $"step {step.Number}, {spec.Name}, support, in sigma"),
                ];
                Assert.NotEmpty(expected);
                Assert.Equal(expected, Failures(step, Update(step, step.Number + 1, extra: 1)));
                Assert.Equal(expected, Failures(step, Update(step, step.Number + 1, extra: -1)));
            }
        );

    [Theory]
    [MemberData(nameof(Folders))]
    public void WithoutSelectionAndDecayOrWithAnotherGradientItIsReported(string folder) =>
        EachStep(
            folder,
            step =>
            {
                StepValues right = Update(step, step.Number + 1);
                string[] failures = Failures(step, right with { After = right.AfterAdam });
                Assert.Contains($"step {step.Number}, {Selected}, support, in sigma", failures);
                Assert.Contains($"step {step.Number}, {Selected}, weights after selection", failures);

                var gradients = new Dictionary<string, float[]>(right.Gradients)
                {
                    [Selected] = (float[])right.Gradients[Selected].Clone(),
                };
                gradients[Selected][3] = float.NaN;
                Assert.Equal([$"step {step.Number}, {Selected}, gradient"], Failures(step, right with { Gradients = gradients }));
                gradients[Selected][3] =
                    right.Gradients[Selected][3] + (1.1f * (float)step.Fixture.Tolerance(step.Tensor("gradient", Selected)));
                Assert.Equal([$"step {step.Number}, {Selected}, gradient"], Failures(step, right with { Gradients = gradients }));
                Assert.Equal([$"step {step.Number}, loss"], Failures(step, right with { Loss = right.Loss + 1e-5 }));
                StepValues otherRms = right with { GradientRms = right.GradientRms * (1 + 2e-6) };
                Assert.Equal([$"step {step.Number}, RMS of the gradient"], Failures(step, otherRms));
            }
        );

    /// <summary>The smallest entry kept and the largest zeroed change places: a fault, but not where they are as good as equal.</summary>
    [Theory]
    [MemberData(nameof(Folders))]
    public void OnlyANearTieMayBeDecidedOtherwise(string folder) =>
        EachStep(
            folder,
            step =>
            {
                StepValues right = Update(step, step.Number + 1);
                string name = step.Tensor("after_adam", Selected);
                float[] weights = step.Fixture.Floats(name);
                double[] thresholds = Threshold(step.Expected, Selected);
                int kept = Array.FindIndex(weights, weight => Math.Abs(weight) == (float)thresholds[0]);
                int zeroed = Array.FindIndex(weights, weight => Math.Abs(weight) == (float)thresholds[1]);
                var after = (float[])right.After[Selected].Clone();
                (after[zeroed], after[kept]) = (right.AfterAdam[Selected][zeroed], 0);
                StepValues other = right with { After = new Dictionary<string, float[]>(right.After) { [Selected] = after } };
                Assert.Equal([$"step {step.Number}, {Selected}, support, in sigma"], Failures(step, other));

                // The same step of a fixture in which the two are neighbours among floats.
                float almost = MathF.CopySign(MathF.BitDecrement((float)thresholds[0]), weights[zeroed]);
                OfficialFixture edited = WithEntry(folder, step.Number, name, zeroed, almost);
                OfficialStep tied = OfficialStep.AllOf(edited).Single(candidate => candidate.Number == step.Number);
                var afterAdam = (float[])right.AfterAdam[Selected].Clone();
                afterAdam[zeroed] = almost;
                after[zeroed] = almost * (float)(1 - (step.Training.WeightDecay * right.LearningRate));
                Assert.Empty(
                    Failures(tied, other with { AfterAdam = new Dictionary<string, float[]>(right.AfterAdam) { [Selected] = afterAdam } })
                );
            }
        );

    private static void EachStep(string folder, Action<OfficialStep> check)
    {
        foreach (OfficialStep step in OfficialStep.AllOf(OfficialFolders.Open(folder)))
        {
            check(step);
        }
    }

    private static string[] Failures(OfficialStep step, StepValues values) =>
        [.. OfficialStepComparison.Compare(step, values).Where(result => !result.Ok).Select(result => result.Name)];

    private static double[] Threshold(JsonElement expected, string parameter) =>
        [.. expected.GetProperty("thresholds").GetProperty(parameter).EnumerateArray().Select(value => value.GetDouble())];

    /// <summary>The step with the same gradients and another update.</summary>
    /// <param name="step">From its official state.</param>
    /// <param name="count">Adam's; the step's number plus one is right.</param>
    /// <param name="extra">More entries to keep than there should be.</param>
    private static StepValues Update(OfficialStep step, int count, int extra = 0)
    {
        using var engine = new CpuEngine(1);
        StepValues right = step.Run(engine);
        using var trainer = new Trainer(engine, step.Model, step.Training);
        step.Restore(trainer.Parameters, trainer.Optimizer.Moments);
        TrainingConfig training = step.Training;
        var scale = (float)(1 / (right.GradientRms + 1e-5));
        var afterAdam = new Dictionary<string, float[]>();
        var after = new Dictionary<string, float[]>();
        foreach (AdamMoments moments in trainer.Optimizer.Moments)
        {
            (ParameterSpec spec, WeightTensor weights) = (moments.Parameter.Spec, moments.Parameter.Value);
            engine.Write(moments.Parameter.Gradient!, right.Gradients[spec.Name]);
            engine.AdamStep(
                weights,
                moments.Parameter.Gradient!,
                moments.First,
                moments.Second,
                scale,
                (float)right.LearningRate,
                (float)training.AdamBeta1,
                (float)training.AdamBeta2,
                (float)training.Eps,
                count
            );
            afterAdam[spec.Name] = trainer.Parameters.Read(spec.Name);
            if (spec.Sparsity != SparsityGroup.Dense && spec.Shape.Count == 2)
            {
                int keep = Math.Min(spec.Length, right.Kept[spec.Name] + extra);
                engine.KeepLargest(weights, keep, spec.AliveAxis, training.MinimumAlivePerNeuron);
            }

            if (spec.IsDecayed)
            {
                engine.Scale(weights, (float)(1 - (training.WeightDecay * right.LearningRate)));
            }

            after[spec.Name] = trainer.Parameters.Read(spec.Name);
        }

        return right with
        {
            AfterAdam = afterAdam,
            After = after,
        };
    }

    /// <summary>A fixture in which one entry of a tensor, the largest that is zeroed, is another number.</summary>
    private static OfficialFixture WithEntry(string folder, int step, string tensor, int entry, float value)
    {
        string path = Path.Combine(folder, "expected");
        byte[] data = File.ReadAllBytes(path + ".bin");
        JsonNode root = JsonNode.Parse(File.ReadAllBytes(path + ".json"))!;
        BitConverter.TryWriteBytes(data.AsSpan((int)root["tensors"]![tensor]!["offset"]! + (entry * sizeof(float))), value);
        JsonNode expected = root["meta"]!["steps"]!.AsArray().Single(node => (int)node!["step"]! == step)!;
        expected["thresholds"]![Selected]![1] = Math.Abs(value);
        return new OfficialFixture(path, JsonSerializer.SerializeToUtf8Bytes(root), data);
    }
}
