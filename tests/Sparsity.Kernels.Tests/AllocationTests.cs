using Sparsity.Core.Runs;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Kernels.Tests;

public sealed class AllocationTests
{
    [Theory]
    [InlineData(1)] // one thread does all the work: the counter sees everything
    [InlineData(2)]
    public void ATrainingStepAllocatesNothing(int threads)
    {
        using var engine = new CpuEngine(threads);
        using var trainer = new Trainer(engine, TinyModels.Config, TinyModels.Training);
        trainer.Initialise();
        int[] tokens = [.. Enumerable.Range(0, 36).Select(i => i * 7 % 29)];
        for (int step = 0; step < 35; step++)
        {
            trainer.Step(step, tokens);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int step = 35; step <= 40; step++)
        {
            trainer.Step(step, tokens);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
