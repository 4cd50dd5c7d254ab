using ILGPU;
using ILGPU.Runtime;
using Sparsity.Core.Bridges;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;
using Sparsity.Kernels.Gpu;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Gpu.StandIn;

/// <summary>How often the host waits for the device in a step, as the stand-in counts it: a device that has run out of work stands still for as long.</summary>
public sealed class HostWaitTests : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly GpuEngine _engine;

    public HostWaitTests()
    {
        Context context = Context.Create(_ => { });
        ILGPU.Runtime.Device device = context.Devices[0];
        _accelerator = device.CreateAccelerator(context);
        _engine = new GpuEngine(new GpuDevice(context, _accelerator, device.MemorySize, device.WarpSize, rowThreads: 2), "gpu", "");
    }

    public void Dispose() => _engine.Dispose();

    /// <summary>For the loss and the root mean squares of gradient and weights together: while weights are dense, while they are cut, and when lists of nonzeros are in use.</summary>
    [Fact]
    public void ATrainingStepWaitsOnce()
    {
        TrainingConfig training = (TinyModels.Training with { Pfrac = null, Density = 0.1, MinimumAlivePerNeuron = 1 }).Resolved(TinyModels.Config);
        using var trainer = new Trainer(_engine, TinyModels.Config, training);
        trainer.Initialise();
        foreach (int step in new[] { 0, 1, 2, 15, 16, 39, 40 })
        {
            int before = _accelerator.HostWaits;
            trainer.Step(step, Batch(step));
            Assert.Equal(1, _accelerator.HostWaits - before);
        }
    }

    /// <summary>For all terms of the loss, and the root mean squares of both gradients, of the weights and of every bridge; the first step also measures residuals.</summary>
    [Fact]
    public void ABridgeStepWaitsOnce()
    {
        using ModelParameters dense = TinyModels.Random(_engine, TinyModels.Config, 1);
        using var trainer = new BridgeTrainer(new Transformer(dense), TinyModels.Config, TinyModels.Training, new BridgeConfig { KlSparseWeight = 0.5, EncoderFraction = 0.5 });
        trainer.Initialise();
        trainer.Step(0, Batch(0));
        for (int step = 1; step < 4; step++)
        {
            int before = _accelerator.HostWaits;
            trainer.Step(step, Batch(step));
            Assert.Equal(1, _accelerator.HostWaits - before);
        }
    }

    /// <summary>For the logits, from which the host makes the task's loss, and for the gradient of all masks, which the host's own AdamW takes.</summary>
    [Fact]
    public void AMaskTrainingStepWaitsTwice()
    {
        TokenizedPair[] pairs = [new([3, 4, 5, 6, 7], [3, 9, 5], 11, 12), new([1], [2, 2], 11, 20)];
        var layout = new NodeLayout(TinyModels.Config);
        using ModelParameters parameters = TinyModels.Random(_engine, TinyModels.Config, 4);
        using var runner = new TaskRunner(new Transformer(parameters), 2, 6);
        using var gates = new NodeGates(_engine, layout, new float[layout.Count]);
        runner.Hooks.Add(gates);
        var training = new MaskTraining(runner, gates, new PruningConfig { Steps = 25, BatchPairs = 2, MaxTokens = 6 }, 1e-3);
        training.Step(0, pairs);
        for (int step = 1; step < 4; step++)
        {
            int before = _accelerator.HostWaits;
            training.Step(step, pairs);
            Assert.Equal(2, _accelerator.HostWaits - before);
        }
    }

    private static int[] Batch(int step) => [.. TinyModels.Tokens(36, (ulong)step + 8).Select(token => (int)token)];
}
