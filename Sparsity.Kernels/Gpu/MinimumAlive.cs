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
    private const int LinesOfGroup = 8;

    /// <summary>Of a row: pairing threads costs as much as some dozens of entries.</summary>
    private const int EntriesOfThread = 32;

    public static MinimumAlive Nothing(GpuDevice device) => new(device.Workspace<int>("protection", 2), -1, 1);

    /// <summary>Finds the last protected entry of each line.</summary>
    /// <param name="device">Where.</param>
    /// <param name="weights">The matrix.</param>
    /// <param name="axis">1 for rows, 0 for columns.</param>
    /// <param name="alive">Entries to protect in each line, from 1.</param>
    public static MinimumAlive Find(GpuDevice device, GpuWeights weights, int axis, int alive)
    {
        int lines = axis == 1 ? weights.Rows : weights.Columns;
        int entries = axis == 1 ? weights.Columns : weights.Rows;
        int threads = axis == 1 ? device.RowThreads(entries, EntriesOfThread) : device.RowThreads(entries);

        // Neighbouring threads read neighbouring entries: of one row, or of neighbouring columns.
        int linesOfGroup = axis == 1 ? 1 : Math.Min(threads, LinesOfGroup);
        ArrayView<int> last = device.Workspace<int>("protection", 2 * lines);
        device.Launch(
            (lines + linesOfGroup - 1) / linesOfGroup,
            1,
            threads,
            new LastKernel(
                weights.View,
                lines,
                entries,
                axis == 1 ? weights.Columns : 1,
                axis == 1 ? 1 : weights.Columns,
                linesOfGroup,
                Math.Min(alive, entries),
                last
            )
        );
        return new MinimumAlive(last, axis, lines);
    }

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
    /// A group is one row or some neighbouring columns. In each round every line finds its four largest entries behind those of the round
    /// before: each thread those of the entries it reads, then pairs of threads the four largest of both.
    /// </summary>
    internal readonly struct LastKernel(
        ArrayView<float> weights,
        int lines,
        int entries,
        int lineStride,
        int entryStride,
        int linesOfGroup,
        int alive,
        ArrayView<int> last
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> magnitudes = SharedMemory.Allocate<int>(Largest.Count * GroupReduction.MaximumThreads);
            ArrayView<int> indices = SharedMemory.Allocate<int>(Largest.Count * GroupReduction.MaximumThreads);
            int line = (Grid.IdxX * linesOfGroup) + (Group.IdxX % linesOfGroup);
            int step = Group.DimX / linesOfGroup;
            int magnitude = int.MaxValue;
            int index = -1;
            for (int before = 0; before < alive; before += Largest.Count)
            {
                var largest = Largest.None;
                if (line < lines)
                {
                    int first = line * lineStride;
                    for (int entry = Group.IdxX / linesOfGroup; entry < entries; entry += 4 * step)
                    {
                        // Four loads are on their way at once.
                        float value0 = weights[first + (entry * entryStride)];
                        float value1 = entry + step < entries ? weights[first + ((entry + step) * entryStride)] : 0f;
                        float value2 = entry + (2 * step) < entries ? weights[first + ((entry + (2 * step)) * entryStride)] : 0f;
                        float value3 = entry + (3 * step) < entries ? weights[first + ((entry + (3 * step)) * entryStride)] : 0f;
                        Offer(ref largest, value0, entry, magnitude, index);
                        Offer(ref largest, value1, entry + step, magnitude, index);
                        Offer(ref largest, value2, entry + (2 * step), magnitude, index);
                        Offer(ref largest, value3, entry + (3 * step), magnitude, index);
                    }
                }

                largest.Store(magnitudes, indices, Group.IdxX);
                Group.Barrier();
                for (int half = Group.DimX >> 1; half >= linesOfGroup; half >>= 1)
                {
                    if (Group.IdxX < half)
                    {
                        for (int rank = 0; rank < Largest.Count; rank++)
                        {
                            int place = (rank * Group.DimX) + Group.IdxX + half;
                            largest.Offer(magnitudes[place], indices[place]);
                        }

                        largest.Store(magnitudes, indices, Group.IdxX);
                    }

                    Group.Barrier();
                }

                int left = alive - before;
                int lastRank = left < Largest.Count ? left - 1 : Largest.Count - 1;
                int found = (lastRank * Group.DimX) + (Group.IdxX % linesOfGroup);
                magnitude = magnitudes[found];
                index = indices[found];
                Group.Barrier();
            }

            if (Group.IdxX < linesOfGroup && line < lines)
            {
                last[line] = magnitude;
                last[lines + line] = index;
            }
        }

        /// <summary>Offers an entry that is there and lies behind those of the round before.</summary>
        private void Offer(ref Largest largest, float value, int entry, int lastMagnitude, int lastIndex)
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
