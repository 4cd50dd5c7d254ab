using System.Collections.Concurrent;
using Sparsity.Core.Engine;
using Sparsity.Kernels.Cpu;

namespace Sparsity.TestSupport;

/// <summary>
/// Every engine present: tests of the seam run their one body over <see cref="All"/>. Names stand for engines, so that a test's name says
/// which it ran on.
/// </summary>
internal static class Engines
{
    private static readonly (string Name, Func<IComputeEngine> Create)[] Present =
    [
        ("cpu, 1 thread", () => new CpuEngine(1)),
        ("cpu, 2 threads", () => new CpuEngine(2)),
        ("cpu, 3 threads", () => new CpuEngine(3)),
        .. TestGpus.Present,
    ];

    /// <summary>Engines that compile their kernels, by name, while no test uses them.</summary>
    private static readonly Dictionary<string, ConcurrentBag<IComputeEngine>> Idle = TestGpus.Compiling.ToDictionary(
        name => name,
        _ => new ConcurrentBag<IComputeEngine>()
    );

    /// <summary>The names, for MemberData.</summary>
    public static TheoryData<string> All => [.. Names];

    /// <summary>The names, each with every one of <paramref name="values"/>, for MemberData.</summary>
    public static TheoryData<string, T> With<T>(params T[] values) => Combined(Names, values);

    /// <summary>As <see cref="With"/>, and the GPU engines that are too slow for every test with folders of one name.</summary>
    /// <param name="name">Of the folder that such engines take: the one whose model has most kinds of parts.</param>
    public static TheoryData<string, string> SlowToo(string name, string[] folders)
    {
        TheoryData<string, string> data = Combined(Names, folders);
        foreach (string folder in folders.Where(folder => Path.GetFileName(folder) == name))
        {
            foreach (var (engine, _) in TestGpus.Slow)
            {
                data.Add(engine, folder);
            }
        }

        return data;
    }

    /// <summary>The first is the one that others are compared with.</summary>
    public static IReadOnlyList<string> Names => [.. Present.Select(engine => engine.Name)];

    /// <summary>Every GPU engine, for comparison with the CPU engine; includes those that are too slow for every test.</summary>
    public static TheoryData<string> Gpus => [.. TestGpus.Present.Concat(TestGpus.Slow).Select(engine => engine.Name)];

    /// <summary>The same without those that are too slow for every test.</summary>
    public static TheoryData<string> QuickGpus => [.. TestGpus.Present.Select(engine => engine.Name)];

    /// <summary>Whether an engine is among the GPU engines that are too slow for every test.</summary>
    public static bool IsSlow(string name) => TestGpus.Slow.Any(engine => engine.Name == name);

    /// <summary>How many of a run's steps a test should take on an engine.</summary>
    public static int StepsOf(string name, int all) => IsSlow(name) ? Math.Min(all, TestGpus.StepsOfSlow) : all;

    public static IComputeEngine Create(string name) => Present.Concat(TestGpus.Slow).Single(engine => engine.Name == name).Create();

    /// <summary>
    /// For a test of single operations: takes an engine that others have used, if a new one would compile its kernels for seconds.
    /// </summary>
    public static Bench Bench(string name) =>
        new(
            Idle.TryGetValue(name, out ConcurrentBag<IComputeEngine>? idle) && idle.TryTake(out IComputeEngine? engine)
                ? engine
                : Create(name),
            used => GiveBack(name, used)
        );

    private static void GiveBack(string name, IComputeEngine engine)
    {
        if (Idle.TryGetValue(name, out ConcurrentBag<IComputeEngine>? idle))
        {
            idle.Add(engine);
        }
        else
        {
            engine.Dispose();
        }
    }

    private static TheoryData<string, T> Combined<T>(IEnumerable<string> names, T[] values)
    {
        var data = new TheoryData<string, T>();
        foreach (string name in names)
        {
            foreach (T value in values)
            {
                data.Add(name, value);
            }
        }

        return data;
    }
}
