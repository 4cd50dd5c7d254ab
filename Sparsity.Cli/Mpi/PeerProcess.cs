using System.Globalization;
using System.Text;
using Sparsity.Core.Distributed;

namespace Sparsity.Cli.Mpi;

/// <summary>Where a rank runs.</summary>
/// <param name="Rank">From 0.</param>
/// <param name="Host">Its machine.</param>
/// <param name="Process">Its number there.</param>
/// <param name="Processors">Those that it may use, as Linux lists them; empty elsewhere.</param>
internal sealed record PeerProcess(int Rank, string Host, int Process, string Processors)
{
    private const int RecordBytes = 1024;

    private bool IsWatched { get; init; }

    /// <summary>Whether it is gone; never for one that cannot be seen from here, as on another machine.</summary>
    public bool HasEnded => IsWatched && !IsRunning(Process);

    /// <summary>All ranks, each by its own account.</summary>
    public static PeerProcess[] Gather(IProcessGroup group)
    {
        string own = FormattableString.Invariant($"{Environment.ProcessId}\n{StatusLine("Cpus_allowed_list:")}\n{Environment.MachineName}");
        Span<byte> record = stackalloc byte[RecordBytes];
        record.Clear();
        Encoding.UTF8.GetBytes(own.AsSpan(0, Math.Min(own.Length, RecordBytes / 4)), record);
        var all = new byte[group.Size * RecordBytes];
        group.AllGather(record, all);
        PeerProcess[] peers =
        [
            .. all.Chunk(RecordBytes).Select((bytes, rank) => Parse(rank, Encoding.UTF8.GetString(bytes).TrimEnd('\0').Split('\n'))),
        ];

        // Machines may share a name, and containers a machine: only what is seen now can be missed later.
        return [.. peers.Select(peer => peer with { IsWatched = peer.Host == peers[group.Rank].Host && IsRunning(peer.Process) })];
    }

    public override string ToString() => $"rank {Rank} (process {Process} on {Host})";

    private static PeerProcess Parse(int rank, string[] lines) =>
        new(rank, lines[2], int.Parse(lines[0], CultureInfo.InvariantCulture), lines[1]);

    /// <summary>By Linux's account; a process that has ended but was not yet waited for counts as gone.</summary>
    private static bool IsRunning(int process)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{process}/stat");
            return stat[stat.LastIndexOf(')')..] is [_, _, not ('Z' or 'X'), ..];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string StatusLine(string name)
    {
        const string Status = "/proc/self/status";
        return File.Exists(Status)
            ? File.ReadLines(Status).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?[name.Length..].Trim() ?? ""
            : "";
    }
}
