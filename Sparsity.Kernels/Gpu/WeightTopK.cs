using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Zeroes all but the k entries of largest magnitude of a matrix (official apply_topk_), every row or column keeping its minimum. The
/// threshold is found on the bits of |w| as in <see cref="AbsTopK"/>, over all groups; the host learns nothing of it.
/// </summary>
internal static class WeightTopK
{
    /// <summary>More groups would spend longer on adding up each other's counts than they save.</summary>
    private const int MostGroups = 512;

    private const int LeastEntriesOfGroup = 1 << 11;

    /// <summary>Up to here one group alone is enough.</summary>
    private const int EntriesOfOneGroup = 1 << 12;

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

        if (protectedCount == 0 && length <= EntriesOfOneGroup)
        {
            AbsTopK.KeepLargest(device, weights.View, length, keep);
            weights.Changed(keep);
            return;
        }

        MinimumAlive alive =
            protectedCount == 0 ? MinimumAlive.Nothing(device) : MinimumAlive.Find(device, weights, aliveAxis!.Value, minimumAlive);
        int entriesOfGroup = Math.Max(LeastEntriesOfGroup, (length + MostGroups - 1) / MostGroups);
        int groups = (length + entriesOfGroup - 1) / entriesOfGroup;
        int threads = device.RowThreads(Math.Min(length, entriesOfGroup));
        var search = new Search(
            device.Workspace<int>("digit counts", DigitCounts.Passes * DigitCounts.Digits * groups),
            device.Workspace<int>("top-k state", DigitCounts.Passes * State.Length),
            groups,
            keep - protectedCount
        );
        for (int pass = 0; pass < DigitCounts.Passes; pass++)
        {
            device.Launch(groups, 1, threads, new CountKernel(weights.View, weights.Columns, length, entriesOfGroup, alive, search, pass));
        }

        device.Launch(groups, 1, threads, new ApplyKernel(weights.View, weights.Columns, length, entriesOfGroup, alive, search));
        weights.Changed(keep);
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
    /// <param name="counts">[passes, groups, 16].</param>
    /// <param name="states">[passes, 2].</param>
    /// <param name="groups">How many count.</param>
    /// <param name="keep">How many entries to keep besides the protected ones.</param>
    internal readonly struct Search(ArrayView<int> counts, ArrayView<int> states, int groups, int keep)
    {
        /// <summary>Stores what a group counted in a pass.</summary>
        public void Store(int pass, ArrayView<int> totals)
        {
            for (int digit = Group.IdxX; digit < DigitCounts.Digits; digit += Group.DimX)
            {
                counts[PlaceOf(pass, Grid.IdxX) + digit] = totals[digit];
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

            // The counts of a pass lie side by side. A thread reads counts of one digit only, if there are sixteen threads or more.
            DigitCounts.Clear(shared);
            int end = groups * DigitCounts.Digits;
            int first = PlaceOf(pass - 1, 0);
            for (int i = Group.IdxX; i < end; i += 4 * Group.DimX)
            {
                int second = i + Group.DimX;
                int third = second + Group.DimX;
                int fourth = third + Group.DimX;
                int count0 = counts[first + i];
                int count1 = second < end ? counts[first + second] : 0;
                int count2 = third < end ? counts[first + third] : 0;
                int count3 = fourth < end ? counts[first + fourth] : 0;
                shared[((i & (DigitCounts.Digits - 1)) * Group.DimX) + Group.IdxX] += count0;
                shared[((second & (DigitCounts.Digits - 1)) * Group.DimX) + Group.IdxX] += count1;
                shared[((third & (DigitCounts.Digits - 1)) * Group.DimX) + Group.IdxX] += count2;
                shared[((fourth & (DigitCounts.Digits - 1)) * Group.DimX) + Group.IdxX] += count3;
            }

            DigitCounts.Total(shared, totals);
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
            int digit = threshold & (DigitCounts.Digits - 1);
            int sum = 0;
            for (int group = Group.IdxX; group < Grid.IdxX; group += Group.DimX)
            {
                sum += counts[PlaceOf(DigitCounts.Passes - 1, group) + digit];
            }

            own = counts[PlaceOf(DigitCounts.Passes - 1, Grid.IdxX) + digit];
            return GroupReduction.Sum(sum, shared);
        }

        private int PlaceOf(int pass, int group) => ((pass * groups) + group) * DigitCounts.Digits;
    }

    /// <summary>Goes through entries at equal distances, and knows row and column of each: a division at the start only.</summary>
    private struct Cursor(int entry, int columns)
    {
        public int Row = entry / columns;
        public int Column = entry - (entry / columns * columns);

        public void Advance(int distance, int columns)
        {
            Column += distance;
            while (Column >= columns)
            {
                Column -= columns;
                Row++;
            }
        }
    }

    /// <summary>A group counts the digits of a run of unprotected entries.</summary>
    internal readonly struct CountKernel(
        ArrayView<float> weights,
        int columns,
        int length,
        int entriesOfGroup,
        MinimumAlive alive,
        Search search,
        int pass
    ) : IKernel
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

            int first = Grid.IdxX * entriesOfGroup;
            int end = first + entriesOfGroup < length ? first + entriesOfGroup : length;
            int shift = DigitCounts.ShiftOf(pass);
            var cursor = new Cursor(first + Group.IdxX, columns);
            DigitCounts.Clear(counts);
            for (int i = first + Group.IdxX; i < end; i += 4 * Group.DimX)
            {
                // Four loads are on their way at once.
                int second = i + Group.DimX;
                int third = second + Group.DimX;
                int fourth = third + Group.DimX;
                float value0 = weights[i];
                float value1 = second < end ? weights[second] : 0f;
                float value2 = third < end ? weights[third] : 0f;
                float value3 = fourth < end ? weights[fourth] : 0f;
                Count(counts, ref cursor, value0, 1, prefix, shift);
                Count(counts, ref cursor, value1, second < end ? 1 : 0, prefix, shift);
                Count(counts, ref cursor, value2, third < end ? 1 : 0, prefix, shift);
                Count(counts, ref cursor, value3, fourth < end ? 1 : 0, prefix, shift);
            }

            DigitCounts.Total(counts, totals);
            search.Store(pass, totals);
        }

        private void Count(ArrayView<int> counts, ref Cursor cursor, float value, int isThere, int prefix, int shift)
        {
            int magnitude = DigitCounts.Magnitude(value);
            if (isThere != 0 && DigitCounts.Matches(magnitude, prefix, shift) && !alive.Has(cursor.Row, cursor.Column, magnitude))
            {
                DigitCounts.Add(counts, magnitude, shift);
            }

            cursor.Advance(Group.DimX, columns);
        }
    }

    /// <summary>
    /// A group zeroes a run of entries. Of those equal to the threshold the first are kept: in all runs but one, that is all or none.
    /// </summary>
    internal readonly struct ApplyKernel(
        ArrayView<float> weights,
        int columns,
        int length,
        int entriesOfGroup,
        MinimumAlive alive,
        Search search
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.SharedLength);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            int threshold = search.Threshold(DigitCounts.Passes, counts, totals, out int wanted);
            int kept = wanted - search.TiesBefore(threshold, counts, out int ties);
            threshold = wanted == 0 ? int.MaxValue : threshold;
            int first = Grid.IdxX * entriesOfGroup;
            int end = first + entriesOfGroup < length ? first + entriesOfGroup : length;
            if (kept <= 0 || kept >= ties)
            {
                // With threads side by side, to read them in one go.
                var cursor = new Cursor(first + Group.IdxX, columns);
                for (int i = first + Group.IdxX; i < end; i += Group.DimX)
                {
                    int magnitude = DigitCounts.Magnitude(weights[i]);
                    bool isKept = magnitude > threshold || (magnitude == threshold && kept > 0);
                    if (!isKept && magnitude != 0 && !alive.Has(cursor.Row, cursor.Column, magnitude))
                    {
                        weights[i] = 0f;
                    }

                    cursor.Advance(Group.DimX, columns);
                }

                return;
            }

            // Each thread takes a run of entries, counts its ties, and learns how many come before them.
            int run = (end - first + Group.DimX - 1) / Group.DimX;
            int start = first + (Group.IdxX * run);
            int own = 0;
            var counting = new Cursor(start, columns);
            for (int step = 0; step < run; step++)
            {
                int i = start + step;
                if (i < end && DigitCounts.Magnitude(weights[i]) == threshold && !alive.Has(counting.Row, counting.Column, threshold))
                {
                    own++;
                }

                counting.Advance(1, columns);
            }

            int place = GroupReduction.SumOfThreadsBefore(own, counts);
            var applying = new Cursor(start, columns);
            for (int step = 0; step < run; step++)
            {
                int i = start + step;
                if (i < end)
                {
                    int magnitude = DigitCounts.Magnitude(weights[i]);
                    if (magnitude <= threshold && !alive.Has(applying.Row, applying.Column, magnitude))
                    {
                        int isTie = magnitude == threshold ? 1 : 0;
                        if (isTie == 0 || place >= kept)
                        {
                            weights[i] = 0f;
                        }

                        place += isTie;
                    }
                }

                applying.Advance(1, columns);
            }
        }
    }
}
