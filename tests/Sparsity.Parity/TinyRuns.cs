using Sparsity.Core.Bridges;
using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;
using Sparsity.Core.Pruning;
using Sparsity.Core.Runs;
using Sparsity.Core.Tasks;
using Sparsity.Core.Training;

namespace Sparsity.Parity;

/// <summary>Short runs of everything that trains, on <see cref="TinyModels"/>; each gives the loss of every step.</summary>
internal static class TinyRuns
{
    /// <summary>Sparse training, annealed to a quarter of the weights.</summary>
    /// <param name="steps">At most 60.</param>
    /// <param name="parts">Of a batch, computed one after the other: 1 or 3.</param>
    public static double[] Train(IComputeEngine engine, int steps, int parts)
    {
        TrainingConfig training = (TinyModels.Training with { TotalTokens = 60 * 3 * 12, BatchParts = parts }).Resolved(TinyModels.Config);
        ushort[] tokens = TinyModels.Tokens(5000, 8);
        using var trainer = new Trainer(engine, TinyModels.Config, training);
        trainer.Initialise();
        return [.. Enumerable.Range(0, steps).Select(step => trainer.Step(step, [.. tokens.AsSpan(step * 36, 36).ToArray()]).Loss)];
    }

    /// <summary>Mask training of a small task.</summary>
    /// <param name="steps">At most 25.</param>
    /// <param name="freezesNormScale">As <see cref="TaskRunner.FreezesNormScale"/>.</param>
    public static double[] TrainMasks(IComputeEngine engine, int steps, bool freezesNormScale)
    {
        TokenizedPair[] pairs = [new([3, 4, 5, 6, 7], [3, 9, 5], 11, 12), new([1], [2, 2], 11, 20)];
        var layout = new NodeLayout(TinyModels.Config);
        using ModelParameters parameters = TinyModels.Random(engine, TinyModels.Config, 4);
        var model = new Transformer(parameters);
        float[] means = MeanActivations.Measure(model, layout, TinyModels.Tokens(60, 3), 12, 2, 7);
        using var masked = new MaskedRunner(model, layout, means, 2, 6, freezesNormScale);
        var config = new PruningConfig
        {
            Steps = 25,
            BatchPairs = 2,
            MaxTokens = 6,
            Lr = 0.02,
        };
        var training = new MaskTraining(masked, config, 1e-3);
        return [.. Enumerable.Range(0, steps).Select(step => training.Step(step, pairs))];
    }

    /// <summary>Bridges between a dense and a sparse model.</summary>
    public static double[] TrainBridges(IComputeEngine engine, int steps)
    {
        ModelConfig narrow = TinyModels.Config with { Afrac = null, DModel = 12, DMlpField = 24 };
        using ModelParameters dense = TinyModels.Random(engine, narrow, 4);
        var config = new BridgeConfig
        {
            KlSparseWeight = 0.5,
            FinalLocation = true,
            StartBatches = 3,
        };
        using var trainer = new BridgeTrainer(new Transformer(dense), TinyModels.Config, TinyModels.Training, config);
        var source = new BatchSource(TinyModels.Tokens(2000, 8), TinyModels.Training.BatchSequences, TinyModels.Training.ContextTokens);
        trainer.Initialise();
        trainer.InitialiseFromData(source);
        return [.. Enumerable.Range(0, steps).Select(step => trainer.Step(step, source.Random(1, step)).Loss)];
    }
}
