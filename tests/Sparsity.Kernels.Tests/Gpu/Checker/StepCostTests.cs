extern alias checker;

using checker::ILGPU;
using checker::ILGPU.Runtime;
using checker::Sparsity.Kernels.Gpu;
using Sparsity.Benchmarks;
using Sparsity.Core.Bridges;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;

namespace Sparsity.Kernels.Tests.Gpu.Checker;

/// <summary>
/// What a step costs beside the time of its kernels, as the checker counts it: a device that has run out of work stands still for as long
/// as the host waits, taking memory makes it wait, and every launch takes some microseconds.
/// </summary>
public sealed class StepCostTests : IDisposable
{
    private readonly Context _context = Context.Create(_ => { });
    private readonly Accelerator _accelerator;
    private readonly GpuEngine _engine;

    public StepCostTests()
    {
        _accelerator = _context.Devices[0].CreateAccelerator(_context);
        _engine = Engine(warpSize: 1, rowThreads: 2);
    }

    public void Dispose() => _engine.Dispose();

    /// <summary>
    /// One wait, for the loss and the root mean squares of gradient and weights together. Memory is taken by the first step, and by the
    /// first one that cuts weights; none when lists of nonzeros come into use.
    /// </summary>
    [Fact]
    public void ATrainingStepWaitsOnceAndTakesNoMemory()
    {
        TrainingConfig training = (TinyModels.Training with { Pfrac = null, Density = 0.1, MinimumAlivePerNeuron = 1 }).Resolved(
            TinyModels.Config
        );
        using var trainer = new Trainer(_engine, TinyModels.Config, training);
        trainer.Initialise();
        Require(1, [0, 1, 2], warmUp: 1, step => trainer.Step(step, Batch(step)));
        GpuWeights[] matrices =
        [
            .. trainer
                .Parameters.Trained.Where(parameter => parameter.Spec.Sparsity == SparsityGroup.Matrix)
                .Select(parameter => (GpuWeights)parameter.Value),
        ];
        Require(1, [12, 13], warmUp: 1, step => trainer.Step(step, Batch(step)));
        Assert.All(matrices, matrix => Assert.True(matrix.NonzeroBound < matrix.Length && !matrix.Sparse.IsUseful));
        Require(1, [20, 39, 40], warmUp: 0, step => trainer.Step(step, Batch(step)));
        Assert.All(matrices, matrix => Assert.True(matrix.Sparse.IsUseful));
    }

    /// <summary>
    /// One wait, for all terms of the loss, and the root mean squares of both gradients, of the weights and of every bridge; the first step
    /// also measures residuals.
    /// </summary>
    [Fact]
    public void ABridgeStepWaitsOnceAndTakesNoMemory()
    {
        using ModelParameters dense = TinyModels.Random(_engine, TinyModels.Config, 1);
        using var trainer = new BridgeTrainer(
            new Transformer(dense),
            TinyModels.Config,
            TinyModels.Training,
            new BridgeConfig { KlSparseWeight = 0.5, EncoderFraction = 0.5 }
        );
        trainer.Initialise();
        trainer.Step(0, Batch(0));
        Require(1, [1, 2, 3], warmUp: 1, step => trainer.Step(step, Batch(step)));
    }

    /// <summary>
    /// Two waits: for the logits, from which the host makes the task's loss, and for the gradient of all masks, which the host's own AdamW
    /// takes.
    /// </summary>
    [Fact]
    public void AMaskTrainingStepWaitsTwiceAndTakesNoMemory()
    {
        TokenizedPair[] pairs = [new([3, 4, 5, 6, 7], [3, 9, 5], 11, 12), new([1], [2, 2], 11, 20)];
        var layout = new NodeLayout(TinyModels.Config);
        using ModelParameters parameters = TinyModels.Random(_engine, TinyModels.Config, 4);
        using var masked = new MaskedRunner(new Transformer(parameters), layout, new float[layout.Count], 2, 6);
        var training = new MaskTraining(
            masked,
            new PruningConfig
            {
                Steps = 25,
                BatchPairs = 2,
                MaxTokens = 6,
            },
            1e-3
        );
        training.Step(0, pairs);
        Require(2, [1, 2, 3], warmUp: 0, step => training.Step(step, pairs));
    }

    /// <summary>The sizes of docs/kernels.md at their target density, with the threads that a GPU of 32 in step is given.</summary>
    [Theory]
    [InlineData("S", 181)]
    [InlineData("L", 296)]
    public void ATrainingStepLaunchesAsManyKernelsAsIsSaid(string name, int launches)
    {
        BenchmarkSize size = BenchmarkSize.All.Single(size => size.Name == name);
        _accelerator.OnlyCounts = true;
        using GpuEngine engine = Engine(warpSize: 32, rowThreads: 0);
        using var trainer = new Trainer(engine, size.Model, size.Training(BenchmarkPhase.Sparse));
        var tokens = new int[size.Sequences * BenchmarkSize.Context];
        trainer.Step(0, tokens);
        trainer.Step(1, tokens); // writes the tables of the lists that the first one asked for
        int before = _accelerator.Launches;
        trainer.Step(2, tokens);
        Assert.Equal(launches, _accelerator.Launches - before);
    }

    private static int[] Batch(int step) => [.. TinyModels.Tokens(36, (ulong)step + 8).Select(token => (int)token)];

    private GpuEngine Engine(int warpSize, int rowThreads) =>
        new(new GpuDevice(_context, _accelerator, _context.Devices[0].MemorySize, warpSize, rowThreads), "gpu", "");

    /// <summary>
    /// After the first <paramref name="warmUp"/>, whose taking of memory may wait, each step waits so often and takes none.
    /// </summary>
    private void Require(int waits, int[] steps, int warmUp, Action<int> run)
    {
        for (int i = 0; i < steps.Length; i++)
        {
            (int waited, int taken) = (_accelerator.HostWaits, _accelerator.Allocations);
            run(steps[i]);
            if (i >= warmUp)
            {
                Assert.Equal((steps[i], waits, 0), (steps[i], _accelerator.HostWaits - waited, _accelerator.Allocations - taken));
            }
        }
    }
}
