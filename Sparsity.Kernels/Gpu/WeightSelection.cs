using ILGPU;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>In a kernel: what is to be kept of each of the tensors of a launch.</summary>
internal readonly struct BudgetTable(ArrayView<int> table)
{
    // What a row holds.
    public const int Keep = 0;
    public const int Columns = 1;
    public const int Length = 2;
    public const int Axis = 3;
    public const int Lines = 4;
    public const int Entries = 5;
    public const int Alive = 6;
    public const int Protection = 7;
    public const int Fields = 8;

    /// <summary>Entries to keep besides the protected ones.</summary>
    public int KeepOf(int tensor) => table[(tensor * Fields) + Keep];

    public int ColumnsOf(int tensor) => table[(tensor * Fields) + Columns];

    public int LengthOf(int tensor) => table[(tensor * Fields) + Length];

    /// <summary>1 protects rows, 0 columns, -1 nothing.</summary>
    public int AxisOf(int tensor) => table[(tensor * Fields) + Axis];

    /// <summary>Rows or columns.</summary>
    public int LinesOf(int tensor) => table[(tensor * Fields) + Lines];

    /// <summary>Entries of a line.</summary>
    public int EntriesOf(int tensor) => table[(tensor * Fields) + Entries];

    /// <summary>Entries to protect in each line.</summary>
    public int AliveOf(int tensor) => table[(tensor * Fields) + Alive];

    /// <summary>Where the lines' <see cref="MinimumAlive"/> begins.</summary>
    public int ProtectionOf(int tensor) => table[(tensor * Fields) + Protection];
}

/// <summary>
/// Tables for the top-k of tensors in one arena, made once: but for how many entries are kept they do not change from step to step.
/// </summary>
internal sealed class WeightSelection : IDisposable
{
    /// <summary>More groups would spend longer on adding up each other's counts than they save.</summary>
    private const int MostGroupsOfTensor = 512;

    /// <summary>So many groups keep every multiprocessor busy.</summary>
    private const int WantedGroups = 1 << 12;

    private const int LeastEntriesOfGroup = 1 << 11;

    private readonly GpuDevice _device;
    private readonly GpuWeights[] _tensors;
    private readonly (int Axis, int Alive)[] _protections;
    private readonly TensorTable _lines;
    private readonly DeviceMemory<int> _budgets;
    private readonly int[] _table;
    private readonly int _protectedLines;

    /// <param name="device">Whose memory.</param>
    /// <param name="name">What the tensors are, for messages.</param>
    /// <param name="first">Their place in the list that they are of.</param>
    /// <param name="tensors">In one arena.</param>
    /// <param name="budgets">One for each.</param>
    public WeightSelection(GpuDevice device, string name, int first, GpuWeights[] tensors, ReadOnlySpan<WeightBudget> budgets)
    {
        _device = device;
        _tensors = tensors;
        First = first;
        _protections = new (int, int)[tensors.Length];
        for (int i = 0; i < tensors.Length; i++)
        {
            _protections[i] = ProtectionOf(tensors[i], budgets[i]);
        }

        long total = tensors.Sum(tensor => (long)tensor.Length);
        int wanted = (int)Math.Max(LeastEntriesOfGroup, (total + WantedGroups - 1) / WantedGroups);
        TensorRow[] rows = [.. tensors.Select(tensor => new TensorRow(tensor.Length, RunOf(tensor.Length, wanted), tensor.Place))];
        Entries = new TensorTable(device, name, rows);
        Threads = device.RowThreads(rows.Max(row => Math.Min(row.Entries, row.Run)));

        LineThreads = device.RowThreads(tensors.Select((tensor, i) => EntriesOfLine(tensor, _protections[i].Axis)).Max());
        _lines = new TensorTable(
            device,
            "lines of " + name,
            [
                .. tensors.Select(
                    (tensor, i) =>
                        new TensorRow(
                            _protections[i].Alive == 0 ? 0 : LinesOf(tensor, _protections[i].Axis),
                            MinimumAlive.LinesOfGroup(
                                device,
                                LineThreads,
                                _protections[i].Axis,
                                EntriesOfLine(tensor, _protections[i].Axis)
                            ),
                            tensor.Place
                        )
                ),
            ]
        );
        _table = new int[tensors.Length * BudgetTable.Fields];
        for (int i = 0; i < tensors.Length; i++)
        {
            (int axis, int alive) = _protections[i];
            int at = i * BudgetTable.Fields;
            _table[at + BudgetTable.Keep] = -1;
            _table[at + BudgetTable.Columns] = tensors[i].Columns;
            _table[at + BudgetTable.Length] = tensors[i].Length;
            _table[at + BudgetTable.Axis] = alive == 0 ? -1 : axis;
            _table[at + BudgetTable.Lines] = LinesOf(tensors[i], axis);
            _table[at + BudgetTable.Entries] = EntriesOfLine(tensors[i], axis);
            _table[at + BudgetTable.Alive] = alive;
            _table[at + BudgetTable.Protection] = 2 * _protectedLines;
            _protectedLines += alive == 0 ? 0 : LinesOf(tensors[i], axis);
        }

        _budgets = device.Allocate<int>("budgets of " + name, _table.Length);
    }

    /// <summary>The place of the first tensor in the list that they are of.</summary>
    public int First { get; }

    public int Count => _tensors.Length;

    /// <summary>The arena.</summary>
    public ArrayView<float> Weights => _tensors[0].Arena.View;

    /// <summary>Runs of entries.</summary>
    public TensorTable Entries { get; }

    /// <summary>Runs of protected lines; null where nothing is protected.</summary>
    public TensorTable? Lines => _protectedLines == 0 ? null : _lines;

    /// <summary>Threads of a group that goes over entries.</summary>
    public int Threads { get; }

    /// <summary>Threads of a group that goes over lines.</summary>
    public int LineThreads { get; }

    /// <summary>For each tensor that has any, the last protected entry of each line.</summary>
    public ArrayView<int> Protection => _device.Workspace<int>("protection", Math.Max(1, 2 * _protectedLines));

    /// <summary>Whether the lines that are protected, and how many of their entries, are the same with other budgets.</summary>
    public bool ProtectsAs(ReadOnlySpan<WeightBudget> budgets)
    {
        for (int i = 0; i < _tensors.Length; i++)
        {
            if (_protections[i] != ProtectionOf(_tensors[i], budgets[i]))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>What is to be kept, in device memory.</summary>
    /// <exception cref="ArgumentException">It is impossible.</exception>
    public BudgetTable Write(ReadOnlySpan<WeightBudget> budgets)
    {
        bool isChanged = false;
        for (int i = 0; i < _tensors.Length; i++)
        {
            int keep = budgets[i].Keep;
            ArgumentOutOfRangeException.ThrowIfNegative(keep);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(keep, _tensors[i].Length);
            long protectedCount = (long)_protections[i].Alive * LinesOf(_tensors[i], _protections[i].Axis);
            if (protectedCount > keep)
            {
                throw new ArgumentException(
                    $"{_tensors[i].Name}: the minimum alive protects {protectedCount} entries, more than the {keep} to keep."
                );
            }

            ref int stored = ref _table[(i * BudgetTable.Fields) + BudgetTable.Keep];
            isChanged |= stored != keep - (int)protectedCount;
            stored = keep - (int)protectedCount;
        }

        if (isChanged)
        {
            _device.Write<int>(_budgets.View, _table);
        }

        return new BudgetTable(_budgets.View);
    }

    public void Dispose()
    {
        Entries.Dispose();
        _lines.Dispose();
        _budgets.Dispose();
    }

    private static int RunOf(int length, int wanted) => Math.Max(wanted, (length + MostGroupsOfTensor - 1) / MostGroupsOfTensor);

    /// <summary>(-1, 0) for none; a line has no more entries than it has.</summary>
    private static (int Axis, int Alive) ProtectionOf(GpuWeights tensor, WeightBudget budget) =>
        budget.AliveAxis is not { } axis || budget.MinimumAlive == 0
            ? (-1, 0)
            : (axis, Math.Min(budget.MinimumAlive, EntriesOfLine(tensor, axis)));

    private static int LinesOf(GpuWeights tensor, int axis) =>
        axis switch
        {
            1 => tensor.Rows,
            0 => tensor.Columns,
            _ => 1,
        };

    private static int EntriesOfLine(GpuWeights tensor, int axis) => tensor.Length / LinesOf(tensor, axis);
}
