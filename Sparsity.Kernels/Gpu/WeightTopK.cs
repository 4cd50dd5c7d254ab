using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Zeroes all but the k entries of largest magnitude of a matrix (official apply_topk_), every row or column keeping its minimum. The
/// threshold is found on the bits of |w| as in <see cref="AbsTopK"/>, over all groups; the host learns nothing of it.
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
        weights.Sparse.Reserve();
        int length = weights.Length;
        int protectedCount = aliveAxis is null ? 0 : minimumAlive * (aliveAxis == 1 ? weights.Rows : weights.Columns);
        if (protectedCount > keep)
        {
            throw new ArgumentException(
                $"{weights.Name}: the minimum alive protects {protectedCount} entries, more than the {keep} to keep."
            );
        }

        if (protectedCount == 0 && length <= EntriesOfGroup)
        {
            AbsTopK.KeepLargest(device, weights.View, length, keep);
            weights.Changed(keep);
            return;
        }

        Protection protection =
            protectedCount == 0
                ? new Protection(device.Workspace<int>("protection", 2), weights.Columns, -1, 1)
                : Protect(device, weights, aliveAxis!.Value, minimumAlive);
        int groups = (length + EntriesOfGroup - 1) / EntriesOfGroup;
        int threads = device.RowThreads(Math.Min(length, EntriesOfGroup));
        var search = new Search(
            device.Workspace<int>("digit counts", DigitCounts.Passes * DigitCounts.Digits * groups),
            device.Workspace<int>("top-k state", DigitCounts.Passes * State.Length),
            groups,
            keep - protectedCount
        );
        for (int pass = 0; pass < DigitCounts.Passes; pass++)
        {
            device.Launch(groups, 1, threads, new CountKernel(weights.View, length, protection, search, pass));
        }

        device.Launch(groups, 1, threads, new ApplyKernel(weights.View, length, protection, search));
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
            (lines + linesOfGroup - 1) / linesOfGroup,
            1,
            threads,
            new LastProtectedKernel(
                weights.View,
                lines,
                entries,
                axis == 1 ? weights.Columns : 1,
                axis == 1 ? 1 : weights.Columns,
                linesOfGroup,
                Math.Min(minimumAlive, entries),
                last
            )
        );
        return new Protection(last, weights.Columns, axis, lines);
    }

    /// <summary>What is known before a pass, in device memory.</summary>
    private static class State
    {
        /// <summary>The digits found, the bits below them 0.</summary>
        public const int Threshold = 0;

        /// <summary>How many of the entries that begin with these digits are to be kept.</summary>
        public const int Wanted = 1;
        public const int Length = 2;
    }

    /// <summary>
    /// The search for the k-th magnitude, a digit a pass. Each group adds up all groups' counts of the pass before for itself, rather than
    /// that a launch between any two did it for all; the first leaves the sum's outcome for the pass after.
    /// </summary>
    internal readonly struct Search(ArrayView<int> counts, ArrayView<int> states, int groups, int keep)
    {
        /// <summary>Stores what a group counted in a pass.</summary>
        public void Store(int pass, ArrayView<int> totals)
        {
            for (int digit = Group.IdxX; digit < DigitCounts.Digits; digit += Group.DimX)
            {
                counts[PlaceOf(pass, digit) + Grid.IdxX] = totals[digit];
            }
        }

        /// <summary>What is known before a pass; barriers inside, and shared memory is free for other use afterwards.</summary>
        /// <param name="pass">From 1.</param>
        /// <param name="shared">As for counting.</param>
        /// <param name="totals">As for counting.</param>
        /// <param name="wanted">Of the entries that begin with the digits found, how many are to be kept.</param>
        /// <returns>The digits found, the bits below them 0.</returns>
        public int Threshold(int pass, ArrayView<int> shared, ArrayView<int> totals, out int wanted)
        {
            int threshold = 0;
            wanted = keep;
            if (pass > 1)
            {
                threshold = states[((pass - 1) * State.Length) + State.Threshold];
                wanted = states[((pass - 1) * State.Length) + State.Wanted];
            }

            for (int digit = 0; digit < DigitCounts.Digits; digit++)
            {
                int sum = 0;
                for (int group = Group.IdxX; group < groups; group += Group.DimX)
                {
                    sum += counts[PlaceOf(pass - 1, digit) + group];
                }

                shared[(digit * Group.DimX) + Group.IdxX] = sum;
            }

            Group.Barrier();
            DigitCounts.Total(shared, totals);
            Group.Barrier();
            threshold |= DigitCounts.DigitOfKth(totals, ref wanted) << DigitCounts.ShiftOf(pass - 1);
            if (Grid.IdxX == 0 && Group.IdxX == 0 && pass < DigitCounts.Passes)
            {
                states[(pass * State.Length) + State.Threshold] = threshold;
                states[(pass * State.Length) + State.Wanted] = wanted;
            }

            Group.Barrier();
            return threshold;
        }

        /// <summary>
        /// After the last pass: how many entries equal to the threshold lie in the runs before a group's, and in its own; barriers inside.
        /// </summary>
        public int TiesBefore(int threshold, ArrayView<int> shared, out int own)
        {
            int place = PlaceOf(DigitCounts.Passes - 1, threshold & (DigitCounts.Digits - 1));
            int sum = 0;
            for (int group = Group.IdxX; group < Grid.IdxX; group += Group.DimX)
            {
                sum += counts[place + group];
            }

            own = counts[place + Grid.IdxX];
            return GroupReduction.Sum(sum, shared);
        }

        private int PlaceOf(int pass, int digit) => ((pass * DigitCounts.Digits) + digit) * groups;
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

    /// <summary>
    /// A group is one row or some neighbouring columns; in each round every line finds the largest entry behind that of the round before.
    /// </summary>
    internal readonly struct LastProtectedKernel(
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
            ArrayView<int> magnitudes = SharedMemory.Allocate<int>(GroupReduction.MaximumThreads);
            ArrayView<int> indices = SharedMemory.Allocate<int>(GroupReduction.MaximumThreads);
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
                for (int half = Group.DimX >> 1; half >= linesOfGroup; half >>= 1)
                {
                    int other = Group.IdxX + half;
                    if (Group.IdxX < half && (magnitudes[other] > best || (magnitudes[other] == best && indices[other] < where)))
                    {
                        best = magnitudes[other];
                        where = indices[other];
                        magnitudes[Group.IdxX] = best;
                        indices[Group.IdxX] = where;
                    }

                    Group.Barrier();
                }

                magnitude = magnitudes[lineOfGroup];
                index = indices[lineOfGroup];
                Group.Barrier();
            }

            if (Group.IdxX < linesOfGroup && line < lines)
            {
                last[line] = magnitude;
                last[lines + line] = index;
            }
        }
    }

    /// <summary>A group counts the digits of a run of unprotected entries.</summary>
    internal readonly struct CountKernel(ArrayView<float> weights, int length, Protection protection, Search search, int pass) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.SharedLength);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            int prefix = 0;
            if (pass > 0)
            {
                prefix = search.Threshold(pass, counts, totals, out _);
            }

            int first = Grid.IdxX * EntriesOfGroup;
            int end = first + EntriesOfGroup < length ? first + EntriesOfGroup : length;
            DigitCounts.Clear(counts);
            for (int i = first + Group.IdxX; i < end; i += Group.DimX)
            {
                int magnitude = DigitCounts.Magnitude(weights[i]);
                if (protection.Has(i, magnitude) == 0)
                {
                    DigitCounts.Add(counts, magnitude, prefix, DigitCounts.ShiftOf(pass));
                }
            }

            Group.Barrier();
            DigitCounts.Total(counts, totals);
            Group.Barrier();
            search.Store(pass, totals);
        }
    }

    /// <summary>
    /// A group zeroes a run of entries. Of those equal to the threshold the first are kept: in all runs but one, that is all or none.
    /// </summary>
    internal readonly struct ApplyKernel(ArrayView<float> weights, int length, Protection protection, Search search) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.SharedLength);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            int threshold = search.Threshold(DigitCounts.Passes, counts, totals, out int wanted);
            int kept = wanted - search.TiesBefore(threshold, counts, out int ties);
            threshold = wanted == 0 ? int.MaxValue : threshold;
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
            int own = 0;
            for (int step = 0; step < run; step++)
            {
                int i = start + step;
                if (i < end && DigitCounts.Magnitude(weights[i]) == threshold)
                {
                    own += 1 - protection.Has(i, threshold);
                }
            }

            int place = GroupReduction.SumOfThreadsBefore(own, counts);
            for (int step = 0; step < run; step++)
            {
                int i = start + step;
                if (i < end)
                {
                    int magnitude = DigitCounts.Magnitude(weights[i]);
                    if (magnitude <= threshold && protection.Has(i, magnitude) == 0)
                    {
                        int isTie = magnitude == threshold ? 1 : 0;
                        if (isTie == 0 || place >= kept)
                        {
                            weights[i] = 0f;
                        }

                        place += isTie;
                    }
                }
            }
        }
    }
}
