using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests.Mpi;

/// <summary>A test that starts the program with mpirun; skipped by name where Open MPI is not installed.</summary>
public sealed class OpenMpiFactAttribute : FactAttribute
{
    public OpenMpiFactAttribute()
    {
        if (MpiLauncher.OpenMpi is null)
        {
            Skip = "mpirun of Open MPI is not on PATH (Debian: openmpi-bin).";
        }
    }
}

/// <summary>A test that starts the program with mpirun; skipped by name where MPICH is not installed.</summary>
public sealed class MpichFactAttribute : FactAttribute
{
    public MpichFactAttribute()
    {
        if (MpiLauncher.Mpich is null)
        {
            Skip = "mpirun of MPICH is not on PATH (Debian: mpich).";
        }
    }
}

/// <summary>A test that runs scripts by bash; skipped by name on Windows, where it may be that of another system.</summary>
public sealed class BashFactAttribute : FactAttribute
{
    public BashFactAttribute()
    {
        if (OperatingSystem.IsWindows())
        {
            Skip = "Scripts of bash are not run on Windows.";
        }
    }
}
