using System.Runtime.InteropServices;
using System.Text;
using Sparsity.Core;

namespace Sparsity.Cli.Mpi;

/// <summary>
/// The calls of the system's MPI that are needed, found at run time. There are two binary interfaces: Open MPI's handles are addresses of
/// variables that the library exports, those of MPICH and its kin (Intel MPI, MVAPICH, Cray) are numbers. Both fit a register, so that the
/// functions have one type for both.
/// </summary>
internal sealed unsafe class MpiLibrary
{
    /// <summary>Names the library file where the usual names do not find the right one.</summary>
    public const string PathVariable = "SPARSITY_MPI";

    private static readonly string[] OpenMpiNames = ["libmpi.so.40", "libmpi.40.dylib"];
    private static readonly string[] MpichNames = ["libmpich.so.12", "libmpi.so.12", "libmpi.12.dylib"];
    private static readonly string[] MpichKin = ["MPICH", "Intel(R) MPI", "MVAPICH"];

    private readonly nint _handle;

    private MpiLibrary(nint handle, string name)
    {
        _handle = handle;
        var version = (delegate* unmanaged<byte*, int*, int>)Function("MPI_Get_library_version");
        byte* text = stackalloc byte[8192]; // more than either interface's longest
        int length = 0;
        _ = version(text, &length);
        Description = $"{Encoding.UTF8.GetString(text, length).Split('\n', ',')[0].Trim().TrimEnd('\0')} ({name})";
        if (NativeLibrary.TryGetExport(handle, "ompi_mpi_comm_world", out nint world))
        {
            (World, Byte, IgnoredStatus) = (world, NativeLibrary.GetExport(handle, "ompi_mpi_byte"), 0);
        }
        else if (MpichKin.Any(kin => Description.Contains(kin, StringComparison.OrdinalIgnoreCase)))
        {
            (World, Byte, IgnoredStatus) = (0x44000000, 0x4c00010d, 1);
        }
        else
        {
            throw new BadInputException(
                $"{name}: is {Description}, but only Open MPI and libraries with MPICH's binary interface are known. Name another "
                    + $"with {PathVariable}."
            );
        }

        Initialise = (delegate* unmanaged<nint, nint, int, int*, int>)Function("MPI_Init_thread");
        Rank = (delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_rank");
        Size = (delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_size");
        Barrier = (delegate* unmanaged<nint, nint*, int>)Function("MPI_Ibarrier");
        Broadcast = (delegate* unmanaged<void*, int, nint, int, nint, nint*, int>)Function("MPI_Ibcast");
        AllGather = (delegate* unmanaged<void*, int, nint, void*, int, nint, nint, nint*, int>)Function("MPI_Iallgather");
        AllToAll = (delegate* unmanaged<void*, int, nint, void*, int, nint, nint, nint*, int>)Function("MPI_Ialltoall");
        Test = (delegate* unmanaged<nint*, int*, nint, int>)Function("MPI_Test");
        Abort = (delegate* unmanaged<nint, int, int>)Function("MPI_Abort");
        Finalise = (delegate* unmanaged<int>)Function("MPI_Finalize");
    }

    /// <summary>The library's own name and version, and its file.</summary>
    public string Description { get; }

    /// <summary>MPI_COMM_WORLD.</summary>
    public nint World { get; }

    /// <summary>MPI_BYTE.</summary>
    public nint Byte { get; }

    /// <summary>MPI_STATUS_IGNORE.</summary>
    public nint IgnoredStatus { get; }

    /// <summary>Arguments of main (none), the thread level asked for, the one given.</summary>
    public delegate* unmanaged<nint, nint, int, int*, int> Initialise { get; }

    public delegate* unmanaged<nint, int*, int> Rank { get; }

    public delegate* unmanaged<nint, int*, int> Size { get; }

    public delegate* unmanaged<nint, nint*, int> Barrier { get; }

    public delegate* unmanaged<void*, int, nint, int, nint, nint*, int> Broadcast { get; }

    public delegate* unmanaged<void*, int, nint, void*, int, nint, nint, nint*, int> AllGather { get; }

    public delegate* unmanaged<void*, int, nint, void*, int, nint, nint, nint*, int> AllToAll { get; }

    public delegate* unmanaged<nint*, int*, nint, int> Test { get; }

    public delegate* unmanaged<nint, int, int> Abort { get; }

    public delegate* unmanaged<int> Finalise { get; }

    /// <summary>Loads the launcher's library.</summary>
    /// <exception cref="BadInputException">There is none, or it is not of a known kind.</exception>
    public static MpiLibrary Load(Launcher launcher)
    {
        string? path = Environment.GetEnvironmentVariable(PathVariable);
        foreach (string name in path is not null ? [path] : NamesFor(launcher))
        {
            if (NativeLibrary.TryLoad(name, out nint handle))
            {
                return new MpiLibrary(handle, name);
            }
        }

        throw new BadInputException(
            path is not null
                ? $"{PathVariable} is {path}, but there is no library that can be loaded. Give the path of libmpi."
                : Missing(launcher)
        );
    }

    /// <summary>What to say where none of the libraries that a launcher may belong to can be loaded.</summary>
    internal static string Missing(Launcher launcher) =>
        $"{launcher.Size} processes were started together ({launcher.Name}), but the system has no MPI library "
        + $"({string.Join(", ", NamesFor(launcher))}). "
        + $"Install {(launcher.IsOpenMpi ? "openmpi-bin" : launcher.IsPmi ? "mpich" : "openmpi-bin or mpich")} (Debian, Ubuntu), load "
        + $"the cluster's MPI module, or name the library with {PathVariable}.";

    private static string[] NamesFor(Launcher launcher) =>
        launcher.IsOpenMpi ? OpenMpiNames
        : launcher.IsPmi ? [.. MpichNames, .. OpenMpiNames]
        : [.. OpenMpiNames, .. MpichNames];

    private nint Function(string name) => NativeLibrary.GetExport(_handle, name);
}
