using System.Runtime.ExceptionServices;
using Sparsity.Core.Distributed;

namespace Sparsity.TestSupport;

/// <summary>Ranks that are threads of this process: what data-parallel training does, without MPI.</summary>
internal sealed class ThreadGroup : IProcessGroup
{
    private readonly Shared _shared;

    private ThreadGroup(Shared shared, int rank)
    {
        _shared = shared;
        Rank = rank;
    }

    public int Rank { get; }

    public int Size => _shared.Sent.Length;

    /// <summary>
    /// Runs <paramref name="body"/> once for each rank, on a thread of its own; returns what it returned, in the order of ranks.
    /// </summary>
    /// <param name="ranks">One is a process by itself: it gets null.</param>
    public static T[] Run<T>(int ranks, Func<IProcessGroup?, T> body)
    {
        if (ranks == 1)
        {
            return [body(null)];
        }

        using var barrier = new Barrier(ranks);
        var shared = new Shared(barrier, new byte[ranks][]);
        var results = new T[ranks];
        var failures = new Exception?[ranks];
        Thread[] threads =
        [
            .. Enumerable
                .Range(0, ranks)
                .Select(rank => new Thread(() =>
                {
                    try
                    {
                        results[rank] = body(new ThreadGroup(shared, rank));
                    }
#pragma warning disable CA1031 // It is thrown again below.
                    catch (Exception failure)
#pragma warning restore CA1031
                    {
                        failures[rank] = failure;
                        barrier.RemoveParticipant();
                    }
                })),
        ];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        if (failures.FirstOrDefault(failure => failure is not null) is { } first)
        {
            ExceptionDispatchInfo.Throw(first);
        }

        return results;
    }

    public void Broadcast(Span<byte> data)
    {
        Exchange(data, out byte[][] all);
        all[0].CopyTo(data);
    }

    public void AllGather(ReadOnlySpan<byte> own, Span<byte> all)
    {
        Exchange(own, out byte[][] sent);
        for (int rank = 0; rank < Size; rank++)
        {
            sent[rank].CopyTo(all.Slice(rank * own.Length, own.Length));
        }
    }

    public void AllToAll(ReadOnlySpan<byte> sent, Span<byte> received)
    {
        Exchange(sent, out byte[][] all);
        int part = sent.Length / Size;
        for (int rank = 0; rank < Size; rank++)
        {
            all[rank].AsSpan(Rank * part, part).CopyTo(received.Slice(rank * part, part));
        }
    }

    private void Exchange(ReadOnlySpan<byte> own, out byte[][] all)
    {
        _shared.Sent[Rank] = own.ToArray();
        _shared.Barrier.SignalAndWait();
        all = [.. _shared.Sent];
        _shared.Barrier.SignalAndWait();
    }

    private sealed record Shared(Barrier Barrier, byte[][] Sent);
}
