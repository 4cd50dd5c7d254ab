using ILGPU;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Tensors that operations go over in one launch, or in one for each arena that they lie in. Tables of where they lie are made when they
/// are first asked for.
/// </summary>
internal sealed class GpuWeightList(GpuDevice device, string name, IReadOnlyList<WeightTensor> tensors) : WeightList(name, tensors)
{
    /// <summary>Entries of a group that works on each entry by itself.</summary>
    private const int EntriesOfElementRun = 1 << 11;

    private readonly List<(int Run, GpuWeightList[] Beside, Launch[] Launches)> _launches = [];
    private WeightSelection[]? _selections;

    public GpuWeights this[int tensor] => (GpuWeights)Tensors[tensor];

    /// <summary>
    /// Starts a kernel on the entries of this list's tensors, and of those beside them in other lists, a group for each run of them.
    /// </summary>
    /// <param name="kernelOf">From a launch.</param>
    /// <param name="beside">Up to three, with tensors of the same shapes.</param>
    public void LaunchForEach<TKernel>(Func<Launch, TKernel> kernelOf, params ReadOnlySpan<GpuWeightList> beside)
        where TKernel : struct, IKernel
    {
        foreach (Launch launch in Launches(EntriesOfElementRun, beside))
        {
            device.Launch(launch.Table.Groups, 1, device.ElementThreads, kernelOf(launch));
        }
    }

    /// <summary>The launches that go over all tensors in order.</summary>
    /// <param name="run">Entries of a group.</param>
    /// <param name="beside">As for <see cref="LaunchForEach"/>.</param>
    public IReadOnlyList<Launch> Launches(int run, params ReadOnlySpan<GpuWeightList> beside)
    {
        foreach ((int ownRun, GpuWeightList[] ownBeside, Launch[] launches) in _launches)
        {
            if (run == ownRun && beside.SequenceEqual(ownBeside))
            {
                return launches;
            }
        }

        GpuWeightList[] lists = [this, .. beside];
        Launch[] made = [.. InOneArena(lists).Select(range => new Launch(device, lists, range.First, range.End, run))];
        _launches.Add((run, beside.ToArray(), made));
        return made;
    }

    /// <summary>What selects the largest entries, for each arena.</summary>
    /// <param name="budgets">One for each tensor.</param>
    public IReadOnlyList<WeightSelection> Selections(ReadOnlySpan<WeightBudget> budgets)
    {
        if (_selections is null || !AreOf(budgets))
        {
            DisposeAll(_selections);
            WeightBudget[] all = budgets.ToArray();
            _selections =
            [
                .. InOneArena([this])
                    .Select(range => new WeightSelection(
                        device,
                        Name,
                        range.First,
                        [.. Enumerable.Range(range.First, range.End - range.First).Select(i => this[i])],
                        all.AsSpan(range.First, range.End - range.First)
                    )),
            ];
        }

        return _selections;
    }

    protected override void Dispose(bool disposing)
    {
        foreach ((_, _, Launch[] launches) in _launches)
        {
            DisposeAll(launches);
        }

        _launches.Clear();
        DisposeAll(_selections);
        _selections = null;
    }

    private static void DisposeAll(IEnumerable<IDisposable>? all)
    {
        foreach (IDisposable each in all ?? [])
        {
            each.Dispose();
        }
    }

    private bool AreOf(ReadOnlySpan<WeightBudget> budgets)
    {
        foreach (WeightSelection selection in _selections!)
        {
            if (!selection.ProtectsAs(budgets.Slice(selection.First, selection.Count)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Stretches of neighbouring tensors that lie in one arena, in each of the lists.</summary>
    private static IEnumerable<(int First, int End)> InOneArena(GpuWeightList[] lists)
    {
        int count = lists[0].Tensors.Count;
        for (int first = 0, end; first < count; first = end)
        {
            end = first + 1;
            while (end < count && lists.All(list => list[end].Arena == list[first].Arena))
            {
                end++;
            }

            yield return (first, end);
        }
    }

    /// <summary>One launch over neighbouring tensors.</summary>
    internal sealed class Launch : IDisposable
    {
        private readonly ArrayView<float>[] _arenas;

        public Launch(GpuDevice device, GpuWeightList[] lists, int first, int end, int run)
        {
            _arenas = [.. lists.Select(list => list[first].Arena.View)];
            var rows = new TensorRow[end - first];
            for (int i = 0; i < rows.Length; i++)
            {
                GpuWeights[] row = [.. lists.Select(list => list[first + i])];
                if (Array.Find(row, tensor => tensor.Length != row[0].Length) is { } other)
                {
                    throw new ArgumentException($"{other.Name} holds {other.Length} numbers, but {row[0].Name} {row[0].Length}.");
                }

                rows[i] = new TensorRow(row[0].Length, run, [.. row.Select(tensor => tensor.Place)]);
                Longest = Math.Max(Longest, row[0].Length);
            }

            Table = new TensorTable(device, lists[0].Name, rows);
        }

        public TensorTable Table { get; }

        /// <summary>Entries of the longest tensor.</summary>
        public int Longest { get; }

        /// <summary>Where the tensors of a list lie: 0 is the list itself, then those beside it.</summary>
        public ArrayView<float> this[int list] => _arenas[list];

        public void Dispose() => Table.Dispose();
    }
}
