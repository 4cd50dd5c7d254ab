using Sparsity.Cli.Mpi;
using Sparsity.Kernels;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Cli.Tests.Mpi;

/// <summary>What follows from a launcher's variables alone.</summary>
public class LauncherTests
{
    private static readonly (string, string)[] OpenMpi =
    [
        ("OMPI_COMM_WORLD_RANK", "1"),
        ("OMPI_COMM_WORLD_SIZE", "4"),
        ("PMI_RANK", "3"),
        ("PMI_SIZE", "9"),
    ];
    private static readonly (string, string)[] Pmi = [("PMI_RANK", "3"), ("PMI_SIZE", "9")];
    private static readonly (string, string)[] Srun = [("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "2")];

    [Fact]
    public void LaunchersAreKnownByTheirVariables()
    {
        Assert.Null(Find());
        Assert.Equal((1, 4, true, false), Of(Find(OpenMpi)));
        Assert.Equal((3, 9, false, true), Of(Find(Pmi)));
        Assert.Equal((0, 2, false, false), Of(Find(Srun)));
        Assert.Null(Find(("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2"))); // a batch script
        Assert.Null(Find(("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "1")));
        Assert.Null(Find(("PMI_RANK", "x"), ("PMI_SIZE", "2")));

        static (int, int, bool, bool) Of(Launcher? launcher) => (launcher!.Rank, launcher.Size, launcher.IsOpenMpi, launcher.IsPmi);
    }

    [Fact]
    public void WhereThereIsNoLibraryThePackageIsNamed()
    {
        string openMpi = MpiLibrary.Missing(Find(OpenMpi)!),
            pmi = MpiLibrary.Missing(Find(Pmi)!),
            srun = MpiLibrary.Missing(Find(Srun)!);
        Assert.StartsWith(
            "4 processes were started together (OMPI_COMM_WORLD_SIZE), but the system has no MPI library (libmpi.so.40",
            openMpi,
            StringComparison.Ordinal
        );
        Assert.Contains("Install openmpi-bin (Debian, Ubuntu), load the cluster's MPI module", openMpi, StringComparison.Ordinal);
        Assert.Contains("Install mpich (", pmi, StringComparison.Ordinal);
        Assert.Contains("Install openmpi-bin or mpich (", srun, StringComparison.Ordinal);
    }

    [Fact]
    public void TheProcessesOfAMachineTakeItsDevicesInTurn()
    {
        GpuDeviceInfo[] devices =
        [
            Device("opencl:0"),
            Device("cuda:0"),
            Device("cuda:1") with
            {
                WhyNot = "too old",
            },
            Device("cuda:2"),
            Device("opencl:1") with
            {
                IsProcessor = true,
            },
        ];
        Assert.Equal(["cuda:0", "cuda:2", "cuda:0"], Enumerable.Range(0, 3).Select(place => EngineFactory.Choose(devices, place)!.Id));
        Assert.Equal(
            ["opencl:0", "opencl:0"],
            Enumerable.Range(0, 2).Select(place => EngineFactory.Choose([devices[0], devices[4]], place)!.Id)
        );
        Assert.Null(EngineFactory.Choose([devices[2], devices[4]], 1));

        static GpuDeviceInfo Device(string id) => new(id, "a device", 1 << 30, "1.0", IsProcessor: false, WhyNot: null);
    }

    private static Launcher? Find(params (string Name, string Value)[] variables) =>
        Launcher.Find(name => variables.FirstOrDefault(variable => variable.Name == name).Value);
}
