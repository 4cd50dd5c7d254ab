using System.Runtime.InteropServices;

namespace Sparsity.Core.Distributed;

/// <summary>
/// The processes that train one model together, and what they tell each other. Every call is collective: all ranks make the same calls in
/// the same order, and each returns when this rank's part is done. A rank makes one call at a time, from whichever thread. A process by
/// itself has no group: null.
/// </summary>
public interface IProcessGroup
{
    /// <summary>This process, from 0. Rank 0 writes the files.</summary>
    int Rank { get; }

    /// <summary>How many there are, from 2.</summary>
    int Size { get; }

    /// <summary>Overwrites <paramref name="data"/> with what rank 0 has there.</summary>
    void Broadcast(Span<byte> data);

    /// <summary>Overwrites <paramref name="all"/> with every rank's <paramref name="own"/>, in the order of ranks.</summary>
    void AllGather(ReadOnlySpan<byte> own, Span<byte> all);

    /// <summary>
    /// Splits both into one equal part for each rank: part r of <paramref name="sent"/> goes to rank r, part r of
    /// <paramref name="received"/> is overwritten with what came from it.
    /// </summary>
    void AllToAll(ReadOnlySpan<byte> sent, Span<byte> received);
}

/// <summary>
/// What a group is asked for besides; the answers are the same bits on every rank, and those of a process by itself for no group.
/// </summary>
internal static class ProcessGroupExtensions
{
    /// <summary>Whether this process writes files and messages.</summary>
    public static bool IsLeader(this IProcessGroup? group) => group is null || group.Rank == 0;

    /// <summary>Every rank's value, in the order of ranks.</summary>
    public static T[] Gather<T>(this IProcessGroup? group, T own)
        where T : unmanaged
    {
        if (group is null)
        {
            return [own];
        }

        var all = new T[group.Size];
        group.AllGather(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in own)), MemoryMarshal.AsBytes(all.AsSpan()));
        return all;
    }

    /// <summary>Whether it is so on any rank.</summary>
    public static bool Any(this IProcessGroup? group, bool own) =>
        group is null ? own : group.Gather(own ? (byte)1 : (byte)0).Any(flag => flag != 0);

    /// <summary>Overwrites a value with rank 0's.</summary>
    public static void Broadcast<T>(this IProcessGroup? group, ref T value)
        where T : unmanaged => group?.Broadcast(MemoryMarshal.AsBytes(new Span<T>(ref value)));
}
