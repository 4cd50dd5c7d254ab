using System.Runtime.InteropServices;
using Sparsity.Core.Distributed;

namespace Sparsity.Core.Training;

/// <summary>
/// How a batch [B,T] is divided: into P equal parts, which the ranks take in turn. Whatever is summed over a batch is summed over its parts
/// in their order, so that its bits depend on P and not on the number of ranks.
/// </summary>
internal sealed class BatchShare
{
    private readonly IProcessGroup? _group;
    private readonly int _contextTokens;

    /// <param name="training">Resolved.</param>
    /// <param name="group">Null for a process by itself.</param>
    /// <exception cref="BadInputException">The batch cannot be divided so.</exception>
    public BatchShare(TrainingConfig training, IProcessGroup? group)
    {
        _group = group;
        _contextTokens = training.ContextTokens;
        Ranks = group?.Size ?? 1;
        Parts = training.BatchParts ?? Ranks;
        if (Parts % Ranks != 0)
        {
            throw new BadInputException(
                $"batch_parts is {Parts}, but must be a multiple of the number of processes, {Ranks}. Start another number of "
                    + $"processes, or another run."
            );
        }

        if (training.BatchSequences % Parts != 0)
        {
            throw new BadInputException(
                $"batch_sequences is {training.BatchSequences}, but must be a multiple of the number of its parts, {Parts}. Start "
                    + $"another number of processes, or change the batch."
            );
        }

        Sequences = training.BatchSequences / Parts;
    }

    /// <summary>Sequences in one part.</summary>
    public int Sequences { get; }

    /// <summary>P.</summary>
    public int Parts { get; }

    public int Ranks { get; }

    /// <summary>Parts that each rank computes, one after the other.</summary>
    public int OwnParts => Parts / Ranks;

    /// <summary>One of this rank's parts of a batch.</summary>
    /// <param name="batch">[B,T].</param>
    /// <param name="own">From 0.</param>
    public ReadOnlySpan<int> Part(ReadOnlySpan<int> batch, int own)
    {
        int length = Sequences * _contextTokens;
        return batch.Slice(((own * Ranks) + (_group?.Rank ?? 0)) * length, length);
    }

    /// <summary>Sums rows of numbers over all parts, in their order.</summary>
    /// <param name="own">A row for each of this rank's parts.</param>
    public double[] Sum(IReadOnlyList<double[]> own)
    {
        double[] flat = [.. own.SelectMany(row => row)];
        double[] all = flat;
        if (_group is not null)
        {
            all = new double[Ranks * flat.Length];
            _group.AllGather(MemoryMarshal.AsBytes<double>(flat), MemoryMarshal.AsBytes(all.AsSpan()));
        }

        int columns = own[0].Length;
        var sums = new double[columns];
        for (int part = 0; part < own.Count * Ranks; part++)
        {
            int row = (part % Ranks * own.Count) + (part / Ranks);
            for (int i = 0; i < columns; i++)
            {
                sums[i] += all[(row * columns) + i];
            }
        }

        return sums;
    }

    /// <summary>Sums one number over all parts, in their order.</summary>
    /// <param name="own">Of each of this rank's parts.</param>
    public double Sum(double[] own) => Ranks == 1 && own.Length == 1 ? own[0] : Sum([.. own.Select(value => new[] { value })])[0];
}
