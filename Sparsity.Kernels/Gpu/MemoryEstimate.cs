using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Runs;
using Sparsity.Core.Training;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// What a training run takes of a device's memory, in bytes: the trainer itself takes a few steps on an engine that only counts.
/// </summary>
/// <param name="Parameters">Weights, with their gradients where they are trained.</param>
/// <param name="Moments">Adam's two for each trained weight.</param>
/// <param name="Activations">Of the forward and the backward pass over one part of a batch, and AbsTopK's choices.</param>
/// <param name="Workspace">Lists of nonzeros and of token places, sums over splits and over parts, staging.</param>
internal sealed record MemoryEstimate(long Parameters, long Moments, long Activations, long Workspace)
{
    /// <summary>Last step of the counted run. Annealing has ended before it.</summary>
    private const int LastStep = 4;

    public long Total => Parameters + Moments + Activations + Workspace;

    /// <param name="engine">On whose device; for an engine without one, on a GPU of no particular kind.</param>
    /// <param name="model">Validated.</param>
    /// <param name="training">Resolved.</param>
    /// <param name="group">The processes that train together, each on a device of its own; null for one alone.</param>
    public static MemoryEstimate For(IComputeEngine engine, ModelConfig model, TrainingConfig training, IProcessGroup? group = null)
    {
        // Several processes sum the parts' gradients in the machine's memory, one after the other.
        var share = new BatchShare(training, group);
        int parts = group is null ? share.Parts : 1;
        int sequences = share.Sequences * parts;
        TrainingConfig counted = training with
        {
            BatchSequences = sequences,
            BatchParts = parts,
            TotalTokens = (long)LastStep * sequences * training.ContextTokens,
            OnNan = NonFinite.Stop,
        };
        using IComputeEngine counter = engine.Memory?.CreateCounter() ?? GpuEngine.CreateUsualCounter();
        using var trainer = new Trainer(counter, model, counted);
        long allocated = counter.Memory!.PeakBytes;
        long parameters = trainer.Parameters.All.Sum(parameter => BytesOf(parameter.Value) + BytesOf(parameter.Gradient));
        long moments = trainer.Optimizer.Moments.Sum(moments => BytesOf(moments.First) + BytesOf(moments.Second));
        foreach (Parameter parameter in trainer.Parameters.Trained)
        {
            ((GpuWeights)parameter.Value).Changed(parameter.Spec.Length); // any entry may differ from zero, as when weights are drawn
        }

        trainer.Sparsity.ApplyAtStart();
        var batch = new int[TensorSize.Of("a batch", sequences, training.ContextTokens)];
        foreach (int step in new[] { 0, LastStep, LastStep })
        {
            trainer.Step(step, batch);
        }

        foreach (Parameter parameter in trainer.Parameters.All)
        {
            counter.CountNonzero(parameter.Value);
        }

        return new MemoryEstimate(parameters, moments, allocated - parameters - moments, counter.Memory!.PeakBytes - allocated);
    }

    /// <summary>
    /// The fewest parts of a batch, from those given up, with which a run fits, and what it then needs; null where one sequence at a time
    /// does not.
    /// </summary>
    /// <param name="room">Bytes there are.</param>
    /// <inheritdoc cref="For"/>
    public static (int Parts, MemoryEstimate Memory)? InMoreParts(
        IComputeEngine engine,
        ModelConfig model,
        TrainingConfig training,
        long room,
        IProcessGroup? group = null
    )
    {
        var share = new BatchShare(training, group);
        for (int parts = share.Parts + 1; parts <= training.BatchSequences; parts++)
        {
            if (training.BatchSequences % parts == 0 && parts % share.Ranks == 0)
            {
                MemoryEstimate memory = For(engine, model, training with { BatchParts = parts }, group);
                if (memory.Total <= room)
                {
                    return (parts, memory);
                }
            }
        }

        return null;
    }

    private static long BytesOf(WeightTensor? tensor) => tensor is null ? 0 : (long)sizeof(float) * tensor.Length;
}
