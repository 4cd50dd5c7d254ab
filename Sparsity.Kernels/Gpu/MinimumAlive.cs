using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Which entries of a matrix weight selection may not zero: the largest of each row or column (official apply_topk_, minimum alive), of
/// equal ones the first.
/// </summary>
/// <param name="last">For each line the magnitude of the last of its largest entries, then for each line that entry's index.</param>
/// <param name="axis">1 protects rows, 0 columns, -1 nothing.</param>
/// <param name="lines">Rows or columns.</param>
internal readonly struct MinimumAlive(ArrayView<int> last, int axis, int lines)
{
    /// <summary>Neighbouring columns of one group.</summary>
    private const int MostColumnsOfGroup = 8;

    /// <summary>Entries of a row for one thread: pairing threads costs as much as some dozens of entries.</summary>
    private const int EntriesOfThread = 32;

    /// <summary>In a kernel: of a tensor of a launch.</summary>
    /// <param name="budgets">What is kept of each tensor.</param>
    /// <param name="tensor">Which.</param>
    /// <param name="all">What <see cref="LastKernel"/> found for all tensors.</param>
    public static MinimumAlive Of(BudgetTable budgets, int tensor, ArrayView<int> all)
    {
        int axis = budgets.AxisOf(tensor);
        int lines = budgets.LinesOf(tensor);
        return new MinimumAlive(axis < 0 ? all : all.SubView(budgets.ProtectionOf(tensor), 2 * lines), axis, lines);
    }

    /// <summary>Lines that a group takes: rows as many as leave enough entries for each thread, or some neighbouring columns.</summary>
    /// <param name="threads">Of a group.</param>
    /// <param name="axis">1 for rows, 0 for columns.</param>
    /// <param name="entries">Of a line.</param>
    public static int LinesOfGroup(GpuDevice device, int threads, int axis, int entries) =>
        axis == 1 ? threads / Math.Min(threads, device.RowThreads(entries, EntriesOfThread)) : Math.Min(threads, MostColumnsOfGroup);

    /// <summary>Whether an entry of this magnitude is protected.</summary>
    public bool Has(int row, int column, int magnitude)
    {
        if (axis < 0)
        {
            return false;
        }

        int line = axis == 1 ? row : column;
        int index = axis == 1 ? column : row;
        return !Largest.IsBefore(last[line], last[lines + line], magnitude, index);
    }

    /// <summary>
    /// A group is some rows or some neighbouring columns of a matrix; neighbouring threads read neighbouring entries of one row, or of
    /// neighbouring columns. In each round every line finds its four largest entries behind those of the round before: each thread those of
    /// the entries it reads, then pairs of threads the four largest of both. Overwrites <paramref name="last"/>.
    /// </summary>
    internal readonly struct LastKernel(TensorRuns runs, BudgetTable budgets, ArrayView<float> weights, ArrayView<int> last) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> magnitudes = SharedMemory.Allocate<int>(Largest.Count * GroupReduction.MaximumThreads);
            ArrayView<int> indices = SharedMemory.Allocate<int>(Largest.Count * GroupReduction.MaximumThreads);
            int tensor = runs.OfGroup(out int firstLine, out int endLine);
            int areRows = budgets.AxisOf(tensor);
            int entries = budgets.EntriesOf(tensor);
            int alive = budgets.AliveOf(tensor);
            int linesOfGroup = runs.RunOf(tensor);
            int lanes = Group.DimX / linesOfGroup;
            int laneStep = areRows == 1 ? 1 : linesOfGroup;
            int lane = areRows == 1 ? Group.IdxX % lanes : Group.IdxX / linesOfGroup;
            int line = firstLine + (areRows == 1 ? Group.IdxX / lanes : Group.IdxX % linesOfGroup);
            int entryStride = areRows == 1 ? 1 : budgets.ColumnsOf(tensor);
            int start = areRows == 1 ? line * entries : line;
            ArrayView<float> own = weights.SubView(runs.PlaceOf(tensor, 0), budgets.LengthOf(tensor));
            int magnitude = int.MaxValue;
            int index = -1;
            for (int before = 0; before < alive; before += Largest.Count)
            {
                var largest = Largest.None;
                if (line < endLine)
                {
                    for (int entry = lane; entry < entries; entry += 4 * lanes)
                    {
                        // Four loads are on their way at once.
                        int second = entry + lanes;
                        int third = second + lanes;
                        int fourth = third + lanes;
                        float value0 = own[start + (entry * entryStride)];
                        float value1 = second < entries ? own[start + (second * entryStride)] : 0f;
                        float value2 = third < entries ? own[start + (third * entryStride)] : 0f;
                        float value3 = fourth < entries ? own[start + (fourth * entryStride)] : 0f;
                        Offer(ref largest, value0, entry, entries, magnitude, index);
                        Offer(ref largest, value1, second, entries, magnitude, index);
                        Offer(ref largest, value2, third, entries, magnitude, index);
                        Offer(ref largest, value3, fourth, entries, magnitude, index);
                    }
                }

                largest.Store(magnitudes, indices, Group.IdxX);
                Group.Barrier();
                for (int half = lanes >> 1; half > 0; half >>= 1)
                {
                    if (lane < half)
                    {
                        for (int rank = 0; rank < Largest.Count; rank++)
                        {
                            int place = (rank * Group.DimX) + Group.IdxX + (half * laneStep);
                            largest.Offer(magnitudes[place], indices[place]);
                        }

                        largest.Store(magnitudes, indices, Group.IdxX);
                    }

                    Group.Barrier();
                }

                int left = alive - before;
                int lastRank = left < Largest.Count ? left - 1 : Largest.Count - 1;
                int found = (lastRank * Group.DimX) + Group.IdxX - (lane * laneStep);
                magnitude = magnitudes[found];
                index = indices[found];
                Group.Barrier();
            }

            if (lane == 0 && line < endLine)
            {
                int lines = budgets.LinesOf(tensor);
                int place = budgets.ProtectionOf(tensor) + line;
                last[place] = magnitude;
                last[place + lines] = index;
            }
        }

        /// <summary>Offers an entry that is there and lies behind those of the round before.</summary>
        private static void Offer(ref Largest largest, float value, int entry, int entries, int lastMagnitude, int lastIndex)
        {
            int magnitude = DigitCounts.Magnitude(value);
            if (entry < entries && Largest.IsBefore(lastMagnitude, lastIndex, magnitude, entry))
            {
                largest.Offer(magnitude, entry);
            }
        }
    }

    /// <summary>The four largest entries offered, in order: a larger magnitude first, of equal ones the lower index.</summary>
    private struct Largest
    {
        public const int Count = 4;
        private int _magnitude0;
        private int _magnitude1;
        private int _magnitude2;
        private int _magnitude3;
        private int _index0;
        private int _index1;
        private int _index2;
        private int _index3;

        /// <summary>Before anything was offered: every entry comes before these.</summary>
        public static Largest None
        {
            get
            {
                Largest largest = default;
                largest._magnitude0 = largest._magnitude1 = largest._magnitude2 = largest._magnitude3 = -1;
                return largest;
            }
        }

        public static bool IsBefore(int magnitude, int index, int otherMagnitude, int otherIndex) =>
            magnitude > otherMagnitude || (magnitude == otherMagnitude && index < otherIndex);

        public void Offer(int magnitude, int index)
        {
            if (!IsBefore(magnitude, index, _magnitude3, _index3))
            {
                return;
            }

            bool isFirst = IsBefore(magnitude, index, _magnitude0, _index0);
            bool isSecond = IsBefore(magnitude, index, _magnitude1, _index1);
            bool isThird = IsBefore(magnitude, index, _magnitude2, _index2);
            _magnitude3 = isThird ? _magnitude2 : magnitude;
            _index3 = isThird ? _index2 : index;
            _magnitude2 =
                isSecond ? _magnitude1
                : isThird ? magnitude
                : _magnitude2;
            _index2 =
                isSecond ? _index1
                : isThird ? index
                : _index2;
            _magnitude1 =
                isFirst ? _magnitude0
                : isSecond ? magnitude
                : _magnitude1;
            _index1 =
                isFirst ? _index0
                : isSecond ? index
                : _index1;
            _magnitude0 = isFirst ? magnitude : _magnitude0;
            _index0 = isFirst ? index : _index0;
        }

        public readonly void Store(ArrayView<int> magnitudes, ArrayView<int> indices, int thread)
        {
            magnitudes[thread] = _magnitude0;
            magnitudes[thread + Group.DimX] = _magnitude1;
            magnitudes[thread + (2 * Group.DimX)] = _magnitude2;
            magnitudes[thread + (3 * Group.DimX)] = _magnitude3;
            indices[thread] = _index0;
            indices[thread + Group.DimX] = _index1;
            indices[thread + (2 * Group.DimX)] = _index2;
            indices[thread + (3 * Group.DimX)] = _index3;
        }
    }
}
