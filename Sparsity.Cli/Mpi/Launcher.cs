using System.Globalization;

namespace Sparsity.Cli.Mpi;

/// <summary>What mpirun, or srun, says of this process in its environment; known before anything of MPI is loaded.</summary>
/// <param name="Name">The variable that says how many processes there are.</param>
/// <param name="Rank">This process, from 0.</param>
/// <param name="Size">Processes started together.</param>
internal sealed record Launcher(string Name, int Rank, int Size)
{
    private static readonly (string Rank, string Size)[] Variables =
    [
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), // Open MPI
        ("PMI_RANK", "PMI_SIZE"), // MPICH, Intel MPI, MVAPICH; srun --mpi=pmi2
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"), // any srun; a batch script by itself is no step
    ];

    /// <summary>Null for a process started by itself.</summary>
    public static Launcher? Present { get; } = Find(Environment.GetEnvironmentVariable);

    public bool IsOpenMpi => Name == Variables[0].Size;

    /// <summary>MPICH's kin, or srun in their manner.</summary>
    public bool IsPmi => Name == Variables[1].Size;

    /// <summary>From an environment.</summary>
    public static Launcher? Find(Func<string, string?> variable)
    {
        foreach ((string rankName, string sizeName) in Variables)
        {
            if (Number(rankName) is { } rank && Number(sizeName) is { } size && size > 1 && rank < size)
            {
                return new Launcher(sizeName, rank, size);
            }
        }

        return null;

        int? Number(string name) =>
            int.TryParse(variable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
    }
}
