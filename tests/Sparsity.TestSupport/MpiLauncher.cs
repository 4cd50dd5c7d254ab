using System.Diagnostics;
using System.Globalization;

namespace Sparsity.TestSupport;

/// <summary>mpirun of one MPI, where it is installed.</summary>
/// <param name="name">openmpi or mpich.</param>
/// <param name="program">Its mpirun.</param>
internal sealed class MpiLauncher(string name, string program)
{
    private const int MostMinutes = 5;

    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(20);

    private static readonly MpiLauncher?[] Found = [Find("openmpi", "Open MPI"), Find("mpich", "HYDRA")];

    public static MpiLauncher? OpenMpi => Found[0];

    public static MpiLauncher? Mpich => Found[1];

    /// <summary>What Open MPI wants in the environment where it is started by root.</summary>
    public static (string Name, string Value)[] AsRoot => [("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")];

    public string Name => name;

    /// <summary>mpirun and its options; what it is to start follows.</summary>
    public string[] Command(int ranks) => [program, .. name == "openmpi" ? (string[])["--oversubscribe"] : [], "-np", $"{ranks}"];

    /// <summary>Starts <paramref name="ranks"/> copies of a program of .NET.</summary>
    /// <param name="assembly">Its path.</param>
    /// <param name="environment">Beside this process's own.</param>
    public Process Start(
        int ranks,
        string assembly,
        IEnumerable<string> arguments,
        params IEnumerable<(string Name, string Value)> environment
    )
    {
        string[] command = Command(ranks);
        var start = new ProcessStartInfo(command[0], [.. command[1..], "dotnet", assembly, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string variable, string value) in AsRoot.Concat(environment))
        {
            start.Environment[variable] = value;
        }

        return Process.Start(start)!;
    }

    /// <summary>Waits for the end of what <see cref="Start"/> began.</summary>
    public static (int ExitCode, string Output, string Errors) Finish(Process process, Action<Task<string>>? meanwhile = null)
    {
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        meanwhile?.Invoke(output);
        if (!process.WaitForExit(TimeSpan.FromMinutes(MostMinutes)))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"mpirun did not end within {MostMinutes} minutes.");
        }

        process.WaitForExit();
        return (process.ExitCode, output.Result, errors.Result);
    }

    /// <summary>
    /// The process number of a rank of a run that names <paramref name="folder"/> among its arguments; null while it is not there.
    /// </summary>
    public static int? ProcessOf(int rank, string folder)
    {
        string[] ranks = [$"OMPI_COMM_WORLD_RANK={rank}", $"PMI_RANK={rank}"];
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (
                int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out int process)
                && Strings("cmdline").Contains(folder)
                && Strings("environ").Any(ranks.Contains)
            )
            {
                return process;
            }

            string[] Strings(string file)
            {
                try
                {
                    return File.ReadAllText(Path.Combine(directory, file)).Split('\0');
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    return []; // it has ended meanwhile
                }
            }
        }

        return null;
    }

    /// <summary>Waits for the end of all ranks of a run: of those that a launcher has killed, some may outlive it for a moment.</summary>
    /// <returns>The processes that are there still after the longest time that this may take.</returns>
    public static int[] AwaitEnd(int ranks, string folder)
    {
        long started = Stopwatch.GetTimestamp();
        int[] left;
        while (
            (left = [.. Enumerable.Range(0, ranks).Select(rank => ProcessOf(rank, folder)).OfType<int>()]).Length > 0
            && Stopwatch.GetElapsedTime(started) < LongestEnd
        )
        {
            Thread.Sleep(20);
        }

        return left;
    }

    private static MpiLauncher? Find(string name, string description)
    {
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(
            Path.PathSeparator,
            StringSplitOptions.RemoveEmptyEntries
        );
        string? own = folders.Select(folder => Path.Combine(folder, "mpirun." + name)).FirstOrDefault(File.Exists);
        string? any = folders.Select(folder => Path.Combine(folder, "mpirun")).FirstOrDefault(File.Exists);
        return own is not null ? new MpiLauncher(name, own)
            : any is not null && Version(any).Contains(description, StringComparison.Ordinal) ? new MpiLauncher(name, any)
            : null;

        static string Version(string program)
        {
            using Process process = Process.Start(new ProcessStartInfo(program, ["--version"]) { RedirectStandardOutput = true })!;
            string text = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return text;
        }
    }
}
