using ILGPU;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Zeroes all but the k entries of largest magnitude of each of many matrices (official apply_topk_), every row or column keeping its
/// minimum. The thresholds are found on the bits of |w| as in <see cref="AbsTopK"/>, over all groups of a matrix; the host learns nothing
/// of them. A launch goes over all matrices.
/// </summary>
internal static class WeightTopK
{
    /// <summary>A pass reads the counts of the one before.</summary>
    private const int PassesKept = 2;

    /// <summary>In place.</summary>
    public static void KeepLargest(GpuDevice device, GpuWeightList weights, ReadOnlySpan<WeightBudget> budgets)
    {
        SparseWeights.Reserve(device, weights);
        foreach (WeightSelection selection in weights.Selections(budgets))
        {
            KeepLargest(device, selection, selection.Write(budgets.Slice(selection.First, selection.Count)));
        }

        for (int i = 0; i < weights.Tensors.Count; i++)
        {
            weights[i].Changed(budgets[i].Keep);
        }
    }

    private static void KeepLargest(GpuDevice device, WeightSelection selection, BudgetTable budgets)
    {
        ArrayView<int> last = selection.Protection;
        if (selection.Lines is { } lines)
        {
            device.Launch(
                lines.Groups,
                1,
                selection.LineThreads,
                new MinimumAlive.LastKernel(lines.Runs, budgets, selection.Weights, last)
            );
        }

        int groups = selection.Entries.Groups;
        TensorRuns runs = selection.Entries.Runs;
        var search = new Search(
            device.Workspace<int>("digit counts", PassesKept * DigitCounts.Digits * groups),
            device.Workspace<int>("top-k state", DigitCounts.Passes * State.Length * selection.Count),
            groups
        );
        for (int pass = 0; pass < DigitCounts.Passes; pass++)
        {
            device.Launch(groups, 1, selection.Threads, new CountKernel(runs, budgets, last, selection.Weights, pass, search));
        }

        device.Launch(groups, 1, selection.Threads, new ApplyKernel(runs, budgets, last, selection.Weights, search));
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
    /// The search for the k-th magnitude of each matrix, a digit a pass. Each group adds up all groups' counts of the pass before for
    /// itself, rather than that a launch between any two did it for all; the first leaves the sum's outcome for the pass after.
    /// </summary>
    /// <param name="counts">[2, groups, 16]: of every other pass.</param>
    /// <param name="states">[matrices, passes, 2].</param>
    /// <param name="allGroups">How many count.</param>
    internal readonly struct Search(ArrayView<int> counts, ArrayView<int> states, int allGroups)
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
        /// <param name="runs">Which groups are the matrix's.</param>
        /// <param name="tensor">The group's matrix.</param>
        /// <param name="keep">How many of its entries to keep besides the protected ones.</param>
        /// <param name="shared">As for counting.</param>
        /// <param name="totals">As for counting.</param>
        /// <param name="wanted">Of the entries that begin with the digits found, how many are to be kept.</param>
        /// <returns>The digits found, the bits below them 0.</returns>
        public int Threshold(int pass, TensorRuns runs, int tensor, int keep, ArrayView<int> shared, ArrayView<int> totals, out int wanted)
        {
            int state = ((tensor * DigitCounts.Passes) + pass) * State.Length;
            int threshold = 0;
            wanted = keep;
            if (pass > 1)
            {
                threshold = states[state - State.Length + State.Threshold];
                wanted = states[state - State.Length + State.Wanted];
            }

            // The counts of a pass lie side by side. A thread reads counts of one digit only, if there are sixteen threads or more.
            DigitCounts.Clear(shared);
            int firstGroup = runs.FirstGroupOf(tensor);
            int end = (runs.FirstGroupOf(tensor + 1) - firstGroup) * DigitCounts.Digits;
            int first = PlaceOf(pass - 1, firstGroup);
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
            if (Grid.IdxX == firstGroup && Group.IdxX == 0 && pass < DigitCounts.Passes)
            {
                states[state + State.Threshold] = threshold;
                states[state + State.Wanted] = wanted;
            }

            Group.Barrier();
            return threshold;
        }

        /// <summary>
        /// After the last pass: how many entries equal to the threshold lie in the runs before a group's, and in its own; barriers inside.
        /// </summary>
        public int TiesBefore(int firstGroup, int threshold, ArrayView<int> shared, out int own)
        {
            int digit = threshold & (DigitCounts.Digits - 1);
            int sum = 0;
            for (int group = firstGroup + Group.IdxX; group < Grid.IdxX; group += Group.DimX)
            {
                sum += counts[PlaceOf(DigitCounts.Passes - 1, group) + digit];
            }

            own = counts[PlaceOf(DigitCounts.Passes - 1, Grid.IdxX) + digit];
            return GroupReduction.Sum(sum, shared);
        }

        private int PlaceOf(int pass, int group) => (((pass & (PassesKept - 1)) * allGroups) + group) * DigitCounts.Digits;
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
        TensorRuns runs,
        BudgetTable budgets,
        ArrayView<int> last,
        ArrayView<float> weights,
        int pass,
        Search search
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.SharedLength);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            int tensor = runs.OfGroup(out int first, out int end);
            int prefix = 0;
            if (pass > 0)
            {
                prefix = search.Threshold(pass, runs, tensor, budgets.KeepOf(tensor), counts, totals, out _);
            }

            ArrayView<float> own = weights.SubView(runs.PlaceOf(tensor, 0), end);
            var alive = MinimumAlive.Of(budgets, tensor, last);
            int columns = budgets.ColumnsOf(tensor);
            int shift = DigitCounts.ShiftOf(pass);
            var cursor = new Cursor(first + Group.IdxX, columns);
            DigitCounts.Clear(counts);
            for (int i = first + Group.IdxX; i < end; i += 4 * Group.DimX)
            {
                // Four loads are on their way at once.
                int second = i + Group.DimX;
                int third = second + Group.DimX;
                int fourth = third + Group.DimX;
                float value0 = own[i];
                float value1 = second < end ? own[second] : 0f;
                float value2 = third < end ? own[third] : 0f;
                float value3 = fourth < end ? own[fourth] : 0f;
                Count(counts, ref cursor, columns, alive, value0, 1, prefix, shift);
                Count(counts, ref cursor, columns, alive, value1, second < end ? 1 : 0, prefix, shift);
                Count(counts, ref cursor, columns, alive, value2, third < end ? 1 : 0, prefix, shift);
                Count(counts, ref cursor, columns, alive, value3, fourth < end ? 1 : 0, prefix, shift);
            }

            DigitCounts.Total(counts, totals);
            search.Store(pass, totals);
        }

        private static void Count(
            ArrayView<int> counts,
            ref Cursor cursor,
            int columns,
            MinimumAlive alive,
            float value,
            int isThere,
            int prefix,
            int shift
        )
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
    internal readonly struct ApplyKernel(TensorRuns runs, BudgetTable budgets, ArrayView<int> last, ArrayView<float> weights, Search search)
        : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.SharedLength);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            int tensor = runs.OfGroup(out int first, out int end);
            int threshold = search.Threshold(DigitCounts.Passes, runs, tensor, budgets.KeepOf(tensor), counts, totals, out int wanted);
            int kept = wanted - search.TiesBefore(runs.FirstGroupOf(tensor), threshold, counts, out int ties);
            threshold = wanted == 0 ? int.MaxValue : threshold;
            ArrayView<float> entries = weights.SubView(runs.PlaceOf(tensor, 0), end);
            var alive = MinimumAlive.Of(budgets, tensor, last);
            int columns = budgets.ColumnsOf(tensor);
            if (kept <= 0 || kept >= ties)
            {
                // With threads side by side, to read them in one go.
                var cursor = new Cursor(first + Group.IdxX, columns);
                for (int i = first + Group.IdxX; i < end; i += Group.DimX)
                {
                    int magnitude = DigitCounts.Magnitude(entries[i]);
                    bool isKept = magnitude > threshold || (magnitude == threshold && kept > 0);
                    if (!isKept && magnitude != 0 && !alive.Has(cursor.Row, cursor.Column, magnitude))
                    {
                        entries[i] = 0f;
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
                if (i < end && DigitCounts.Magnitude(entries[i]) == threshold && !alive.Has(counting.Row, counting.Column, threshold))
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
                    int magnitude = DigitCounts.Magnitude(entries[i]);
                    if (magnitude <= threshold && !alive.Has(applying.Row, applying.Column, magnitude))
                    {
                        int isTie = magnitude == threshold ? 1 : 0;
                        if (isTie == 0 || place >= kept)
                        {
                            entries[i] = 0f;
                        }

                        place += isTie;
                    }
                }

                applying.Advance(1, columns);
            }
        }
    }
}
