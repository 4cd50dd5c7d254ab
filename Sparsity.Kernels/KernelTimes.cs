using System.Diagnostics;

namespace Sparsity.Kernels;

/// <summary>Time spent in each kind of kernel since the last <see cref="Clear"/>; for benchmarks.</summary>
internal sealed class KernelTimes
{
    private readonly Dictionary<Type, long> _ticks = [];

    public void Clear()
    {
        foreach (Type job in _ticks.Keys)
        {
            _ticks[job] = 0;
        }
    }

    /// <summary>
    /// Milliseconds by kernel, such as "Attention.Forward" or "Attention.ForwardKernel&lt;Channels16&gt;", longest first.
    /// </summary>
    public IReadOnlyList<(string Kernel, double Milliseconds)> Read() =>
        [.. _ticks.Select(entry => (Name(entry.Key), entry.Value * 1000.0 / Stopwatch.Frequency)).OrderByDescending(entry => entry.Item2)];

    internal void Add(Type job, long ticks)
    {
        _ticks.TryGetValue(job, out long before);
        _ticks[job] = before + ticks;
    }

    /// <summary>The operation and the kernel's own name, with what it is made for.</summary>
    internal static string Name(Type job)
    {
        string name = job.Name.Split('`')[0];
        name = name.EndsWith("Job", StringComparison.Ordinal) ? name[..^"Job".Length] : name;
        string arguments = job.IsGenericType ? $"<{string.Join(",", job.GetGenericArguments().Select(Name))}>" : "";
        return (job.DeclaringType is null ? "" : job.DeclaringType.Name.Split('`')[0] + ".") + name + arguments;
    }
}
