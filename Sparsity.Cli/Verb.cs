using System.ComponentModel;
using System.Reflection;
using CommandLine;
using Sparsity.Cli.Mpi;
using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Core.Files;
using Sparsity.Core.Runs;
using Sparsity.Kernels;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Cli;

/// <summary>One verb of the command line: its options, and what it does.</summary>
internal abstract class Verb
{
    [Category("Everywhere")]
    [Option("debug", HelpText = "After an error, also where in the program it arose.")]
    public bool Debug { get; set; }

    /// <summary>Names of the flags that were given, without the dashes.</summary>
    public IReadOnlySet<string> Given { get; set; } = new HashSet<string>();

    /// <summary>Flags of another verb with the values that were given, in their order (<see cref="ListsFlagsOfAttribute"/>).</summary>
    public IReadOnlyList<(string Flag, IReadOnlyList<string> Values)> Lists { get; set; } = [];

    /// <summary>Whether it looks at the token that <see cref="Run"/> gets; what does not is ended at once by Ctrl-C and SIGTERM.</summary>
    public virtual bool EndsWhenAsked => true;

    /// <summary>What is said when it is asked to end; empty where it ends at once.</summary>
    public virtual string WhenAskedToEnd => "stopping after the step in progress; once more to stop at once.";

    /// <summary>What is typed for a verb.</summary>
    public static string NameOf(Type verb) => verb.GetCustomAttribute<VerbAttribute>()!.Name;

    /// <returns>The exit code.</returns>
    /// <exception cref="BadInputException">Exit code 2, one line.</exception>
    public abstract int Execute(CancellationToken stop);

    /// <summary>Writes what was printed as JSON too, where a file is given.</summary>
    protected static void Save<T>(string? path, T result)
    {
        if (path is not null)
        {
            AtomicFile.WriteText(path, JsonText.Write(result));
        }
    }

    /// <summary>Refuses flags that would be passed over.</summary>
    /// <param name="what">What is being done, such as "circuit show".</param>
    /// <param name="flags">Names of the flags that it uses, without the dashes.</param>
    /// <exception cref="BadInputException">Another flag was given.</exception>
    protected void TakesOnly(string what, params IEnumerable<string> flags)
    {
        string[] unused = [.. Given.Except(flags).Where(name => name != "debug").Order(StringComparer.Ordinal).Select(name => "--" + name)];
        if (unused.Length > 0)
        {
            string taken = string.Join(", ", flags.Select(name => "--" + name));
            throw new BadInputException(
                $"{what} does not use {string.Join(", ", unused)}. {(taken.Length == 0 ? "It takes no flags" : $"It takes {taken}")}."
            );
        }
    }
}

/// <summary>A verb that computes.</summary>
internal abstract class EngineVerb : Verb
{
    /// <summary>The flags of every verb that computes.</summary>
    protected static readonly string[] EngineFlags = ["device", "threads", "precision"];

    [Category("Engine")]
    [Option("device", MetaValue = "DEVICE", Default = "auto", HelpText = "auto, cpu, cuda[:i] or opencl[:i].")]
    public string Device
    {
        get;
        set => field = value.ToLowerInvariant();
    } = "auto";

    [Category("Engine")]
    [Option("threads", Default = 0, HelpText = "Threads of the CPU engine; 0 for all processors. Results do not depend on it.")]
    public int Threads { get; set; }

    [Category("Engine")]
    [Option(
        "precision",
        Default = "float32",
        HelpText = "Precision of the factors of dense products: float32; on NVIDIA's tensor cores also tf32 (11 significant bits) or bf16 "
            + "(8)."
    )]
    public string Precision { get; set; } = "float32";

    protected IComputeEngine CreateEngine()
    {
        IComputeEngine engine = CreateEngine(Threads);
        if (Device == "auto" && engine.Name != "cpu")
        {
            Terminal.Line($"device: {engine.Description}");
        }

        return engine;
    }

    /// <param name="threads">Of the CPU engine.</param>
    /// <param name="place">Of several processes on this machine, which one, from 0.</param>
    internal IComputeEngine CreateEngine(int threads, int place = 0)
    {
        GpuPrecision precision =
            GpuPrecisionName.Find(Precision)
            ?? throw new BadInputException($"--precision is '{Precision}', but must be float32, tf32 or bf16.");
        IComputeEngine engine = EngineFactory.Create(Device, threads, place, precision);
        if (engine is GpuEngine { Warning: { } warning })
        {
            Terminal.Line($"{warning}");
        }

        return engine;
    }

    /// <summary>The processes that were started together, of which only rank 0 prints; null for one by itself.</summary>
    protected static MpiGroup? JoinGroup()
    {
        var group = MpiGroup.Join();
        Terminal.IsSilent = group is { Rank: not 0 };
        return group;
    }

    /// <summary>
    /// The engine of one of several processes: the device in its place among those of its machine, or its share of the processors.
    /// </summary>
    /// <param name="group">Null for a process by itself.</param>
    protected IComputeEngine CreateEngine(MpiGroup? group)
    {
        if (group is null)
        {
            return CreateEngine();
        }

        int threads = Threads == 0 ? Math.Max(1, Environment.ProcessorCount / group.SharingProcessors) : Threads;
        IComputeEngine engine = CreateEngine(threads, group.LocalRank);
        Terminal.Line(
            $"{group.Size} processes on {group.Machines} machine{(group.Machines == 1 ? "" : "s")}; rank 0: {engine.Description}"
        );
        return engine;
    }
}

/// <summary>A verb that reads a model's folder, of any kind.</summary>
internal abstract class ModelVerb : EngineVerb
{
    [Option("data", MetaValue = "DIR", HelpText = "Data folder. (Default: the one the model was trained on)")]
    public string? Data { get; set; }

    [Option(
        "tokenizer",
        MetaValue = "DIR",
        HelpText = "Folder of the model's tokenizer. (Default: the one in the model's folder, else that of --data)"
    )]
    public string? Tokenizer { get; set; }

    /// <summary>Opens the model of a folder of any kind, and says what is to be known of it.</summary>
    /// <param name="model">The folder.</param>
    /// <param name="engine">Where the weights go.</param>
    /// <param name="data">Data folder instead of that of --data.</param>
    internal OpenedRun Open(string model, IComputeEngine engine, string? data = null)
    {
        OpenedRun run = Run.Open(model, engine, data ?? Data, Tokenizer);
        Terminal.Lines(run.Remarks);
        return run;
    }
}
