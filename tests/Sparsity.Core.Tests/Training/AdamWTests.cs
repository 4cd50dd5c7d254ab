using Sparsity.Core.Model;
using Sparsity.Core.Training;
using Sparsity.Kernels.Cpu;
using AdamW = Sparsity.Core.Training.AdamW;

namespace Sparsity.Core.Tests.Training;

public class AdamWTests
{
    /// <summary>The first step moves an entry by lr * g / (|g| + eps), where g is the scaled gradient.</summary>
    [Theory]
    [InlineData(GradientScaling.Clip, 0.5, 0.5)]
    [InlineData(GradientScaling.Clip, 5, 2)]
    [InlineData(GradientScaling.None, 0.5, 2)]
    [InlineData(GradientScaling.Normalize, 0.5, 2 / 2.00001)]
    public void TheGradientIsScaledAsAskedFor(GradientScaling scaling, double clip, double scaled)
    {
        const double Rate = 0.01;
        using var engine = new CpuEngine(1);
        using ModelParameters parameters = TinyModels.Random(engine, TinyModels.Config, 1, isTrained: true);
        Parameter parameter = parameters.All.First(entry => entry.Gradient is not null);
        TrainingConfig config = (
            TinyModels.Training with
            {
                GradientScaling = scaling,
                GradientClipRms = clip,
                Lr = Rate,
                Eps = 1,
                WeightDecay = 0,
                LrWarmupFrac = null,
                LrDecay = false,
                Density = null,
                Pfrac = null,
            }
        ).Resolved(TinyModels.Config);
        using var optimizer = new AdamW(engine, [parameter], config, new Schedule(config, config.LastStep()));
        float[] before = parameters.Read(parameter.Spec.Name);
        engine.Write(parameter.Gradient!, [.. before.Select(_ => 2f)]);
        optimizer.MeasureGradient();
        engine.Fetch(optimizer.GradientRms);
        optimizer.Step(0);
        float[] after = parameters.Read(parameter.Spec.Name);
        Assert.All(before.Zip(after), entry => Assert.Equal(Rate * scaled / (scaled + 1), entry.First - entry.Second, 1e-7));
    }
}
