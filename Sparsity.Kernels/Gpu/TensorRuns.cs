using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// In a kernel: the tensors of one launch, each cut into runs of entries (or of lines, or of what else is counted). A group takes a run,
/// and a table says which.
/// </summary>
/// <param name="table">A row for each tensor and one more, then the tensor of each group.</param>
/// <param name="tensors">How many there are.</param>
internal readonly struct TensorRuns(ArrayView<int> table, int tensors)
{
    /// <summary>Places are counted in so many numbers: with 32 bits they reach further, and every tensor begins at 256 bytes.</summary>
    public const int Unit = 64;

    /// <summary>Tensors of one row that lie in arenas of their own.</summary>
    public const int Places = 4;

    // What a row holds: entries, entries of a run, the first group, then the places.
    public const int Run = 1;
    public const int First = 2;
    public const int Place = 3;
    public const int Fields = Place + Places;

    /// <summary>The group's tensor, and its run of entries.</summary>
    public int OfGroup(out int first, out int end)
    {
        int tensor = table[((tensors + 1) * Fields) + Grid.IdxX];
        int entries = table[tensor * Fields];
        int run = RunOf(tensor);
        first = (Grid.IdxX - FirstGroupOf(tensor)) * run;
        end = entries - first > run ? first + run : entries;
        return tensor;
    }

    public int RunOf(int tensor) => table[(tensor * Fields) + Run];

    /// <summary>Its groups end where those of the next tensor begin.</summary>
    public int FirstGroupOf(int tensor) => table[(tensor * Fields) + First];

    /// <summary>Where the tensor begins in an arena.</summary>
    /// <param name="which">0 to 3: of which the row's places speak.</param>
    public long PlaceOf(int tensor, int which) => (long)table[(tensor * Fields) + Place + which] * Unit;
}

/// <summary>A tensor of a <see cref="TensorTable"/>.</summary>
/// <param name="Entries">That are gone over.</param>
/// <param name="Run">Entries of a run.</param>
/// <param name="Places">Where it lies, in units: up to four, each in an arena of its own.</param>
internal readonly record struct TensorRow(int Entries, int Run, params int[] Places)
{
    public int Groups => (int)(((long)Entries + Run - 1) / Run);
}

/// <summary>The table of <see cref="TensorRuns"/> in device memory.</summary>
internal sealed class TensorTable : IDisposable
{
    private readonly GpuDevice _device;
    private readonly DeviceMemory<int> _table;

    /// <param name="device">Whose memory.</param>
    /// <param name="name">What it is about, for the message when there is no room.</param>
    /// <param name="rows">What it holds, and the most that it ever will.</param>
    public TensorTable(GpuDevice device, string name, IReadOnlyList<TensorRow> rows)
    {
        _device = device;
        _table = device.Allocate<int>("the table of " + name, ((rows.Count + 1) * TensorRuns.Fields) + rows.Sum(row => row.Groups));
        Write(rows);
    }

    /// <summary>Groups of a launch.</summary>
    public int Groups { get; private set; }

    public TensorRuns Runs { get; private set; }

    public void Write(IReadOnlyList<TensorRow> rows)
    {
        if (_device.OnlyCounts)
        {
            Groups = rows.Sum(row => row.Groups);
            Runs = new TensorRuns(_table.View, rows.Count);
            return;
        }

        var values = new List<int>();
        Groups = 0;
        foreach (TensorRow row in rows)
        {
            values.AddRange([row.Entries, row.Run, Groups, .. row.Places, .. new int[TensorRuns.Places - row.Places.Length]]);
            Groups += row.Groups;
        }

        values.AddRange([0, 1, Groups, .. new int[TensorRuns.Places]]);
        for (int i = 0; i < rows.Count; i++)
        {
            values.AddRange(Enumerable.Repeat(i, rows[i].Groups));
        }

        _device.Write(_table.View, values.ToArray().AsSpan());
        Runs = new TensorRuns(_table.View, rows.Count);
    }

    public void Dispose() => _table.Dispose();
}
