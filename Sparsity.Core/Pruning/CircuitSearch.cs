using Sparsity.Core.Circuits;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>How far a search has come, for progress displays.</summary>
/// <param name="KCoef">The penalty being tried.</param>
/// <param name="Step">Of mask training, from 1; 0 while the mask is made discrete.</param>
/// <param name="Loss">Task loss.</param>
/// <param name="Nodes">Nodes kept at the moment.</param>
internal readonly record struct PruningProgress(double KCoef, int Step, double Loss, int Nodes);

/// <summary>
/// Prunes a frozen model to the circuit of a task (docs/method.md section 4): for each penalty trains a mask; for each target loss
/// chooses among their rankings by tau.
/// </summary>
internal sealed class CircuitSearch : IDisposable
{
    private const int ProgressSteps = 50;

    private readonly CircuitEvaluator _evaluator;
    private readonly PruningConfig _config;
    private readonly MaskedRunner _training;

    /// <param name="evaluator">Of the model.</param>
    public CircuitSearch(CircuitEvaluator evaluator)
    {
        _evaluator = evaluator;
        _config = evaluator.Config;
        _training = evaluator.NewRunner(_config.BatchPairs);
    }

    /// <summary>Trains one mask per penalty.</summary>
    /// <param name="training">Pairs for mask training, batch after batch.</param>
    /// <param name="checkpoint">Where an interrupted training stands and is kept; null to keep nothing.</param>
    /// <param name="progress">Called now and then.</param>
    /// <param name="stop">Gives up with <see cref="OperationCanceledException"/>, after keeping what was done.</param>
    public IReadOnlyList<TrainedMask> TrainMasks(
        IReadOnlyList<TokenizedPair> training,
        MaskCheckpoint? checkpoint = null,
        Action<PruningProgress>? progress = null,
        CancellationToken stop = default
    )
    {
        List<TrainedMask> finished = [.. checkpoint?.Finished(_evaluator.Layout.Count, _config.KCoef) ?? []];
        foreach (double kCoef in _config.KCoef.Skip(finished.Count))
        {
            var mask = new MaskTraining(_training, _config, kCoef);
            for (int step = checkpoint?.Restore(mask) ?? 0; step < _config.Steps; step++)
            {
                if (stop.IsCancellationRequested)
                {
                    checkpoint?.Write(finished, mask, step);
                    stop.ThrowIfCancellationRequested();
                }

                double loss = mask.Step(step, Batch(training, step));
                if ((step + 1) % ProgressSteps == 0)
                {
                    progress?.Invoke(new PruningProgress(kCoef, step + 1, loss, mask.Kept));
                    checkpoint?.WriteNowAndThen(finished, mask, step + 1);
                }
            }

            finished.Add(new TrainedMask(kCoef, mask.Tau));
            checkpoint?.Write(finished);
        }

        return finished;
    }

    /// <inheritdoc cref="CircuitChooser.Choose"/>
    /// <param name="masks">To choose among.</param>
    /// <param name="selection">The prompts to choose on.</param>
    /// <param name="targetLoss">In nats; the configuration's margin applies.</param>
    public ChosenNodes Choose(IReadOnlyList<TrainedMask> masks, IReadOnlyList<TokenizedPair> selection, double targetLoss) =>
        Choose(masks, selection, [targetLoss])[0];

    /// <summary>The same for several targets, which measures what they share once.</summary>
    /// <inheritdoc cref="Choose(IReadOnlyList{TrainedMask}, IReadOnlyList{TokenizedPair}, double)"/>
    public IReadOnlyList<ChosenNodes> Choose(
        IReadOnlyList<TrainedMask> masks,
        IReadOnlyList<TokenizedPair> selection,
        IReadOnlyList<double> targetLosses
    )
    {
        NodeRanking[] rankings = [.. masks.Select(mask => new NodeRanking(_evaluator, mask.Tau, selection, mask))];
        using var chooser = new CircuitChooser(_evaluator, selection);
        return [.. targetLosses.Select(target => chooser.Choose(rankings, target))];
    }

    public void Dispose() => _training.Dispose();

    private List<TokenizedPair> Batch(IReadOnlyList<TokenizedPair> pairs, int step) =>
        [.. Enumerable.Range(step * _config.BatchPairs, _config.BatchPairs).Select(i => pairs[i % pairs.Count])];
}
