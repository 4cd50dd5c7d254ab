using Sparsity.Core.Training;

namespace Sparsity.Core.Distributed;

/// <summary>How a batch [B,T] is divided: into equal runs of sequences, one for each rank, and each of these into equal parts that are computed one after the other.</summary>
public readonly record struct BatchShare
{
    private readonly int _contextTokens;
    private readonly int _rank;

    /// <param name="training">Resolved.</param>
    /// <param name="group">Null for a process by itself.</param>
    /// <exception cref="BadInputException">The batch cannot be divided by the number of ranks.</exception>
    public BatchShare(TrainingConfig training, IProcessGroup? group)
    {
        int ranks = group?.Size ?? 1;
        if (training.BatchSequences % ranks != 0)
        {
            throw new BadInputException(
                $"batch_sequences is {training.BatchSequences}, but must be a multiple of the number of processes, {ranks}. Start another number of processes, or change the batch.");
        }

        _rank = group?.Rank ?? 0;
        _contextTokens = training.ContextTokens;
        int own = training.BatchSequences / ranks;
        Sequences = Math.Min(own, training.MicroBatchSequences ?? own);
        while (own % Sequences != 0)
        {
            Sequences--;
        }

        OwnParts = own / Sequences;
        Parts = ranks * OwnParts;
    }

    /// <summary>Of one part.</summary>
    public int Sequences { get; }

    /// <summary>This rank's.</summary>
    public int OwnParts { get; }

    /// <summary>All ranks'.</summary>
    public int Parts { get; }

    /// <summary>One of this rank's parts of a batch.</summary>
    /// <param name="batch">[B,T].</param>
    /// <param name="part">From 0.</param>
    public ReadOnlySpan<int> Part(ReadOnlySpan<int> batch, int part)
    {
        int length = Sequences * _contextTokens;
        return batch.Slice(((_rank * OwnParts) + part) * length, length);
    }
}
