using System.Diagnostics;
using Sparsity.Core;
using Sparsity.Core.Distributed;

namespace Sparsity.Cli.Mpi;

/// <summary>
/// The processes that mpirun or srun started together, and the calls of <see cref="IProcessGroup"/> over the system's MPI.
/// </summary>
internal sealed unsafe class MpiGroup : IProcessGroup
{
    /// <summary>MPI_THREAD_SERIALIZED: any thread may call, one at a time.</summary>
    private const int Serialized = 2;

    /// <summary>A count is a C int.</summary>
    private const int LargestMessage = 1 << 30;

    /// <summary>How long a call waits before it looks whether the others are still there.</summary>
    private static readonly TimeSpan LookAfter = TimeSpan.FromMilliseconds(100);

    private readonly MpiLibrary _mpi;
    private readonly PeerProcess[] _peers = []; // none is missed before all have told where they run

    private MpiGroup(Launcher launcher)
    {
        _mpi = MpiLibrary.Load(launcher);
        int level = 0;
        Check(_mpi.Initialise(0, 0, Serialized, &level));
        int rank = 0,
            size = 0;
        Check(_mpi.Rank(_mpi.World, &rank));
        Check(_mpi.Size(_mpi.World, &size));
        (Rank, Size) = (rank, size);
        if (size != launcher.Size)
        {
            throw new BadInputException(
                $"{launcher.Size} processes were started together ({launcher.Name}), but {_mpi.Description} sees {size}: the launcher "
                    + $"belongs to another MPI. "
                    + $"Start with that library's own mpirun, or name the launcher's library with {MpiLibrary.PathVariable}."
            );
        }

        if (level < Serialized)
        {
            throw new BadInputException(
                $"{_mpi.Description} was built without threads (it gives level {level}, and {Serialized} is needed). Use a build that "
                    + $"has them."
            );
        }

        _peers = PeerProcess.Gather(this);
    }

    /// <summary>The group that this process has joined; null before, and for a process by itself.</summary>
    public static MpiGroup? Present { get; private set; }

    public int Rank { get; }

    public int Size { get; }

    /// <summary>Which of this machine's ranks this is, from 0.</summary>
    public int LocalRank => _peers.Take(Rank).Count(peer => peer.Host == _peers[Rank].Host);

    /// <summary>Ranks that may use the same processors as this one, itself included.</summary>
    public int SharingProcessors => _peers.Count(peer => peer.Host == _peers[Rank].Host && peer.Processors == _peers[Rank].Processors);

    public int Machines => _peers.Select(peer => peer.Host).Distinct().Count();

    /// <summary>
    /// Joins the processes started together with this one; null, with nothing of MPI loaded, where it was started by itself.
    /// </summary>
    /// <exception cref="BadInputException">There is no MPI library, or not the launcher's.</exception>
    public static MpiGroup? Join()
    {
        if (Launcher.Present is not { } launcher)
        {
            return null;
        }

        Present = new MpiGroup(launcher);
        return Present;
    }

    public void Broadcast(Span<byte> data)
    {
        for (int start = 0; start < data.Length; start += LargestMessage)
        {
            Span<byte> piece = data[start..Math.Min(data.Length, start + LargestMessage)];
            fixed (byte* first = piece)
            {
                nint request = 0;
                Check(_mpi.Broadcast(first, piece.Length, _mpi.Byte, 0, _mpi.World, &request));
                Wait(&request);
            }
        }
    }

    public void AllGather(ReadOnlySpan<byte> own, Span<byte> all)
    {
        fixed (
            byte* from = own,
                to = all
        )
        {
            nint request = 0;
            Check(_mpi.AllGather(from, own.Length, _mpi.Byte, to, own.Length, _mpi.Byte, _mpi.World, &request));
            Wait(&request);
        }
    }

    public void AllToAll(ReadOnlySpan<byte> sent, Span<byte> received)
    {
        int part = sent.Length / Size;
        fixed (
            byte* from = sent,
                to = received
        )
        {
            nint request = 0;
            Check(_mpi.AllToAll(from, part, _mpi.Byte, to, part, _mpi.Byte, _mpi.World, &request));
            Wait(&request);
        }
    }

    /// <summary>Whether <see cref="Abort"/> was called: the launcher may then ask this process to stop before it ends.</summary>
    public bool IsAborting { get; private set; }

    /// <summary>Ends all processes of the group, this one included.</summary>
    public void Abort(int exitCode)
    {
        IsAborting = true;
        _ = _mpi.Abort(_mpi.World, exitCode);
    }

    /// <summary>Leaves when all do. Not for a process that has failed: see <see cref="Abort"/>.</summary>
    public void Leave()
    {
        nint request = 0;
        Check(_mpi.Barrier(_mpi.World, &request));
        Wait(&request, isWatched: false);
        Check(_mpi.Finalise());
        Present = null;
    }

    /// <summary>Polls, as a waiting call of MPI would keep a processor busy, and could not see that another process has ended.</summary>
    private void Wait(nint* request, bool isWatched = true)
    {
        long since = Stopwatch.GetTimestamp();
        while (true)
        {
            int done = 0;
            Check(_mpi.Test(request, &done, _mpi.IgnoredStatus));
            if (done != 0)
            {
                return;
            }

            Thread.Yield();
            if (isWatched && Stopwatch.GetElapsedTime(since) > LookAfter)
            {
                since = Stopwatch.GetTimestamp();
                LookForTheOthers();
            }
        }
    }

    /// <summary>
    /// Launchers end the others when one process dies, some after a while, and srun only when told to: the lowest of those left on its
    /// machine says it and does it.
    /// </summary>
    private void LookForTheOthers()
    {
        int ended = Array.FindIndex(_peers, peer => peer.HasEnded);
        if (ended >= 0 && Array.FindIndex(_peers, peer => peer.Host == _peers[Rank].Host && !peer.HasEnded) == Rank)
        {
            Console.Error.WriteLine(
                $"sparsity: {_peers[ended]} has ended, so all ranks stop. The last checkpoint stands; continue with --resume."
            );
            Abort(1);
        }
    }

    private void Check(int result)
    {
        if (result != 0)
        {
            throw new NumericalException($"{_mpi.Description} failed with error {result}. The last checkpoint stands.");
        }
    }
}
