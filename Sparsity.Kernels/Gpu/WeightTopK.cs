using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Zeroes all but the k entries of largest magnitude of a matrix (official apply_topk_), every row or column keeping its minimum. The threshold is found on the
/// bits of |w| as in <see cref="AbsTopK"/>, over all groups; the host learns nothing of it.
/// </summary>
internal static class WeightTopK
{
    private const int EntriesOfGroup = 1 << 14;
    private const int LinesOfGroup = 32;

    /// <summary>In place.</summary>
    public static void KeepLargest(GpuDevice device, GpuWeights weights, int keep, int? aliveAxis, int minimumAlive)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keep, weights.Length);
        int length = weights.Length;
        int protectedCount = aliveAxis is null ? 0 : minimumAlive * (aliveAxis == 1 ? weights.Rows : weights.Columns);
        if (protectedCount > keep)
        {
            throw new ArgumentException($"{weights.Name}: the minimum alive protects {protectedCount} entries, more than the {keep} to keep.");
        }

        Protection protection = protectedCount == 0
            ? new Protection(device.Workspace<int>("protection", 2), weights.Columns, -1, 1)
            : Protect(device, weights, aliveAxis!.Value, minimumAlive);
        int groups = (length + EntriesOfGroup - 1) / EntriesOfGroup;
        int threads = device.RowThreads(Math.Min(length, EntriesOfGroup));
        ArrayView<int> partial = device.Workspace<int>("digit counts", groups * DigitCounts.Digits);
        ArrayView<int> state = device.Workspace<int>("top-k state", State.Length);
        ArrayView<int> tiesBefore = device.Workspace<int>("ties", groups + 1);
        for (int shift = DigitCounts.FirstShift; shift >= 0; shift -= DigitCounts.Bits)
        {
            device.Launch(groups, 1, threads, new CountKernel(weights.View, length, protection, state, shift, partial, groups));
            device.Launch(1, 1, device.RowThreads(groups), new SelectKernel(partial, groups, state, keep - protectedCount, shift));
        }

        device.Launch(1, 1, device.RowThreads(groups), new TiesKernel(partial, groups, state, tiesBefore));
        device.Launch(groups, 1, threads, new ApplyKernel(weights.View, length, protection, state, tiesBefore));
        weights.Changed(keep);
    }

    /// <summary>For each line the magnitude and index of the last of its largest entries.</summary>
    private static Protection Protect(GpuDevice device, GpuWeights weights, int axis, int minimumAlive)
    {
        int lines = axis == 1 ? weights.Rows : weights.Columns;
        int entries = axis == 1 ? weights.Columns : weights.Rows;
        int threads = device.RowThreads(entries);

        // Neighbouring threads read neighbouring entries: of one row, or of neighbouring columns.
        int linesOfGroup = axis == 1 ? 1 : Math.Min(threads, LinesOfGroup);
        ArrayView<int> last = device.Workspace<int>("protection", 2 * lines);
        device.Launch(
            (lines + linesOfGroup - 1) / linesOfGroup, 1, threads,
            new LastProtectedKernel(
                weights.View, lines, entries, axis == 1 ? weights.Columns : 1, axis == 1 ? 1 : weights.Columns, linesOfGroup, Math.Min(minimumAlive, entries), last));
        return new Protection(last, weights.Columns, axis, lines);
    }

    /// <summary>What the search knows, in device memory.</summary>
    private static class State
    {
        /// <summary>The digits found, the bits below them 0.</summary>
        public const int Threshold = 0;

        /// <summary>How many of the entries that begin with these digits are to be kept.</summary>
        public const int Wanted = 1;
        public const int Length = 2;
    }

    /// <summary>Whether an entry is among the largest of its line: axis 1 protects rows, 0 columns, -1 nothing.</summary>
    internal readonly struct Protection(ArrayView<int> last, int columns, int axis, int lines)
    {
        public int Has(int i, int magnitude)
        {
            if (axis < 0)
            {
                return 0;
            }

            int row = i / columns;
            int column = i - (row * columns);
            int line = axis == 1 ? row : column;
            int index = axis == 1 ? column : row;
            int least = last[line];
            return magnitude > least || (magnitude == least && index <= last[lines + line]) ? 1 : 0;
        }
    }

    /// <summary>A group is one row or some neighbouring columns; in each round every line finds the largest entry behind that of the round before.</summary>
    internal readonly struct LastProtectedKernel(
        ArrayView<float> weights, int lines, int entries, int lineStride, int entryStride, int linesOfGroup, int alive, ArrayView<int> last) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> magnitudes = SharedMemory.Allocate<int>(GroupReduction.MaximumThreads);
            ArrayView<int> indices = SharedMemory.Allocate<int>(GroupReduction.MaximumThreads);
            ArrayView<int> winners = SharedMemory.Allocate<int>(2 * LinesOfGroup);
            int lineOfGroup = Group.IdxX % linesOfGroup;
            int line = (Grid.IdxX * linesOfGroup) + lineOfGroup;
            int step = Group.DimX / linesOfGroup;
            int magnitude = int.MaxValue;
            int index = -1;
            for (int round = 0; round < alive; round++)
            {
                int best = -1;
                int where = 0;
                if (line < lines)
                {
                    for (int entry = Group.IdxX / linesOfGroup; entry < entries; entry += step)
                    {
                        int candidate = DigitCounts.Magnitude(weights[(line * lineStride) + (entry * entryStride)]);
                        bool isBehind = candidate < magnitude || (candidate == magnitude && entry > index);
                        if (isBehind && candidate > best)
                        {
                            best = candidate;
                            where = entry;
                        }
                    }
                }

                magnitudes[Group.IdxX] = best;
                indices[Group.IdxX] = where;
                Group.Barrier();
                if (Group.IdxX < linesOfGroup)
                {
                    for (int thread = Group.IdxX + linesOfGroup; thread < Group.DimX; thread += linesOfGroup)
                    {
                        if (magnitudes[thread] > best || (magnitudes[thread] == best && indices[thread] < where))
                        {
                            best = magnitudes[thread];
                            where = indices[thread];
                        }
                    }

                    winners[Group.IdxX] = best;
                    winners[linesOfGroup + Group.IdxX] = where;
                }

                Group.Barrier();
                magnitude = winners[lineOfGroup];
                index = winners[linesOfGroup + lineOfGroup];
            }

            if (Group.IdxX < linesOfGroup && line < lines)
            {
                last[line] = magnitude;
                last[lines + line] = index;
            }
        }
    }

    /// <summary>A group counts the digits of a run of unprotected entries; the first pass finds no state yet.</summary>
    internal readonly struct CountKernel(
        ArrayView<float> weights, int length, Protection protection, ArrayView<int> state, int shift, ArrayView<int> partial, int groups) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.SharedLength);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            int prefix = 0;
            if (shift < DigitCounts.FirstShift)
            {
                prefix = state[State.Threshold];
            }

            int first = Grid.IdxX * EntriesOfGroup;
            int end = first + EntriesOfGroup < length ? first + EntriesOfGroup : length;
            DigitCounts.Clear(counts);
            for (int i = first + Group.IdxX; i < end; i += Group.DimX)
            {
                int magnitude = DigitCounts.Magnitude(weights[i]);
                if (protection.Has(i, magnitude) == 0)
                {
                    DigitCounts.Add(counts, magnitude, prefix, shift);
                }
            }

            Group.Barrier();
            DigitCounts.Total(counts, totals);
            Group.Barrier();
            for (int digit = Group.IdxX; digit < DigitCounts.Digits; digit += Group.DimX)
            {
                partial[(digit * groups) + Grid.IdxX] = totals[digit];
            }
        }
    }

    /// <summary>One group: adds up the groups' counts and takes the digit that holds the k-th.</summary>
    internal readonly struct SelectKernel(ArrayView<int> partial, int groups, ArrayView<int> state, int keep, int shift) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.SharedLength);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            DigitCounts.Clear(counts);
            for (int group = Group.IdxX; group < groups; group += Group.DimX)
            {
                for (int digit = 0; digit < DigitCounts.Digits; digit++)
                {
                    counts[(digit * Group.DimX) + Group.IdxX] += partial[(digit * groups) + group];
                }
            }

            Group.Barrier();
            DigitCounts.Total(counts, totals);
            Group.Barrier();
            if (Group.IdxX == 0)
            {
                int wanted = keep;
                int threshold = 0;
                if (shift < DigitCounts.FirstShift)
                {
                    wanted = state[State.Wanted];
                    threshold = state[State.Threshold];
                }

                int digit = DigitCounts.DigitOfKth(totals, ref wanted);
                state[State.Threshold] = threshold | (digit << shift);
                state[State.Wanted] = wanted;
            }
        }
    }

    /// <summary>One group, after the last digit: how many unprotected entries equal to the threshold lie in the runs before each, and in all.</summary>
    internal readonly struct TiesKernel(ArrayView<int> partial, int groups, ArrayView<int> state, ArrayView<int> tiesBefore) : IKernel
    {
        public void Execute()
        {
            int digit = state[State.Threshold] & (DigitCounts.Digits - 1);
            IndexLists.Scan(partial.SubView(digit * groups, groups), tiesBefore, groups);
        }
    }

    /// <summary>A group zeroes a run of entries. Of those equal to the threshold the first are kept: in all runs but one, that is all or none.</summary>
    internal readonly struct ApplyKernel(
        ArrayView<float> weights, int length, Protection protection, ArrayView<int> state, ArrayView<int> tiesBefore) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(GroupReduction.MaximumThreads);
            int wanted = state[State.Wanted];
            int threshold = wanted == 0 ? int.MaxValue : state[State.Threshold];
            int kept = wanted - tiesBefore[Grid.IdxX];
            int ties = tiesBefore[Grid.IdxX + 1] - tiesBefore[Grid.IdxX];
            int first = Grid.IdxX * EntriesOfGroup;
            int end = first + EntriesOfGroup < length ? first + EntriesOfGroup : length;
            if (kept <= 0 || kept >= ties)
            {
                // With threads side by side, to read them in one go.
                for (int i = first + Group.IdxX; i < end; i += Group.DimX)
                {
                    int magnitude = DigitCounts.Magnitude(weights[i]);
                    bool isKept = magnitude > threshold || (magnitude == threshold && kept > 0) || protection.Has(i, magnitude) != 0;
                    if (!isKept)
                    {
                        weights[i] = 0f;
                    }
                }

                return;
            }

            int run = (end - first + Group.DimX - 1) / Group.DimX;
            int start = first + (Group.IdxX * run);
            int stop = start + run < end ? start + run : end;
            int own = 0;
            for (int i = start; i < stop; i++)
            {
                if (DigitCounts.Magnitude(weights[i]) == threshold)
                {
                    own += 1 - protection.Has(i, threshold);
                }
            }

            counts[Group.IdxX] = own;
            Group.Barrier();
            int before = 0;
            for (int thread = 0; thread < Group.IdxX; thread++)
            {
                before += counts[thread];
            }

            for (int i = start; i < stop; i++)
            {
                int magnitude = DigitCounts.Magnitude(weights[i]);
                if (magnitude > threshold || protection.Has(i, magnitude) != 0)
                {
                    continue;
                }

                if (magnitude == threshold)
                {
                    before++;
                }

                if (magnitude < threshold || before > kept)
                {
                    weights[i] = 0f;
                }
            }
        }
    }
}
