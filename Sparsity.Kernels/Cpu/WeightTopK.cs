using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Zeroes all but the k entries of largest magnitude of a matrix (official apply_topk_), every row or column keeping its minimum.
/// Magnitudes are compared as the integers of their bits, which order the same. Entries above a window around the last step's threshold are
/// counted and those inside it collected, in one pass; where the threshold has left the window, a histogram of the upper 16 bits finds it.
/// The result does not depend on where the window was.
/// </summary>
internal static unsafe class WeightTopK
{
    internal const int AbsoluteBits = 0x7FFFFFFF;
    private const int Buckets = 1 << 15;
    internal const int EntriesOfItem = 1 << 14;
    private const int Lanes = 16;
    private const int NarrowestWindow = 1 << 14;
    private const int WidestWindow = 1 << 20;

    /// <summary>In place.</summary>
    public static void KeepLargest(WorkerPool pool, CpuWeights weights, WeightBudget budget)
    {
        (int keep, int? aliveAxis, int minimumAlive) = budget;
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keep, weights.Length);
        int alive = aliveAxis is null ? 0 : Math.Min(minimumAlive, aliveAxis == 1 ? weights.Columns : weights.Rows);
        int protectedCount = alive * (aliveAxis == 1 ? weights.Rows : weights.Columns);
        if (protectedCount > keep)
        {
            throw new ArgumentException(
                $"{weights.Name}: the minimum alive protects {protectedCount} entries, more than the {keep} to keep."
            );
        }

        int rowsOfItem = Math.Max(1, EntriesOfItem / weights.Columns);
        int items = (weights.Rows + rowsOfItem - 1) / rowsOfItem;
        int lines = RoundUp(Math.Max(weights.Rows, weights.Columns));
        int histograms = pool.Workers * Buckets;
        int* shared = (int*)pool.Shared(checked(weights.Length + (2 * lines) + (2 * items) + histograms));
        int* lineThresholds = shared;
        int* lastTies = lineThresholds + lines;
        int* above = lastTies + lines;
        int* inside = above + items;
        int* histogram = inside + items;
        int* candidates = histogram + histograms;
        if (protectedCount > 0)
        {
            MinimumAlive.Thresholds(pool, weights, aliveAxis!.Value, alive, lineThresholds, lastTies);
        }

        var matrix = new Matrix(weights, rowsOfItem, protectedCount == 0 ? null : aliveAxis, lineThresholds, lastTies);
        var window = new Window(pool, matrix, items, above, inside, histogram, candidates);
        int threshold = window.Find(keep - protectedCount, out long lastTie);
        pool.Run(items, new ApplyJob(matrix, threshold, lastTie));
    }

    private static int RoundUp(int count) => (count + Lanes - 1) / Lanes * Lanes;

    /// <summary>Magnitudes of up to 16 entries as bits; 0 beyond <paramref name="count"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<int> LoadBits(int* bits, int count) =>
        count >= Lanes ? Vector512.Load(bits) & Vector512.Create(AbsoluteBits) : LoadLastBits(bits, count);

    /// <summary>By itself, as a method with memory on the stack is not inlined.</summary>
    private static Vector512<int> LoadLastBits(int* bits, int count)
    {
        int* padded = stackalloc int[Lanes];
        for (int i = 0; i < Lanes; i++)
        {
            padded[i] = i < count ? bits[i] & AbsoluteBits : 0;
        }

        return Vector512.Load(padded);
    }

    /// <summary>
    /// The matrix and which of its entries are protected: of a line (row or column), those above its threshold, and those equal to it up to
    /// the place of the last tie.
    /// </summary>
    private readonly struct Matrix(CpuWeights weights, int rowsOfItem, int? aliveAxis, int* lineThresholds, int* lastTies)
    {
        public CpuWeights Weights => weights;

        public int* Bits => (int*)weights.Data;

        public int Columns => weights.Columns;

        public int FirstRow(int item) => item * rowsOfItem;

        public int EndRow(int item) => Math.Min(weights.Rows, (item + 1) * rowsOfItem);

        /// <summary>All bits set for the protected of 16 entries of a row.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<int> Protected(Vector512<int> bits, int row, int column)
        {
            if (aliveAxis is null)
            {
                return Vector512<int>.Zero;
            }

            Vector512<int> threshold;
            Vector512<int> place;
            Vector512<int> last;
            if (aliveAxis == 1)
            {
                threshold = Vector512.Create(lineThresholds[row]);
                place = Vector512.Create(column) + Vector512<int>.Indices;
                last = Vector512.Create(lastTies[row]);
            }
            else
            {
                threshold = Vector512.Load(lineThresholds + column);
                place = Vector512.Create(row);
                last = Vector512.Load(lastTies + column);
            }

            return Vector512.GreaterThan(bits, threshold) | (Vector512.Equals(bits, threshold) & Vector512.LessThanOrEqual(place, last));
        }
    }

    /// <summary>Finds the threshold among the entries that are not protected.</summary>
    private readonly struct Window(WorkerPool pool, Matrix matrix, int items, int* above, int* inside, int* histogram, int* candidates)
    {
        /// <summary>The bits of the <paramref name="wanted"/>-th largest magnitude; 0 where fewer are not zero.</summary>
        /// <param name="wanted">From 0.</param>
        /// <param name="lastTie">Entries equal to the threshold are kept up to this index.</param>
        public int Find(int wanted, out long lastTie)
        {
            CpuWeights weights = matrix.Weights;
            lastTie = -1;
            int last = weights.Threshold;
            if (wanted == 0)
            {
                // All are protected, or none kept.
                return int.MaxValue;
            }

            int threshold;
            int ties;
            if (
                last > 0
                && Search(
                    wanted,
                    Math.Max(1, last - weights.ThresholdWindow),
                    AtMost((long)last + weights.ThresholdWindow),
                    out threshold,
                    out ties
                )
            )
            {
                weights.ThresholdWindow = (int)Math.Clamp(4L * Math.Abs(threshold - last), NarrowestWindow, WidestWindow);
            }
            else
            {
                int bucket = Bucket(wanted);
                if (!Search(wanted, Math.Max(1, bucket << 16), AtMost((bucket + 1L) << 16), out threshold, out ties))
                {
                    // No window ends above the NaN of largest bits.
                    (threshold, ties) = (int.MaxValue, wanted);
                }

                weights.ThresholdWindow = WidestWindow / 8;
            }

            weights.Threshold = threshold;
            if (threshold > 0)
            {
                lastTie = LastTie(threshold, ties);
            }

            return threshold;
        }

        private static int AtMost(long high) => (int)Math.Min(high, int.MaxValue);

        /// <summary>Whether the threshold lies in [low, high).</summary>
        private bool Search(int wanted, int low, int high, out int threshold, out int ties)
        {
            pool.Run(items, new WindowJob(matrix, low, high, above, inside, candidates));
            int count = 0;
            int higher = 0;
            for (int item = 0; item < items; item++)
            {
                int* source = candidates + ((long)matrix.FirstRow(item) * matrix.Columns);
                new ReadOnlySpan<int>(source, inside[item]).CopyTo(new Span<int>(candidates + count, inside[item]));
                count += inside[item];
                higher += above[item];
            }

            ties = wanted - higher;
            threshold = 0;
            if (ties <= 0)
            {
                return false;
            }

            if (ties > count)
            {
                // All that is not zero is wanted; or the threshold lies below the window.
                return low == 1;
            }

            threshold = Select(new Span<int>(candidates, count), low, high, ref ties);
            return true;
        }

        /// <summary>
        /// The <paramref name="rank"/>-th largest of values in [low, high); leaves in rank how many of those equal to it count.
        /// </summary>
        private static int Select(Span<int> values, int low, int high, ref int rank)
        {
            Span<int> counts = stackalloc int[1024];
            while (true)
            {
                int shift = Math.Max(0, BitOperations.Log2((uint)(high - low)) - 9);
                counts.Clear();
                foreach (int value in values)
                {
                    counts[(value - low) >> shift]++;
                }

                int bucket = counts.Length - 1;
                while (counts[bucket] < rank)
                {
                    rank -= counts[bucket];
                    bucket--;
                }

                if (shift == 0)
                {
                    return low + bucket;
                }

                int kept = 0;
                foreach (int value in values)
                {
                    if ((value - low) >> shift == bucket)
                    {
                        values[kept++] = value;
                    }
                }

                values = values[..kept];
                low += bucket << shift;
                high = low + (1 << shift);
            }
        }

        /// <summary>The upper 16 bits of the threshold.</summary>
        private int Bucket(int wanted)
        {
            new Span<int>(histogram, pool.Workers * Buckets).Clear();
            pool.Run(items, new HistogramJob(matrix, histogram));
            int bucket = Buckets - 1;
            while (true)
            {
                int count = 0;
                for (int worker = 0; worker < pool.Workers; worker++)
                {
                    count += histogram[(worker * Buckets) + bucket];
                }

                if (bucket == 0 || count >= wanted)
                {
                    return bucket;
                }

                wanted -= count;
                bucket--;
            }
        }

        /// <summary>Index of the <paramref name="ties"/>-th unprotected entry equal to the threshold.</summary>
        private long LastTie(int threshold, int ties)
        {
            int columns = matrix.Columns;
            for (int row = 0; row < matrix.Weights.Rows; row++)
            {
                int* bits = matrix.Bits + ((long)row * columns);
                for (int column = 0; column < columns; column += Lanes)
                {
                    Vector512<int> magnitudes = LoadBits(bits + column, columns - column);
                    Vector512<int> equal = Vector512.Equals(magnitudes, Vector512.Create(threshold));
                    if (equal == Vector512<int>.Zero)
                    {
                        continue;
                    }

                    ulong found = Vector512.AndNot(equal, matrix.Protected(magnitudes, row, column)).ExtractMostSignificantBits();
                    for (; found != 0; found &= found - 1)
                    {
                        if (--ties == 0)
                        {
                            return ((long)row * columns) + column + BitOperations.TrailingZeroCount(found);
                        }
                    }
                }
            }

            return long.MaxValue;
        }
    }

    /// <summary>
    /// Counts an item's unprotected entries at or above the window, and collects those inside it at the item's own place among the
    /// candidates.
    /// </summary>
    private readonly struct WindowJob(Matrix matrix, int low, int high, int* above, int* inside, int* candidates) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int columns = matrix.Columns;
            int* found = candidates + ((long)matrix.FirstRow(item) * columns);
            int foundCount = 0;
            int higher = 0;
            for (int row = matrix.FirstRow(item); row < matrix.EndRow(item); row++)
            {
                int* bits = matrix.Bits + ((long)row * columns);
                for (int column = 0; column < columns; column += Lanes)
                {
                    Vector512<int> magnitudes = LoadBits(bits + column, columns - column);
                    Vector512<int> reach = Vector512.GreaterThanOrEqual(magnitudes, Vector512.Create(low));
                    if (reach == Vector512<int>.Zero)
                    {
                        continue;
                    }

                    reach = Vector512.AndNot(reach, matrix.Protected(magnitudes, row, column));
                    ulong higherBits = (
                        reach & Vector512.GreaterThanOrEqual(magnitudes, Vector512.Create(high))
                    ).ExtractMostSignificantBits();
                    higher += BitOperations.PopCount(higherBits);
                    for (ulong word = reach.ExtractMostSignificantBits() & ~higherBits; word != 0; word &= word - 1)
                    {
                        found[foundCount++] = bits[column + BitOperations.TrailingZeroCount(word)] & AbsoluteBits;
                    }
                }
            }

            above[item] = higher;
            inside[item] = foundCount;
        }
    }

    private readonly struct HistogramJob(Matrix matrix, int* histogram) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int* counts = histogram + (worker * Buckets);
            int columns = matrix.Columns;
            int* upper = stackalloc int[Lanes];
            for (int row = matrix.FirstRow(item); row < matrix.EndRow(item); row++)
            {
                int* bits = matrix.Bits + ((long)row * columns);
                for (int column = 0; column < columns; column += Lanes)
                {
                    Vector512<int> magnitudes = LoadBits(bits + column, columns - column);
                    (Vector512.AndNot(magnitudes, matrix.Protected(magnitudes, row, column)) >>> 16).Store(upper);
                    for (int i = 0; i < Math.Min(Lanes, columns - column); i++)
                    {
                        counts[upper[i]]++;
                    }
                }
            }
        }
    }

    private readonly struct ApplyJob(Matrix matrix, int threshold, long lastTie) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int columns = matrix.Columns;
            int* padded = stackalloc int[Lanes];
            for (int row = matrix.FirstRow(item); row < matrix.EndRow(item); row++)
            {
                long first = (long)row * columns;
                int* bits = matrix.Bits + first;
                for (int column = 0; column < columns; column += Lanes)
                {
                    int count = columns - column;
                    Vector512<int> magnitudes = LoadBits(bits + column, count);
                    Vector512<int> kept =
                        Vector512.GreaterThan(magnitudes, Vector512.Create(threshold)) | matrix.Protected(magnitudes, row, column);
                    Vector512<int> equal = Vector512.Equals(magnitudes, Vector512.Create(threshold));
                    if (equal != Vector512<int>.Zero)
                    {
                        var left = (int)Math.Clamp(lastTie - (first + column), -1, Lanes);
                        kept |= equal & Vector512.LessThanOrEqual(Vector512<int>.Indices, Vector512.Create(left));
                    }

                    if (count >= Lanes)
                    {
                        (Vector512.Load(bits + column) & kept).Store(bits + column);
                        continue;
                    }

                    kept.Store(padded);
                    for (int i = 0; i < count; i++)
                    {
                        bits[column + i] &= padded[i];
                    }
                }
            }
        }
    }
}
