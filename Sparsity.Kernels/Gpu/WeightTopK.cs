using ILGPU;
using ILGPU.Runtime;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Zeroes all but the k entries of largest magnitude of a matrix (official apply_topk_), every row or column keeping its minimum. The threshold is found on the
/// bits of |w| as in <see cref="AbsTopK"/>, over all groups; the host waits once, to learn whether there is a NaN and whether ties are to be broken.
/// </summary>
internal static class WeightTopK
{
    private const int EntriesOfGroup = 1 << 14;
    private const int EntriesOfTieRun = 64;
    private const int LinesOfGroup = 32;

    /// <summary>A counter beside the digits: how many entries are NaN.</summary>
    private const int Counters = DigitCounts.Digits + 1;

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
        ArrayView<int> partial = device.Workspace<int>("digit counts", groups * Counters);
        ArrayView<int> state = device.Workspace<int>("top-k state", State.Length);
        ReadOnlySpan<int> initial = [0, keep - protectedCount, 0, 0];
        state.CopyFromCPU(initial);
        for (int shift = DigitCounts.FirstShift; shift >= 0; shift -= DigitCounts.Bits)
        {
            device.Launch(groups, 1, threads, new CountKernel(weights.View, length, protection, state, shift, partial));
            device.Launch(1, 1, device.RowThreads(groups), new SelectKernel(partial, groups, state, shift));
        }

        Span<int> found = stackalloc int[State.Length];
        state.CopyToCPU(found);
        if (found[State.NotNumbers] > 0)
        {
            throw new NumericalException($"{weights.Name}: entry {FirstNotANumber(weights)} is NaN.");
        }

        int ties = found[State.Ties];
        int wanted = found[State.Wanted];
        if (wanted == ties || wanted == 0)
        {
            int least = wanted == 0 ? int.MaxValue : found[State.Threshold];
            device.LaunchForEach(length, new ApplyKernel(weights.View, length, protection, least));
        }
        else
        {
            int runs = (length + EntriesOfTieRun - 1) / EntriesOfTieRun;
            ArrayView<int> counts = device.Workspace<int>("list counts", runs);
            ArrayView<int> before = device.Workspace<int>("ties", runs + 1);
            device.LaunchForEach(runs, new TieCountKernel(weights.View, length, protection, found[State.Threshold], counts, runs));
            IndexLists.StartsOfCounts(device, counts, before, runs);
            device.LaunchForEach(runs, new ApplyTiesKernel(weights.View, length, protection, found[State.Threshold], wanted, before, runs));
        }

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

    private static int FirstNotANumber(GpuWeights weights)
    {
        var values = new float[weights.Length];
        weights.View.CopyToCPU(values.AsSpan());
        return Array.FindIndex(values, float.IsNaN);
    }

    /// <summary>What the search knows, in device memory.</summary>
    private static class State
    {
        public const int Threshold = 0;
        public const int Wanted = 1;
        public const int NotNumbers = 2;
        public const int Ties = 3;
        public const int Length = 4;
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

    /// <summary>A group counts the digits of a run of entries.</summary>
    internal readonly struct CountKernel(
        ArrayView<float> weights, int length, Protection protection, ArrayView<int> state, int shift, ArrayView<int> partial) : IKernel
    {
        private const int InfinityBits = 0x7F800000;

        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.SharedLength);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            ArrayView<int> notNumbers = SharedMemory.Allocate<int>(GroupReduction.MaximumThreads);
            int prefix = state[State.Threshold];
            int first = Grid.IdxX * EntriesOfGroup;
            int end = first + EntriesOfGroup < length ? first + EntriesOfGroup : length;
            int bad = 0;
            DigitCounts.Clear(counts);
            for (int i = first + Group.IdxX; i < end; i += Group.DimX)
            {
                int magnitude = DigitCounts.Magnitude(weights[i]);
                bad += magnitude > InfinityBits ? 1 : 0;
                if (protection.Has(i, magnitude) == 0)
                {
                    DigitCounts.Add(counts, magnitude, prefix, shift);
                }
            }

            notNumbers[Group.IdxX] = bad;
            Group.Barrier();
            DigitCounts.Total(counts, totals);
            Group.Barrier();
            for (int digit = Group.IdxX; digit < DigitCounts.Digits; digit += Group.DimX)
            {
                partial[(Grid.IdxX * Counters) + digit] = totals[digit];
            }

            if (Group.IdxX == 0)
            {
                for (int thread = 1; thread < Group.DimX; thread++)
                {
                    bad += notNumbers[thread];
                }

                partial[(Grid.IdxX * Counters) + DigitCounts.Digits] = bad;
            }
        }
    }

    /// <summary>One group: adds up the groups' counts and takes the digit that holds the k-th.</summary>
    internal readonly struct SelectKernel(ArrayView<int> partial, int groups, ArrayView<int> state, int shift) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.SharedLength);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            ArrayView<int> notNumbers = SharedMemory.Allocate<int>(GroupReduction.MaximumThreads);
            int bad = 0;
            DigitCounts.Clear(counts);
            for (int group = Group.IdxX; group < groups; group += Group.DimX)
            {
                for (int digit = 0; digit < DigitCounts.Digits; digit++)
                {
                    counts[(digit * Group.DimX) + Group.IdxX] += partial[(group * Counters) + digit];
                }

                bad += partial[(group * Counters) + DigitCounts.Digits];
            }

            notNumbers[Group.IdxX] = bad;
            Group.Barrier();
            DigitCounts.Total(counts, totals);
            Group.Barrier();
            if (Group.IdxX == 0)
            {
                for (int thread = 1; thread < Group.DimX; thread++)
                {
                    bad += notNumbers[thread];
                }

                int wanted = state[State.Wanted];
                int digit = DigitCounts.DigitOfKth(totals, ref wanted);
                state[State.Threshold] |= digit << shift;
                state[State.Wanted] = wanted;
                state[State.NotNumbers] = bad;
                state[State.Ties] = totals[digit];
            }
        }
    }

    internal readonly struct ApplyKernel(ArrayView<float> weights, int length, Protection protection, int least) : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int magnitude = DigitCounts.Magnitude(weights[i]);
                if (magnitude < least && protection.Has(i, magnitude) == 0)
                {
                    weights[i] = 0f;
                }
            }
        }
    }

    /// <summary>A thread counts the unprotected entries equal to the threshold in a run.</summary>
    internal readonly struct TieCountKernel(
        ArrayView<float> weights, int length, Protection protection, int threshold, ArrayView<int> counts, int runs) : IKernel
    {
        public void Execute()
        {
            int run = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (run < runs)
            {
                int first = run * EntriesOfTieRun;
                int end = first + EntriesOfTieRun < length ? first + EntriesOfTieRun : length;
                int count = 0;
                for (int i = first; i < end; i++)
                {
                    if (DigitCounts.Magnitude(weights[i]) == threshold)
                    {
                        count += 1 - protection.Has(i, threshold);
                    }
                }

                counts[run] = count;
            }
        }
    }

    /// <summary>A thread walks a run in order, keeping of the entries equal to the threshold the first ones that are wanted.</summary>
    internal readonly struct ApplyTiesKernel(
        ArrayView<float> weights, int length, Protection protection, int threshold, int wanted, ArrayView<int> tiesBefore, int runs) : IKernel
    {
        public void Execute()
        {
            int run = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (run < runs)
            {
                int first = run * EntriesOfTieRun;
                int end = first + EntriesOfTieRun < length ? first + EntriesOfTieRun : length;
                int before = tiesBefore[run];
                for (int i = first; i < end; i++)
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

                    if (magnitude < threshold || before > wanted)
                    {
                        weights[i] = 0f;
                    }
                }
            }
        }
    }
}
