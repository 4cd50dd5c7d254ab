extern alias checker;

using Sparsity.Core.Model;
using Sparsity.Core.Training;
using checker::Sparsity.Kernels.Gpu;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Gpu.Checker;

public class MemoryEstimateTests
{
    /// <summary>Exactly what is allocated before the first step, and enough for what steps add; nothing more is allocated once every matrix is sparse.</summary>
    [Fact]
    public void TrainingTakesWhatIsEstimated()
    {
        foreach (ModelConfig model in new[] { TinyModels.Config, (TinyModels.Config with { DPosEmb = 4, Afrac = null }).Validated() })
        {
            TrainingConfig training = (TinyModels.Training with { Pfrac = null, Density = 0.12, MinimumAlivePerNeuron = 1 }).Resolved(model);
            using var engine = (GpuEngine)Engines.Create("gpu kernels under the checker");
            using var trainer = new Trainer(engine, model, training);
            var estimate = MemoryEstimate.For(engine, model, training);
            Assert.Equal(estimate.Total - estimate.Workspace, engine.AllocatedBytes);
            trainer.Initialise();
            ushort[] tokens = TinyModels.Tokens(36, 8);
            int[] batch = [.. tokens];
            for (int step = 0; step < 4; step++)
            {
                trainer.Step(training.LastStep() - 4 + step, batch);
            }

            long after = engine.AllocatedBytes;
            trainer.Step(training.LastStep(), batch);
            Assert.Equal(after, engine.AllocatedBytes);
            Assert.InRange(after, estimate.Total - estimate.Workspace, estimate.Total);
        }
    }
}
