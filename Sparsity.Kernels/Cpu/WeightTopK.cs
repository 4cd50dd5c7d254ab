using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Zeroes all but the k entries of largest magnitude of a matrix (official apply_topk_), every row or column keeping its minimum. The threshold is found
/// on the bits of |w|, which order as |w| does: a histogram of their upper half, then one of the lower half inside the bucket that holds the k-th.
/// </summary>
internal static unsafe class WeightTopK
{
    private const int AbsoluteBits = 0x7FFFFFFF;
    private const int InfinityBits = 0x7F800000;
    private const int UpperBuckets = 1 << 15;
    private const int LowerBuckets = 1 << 16;

    /// <summary>In place.</summary>
    public static void KeepLargest(WorkerPool pool, CpuWeights weights, int keep, int? aliveAxis, int minimumAlive)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keep, weights.Length);
        int length = weights.Length;
        int protectedCount = aliveAxis is null ? 0 : minimumAlive * (aliveAxis == 1 ? weights.Rows : weights.Columns);
        if (protectedCount > keep)
        {
            throw new ArgumentException($"{weights.Name}: the minimum alive protects {protectedCount} entries, more than the {keep} to keep.");
        }

        ulong* isProtected = null;
        float* shared = pool.Shared(UpperBuckets + LowerBuckets + ((length + 63) / 64 * 2));
        int* upper = (int*)shared;
        int* lower = upper + UpperBuckets;
        if (protectedCount > 0)
        {
            isProtected = (ulong*)(lower + LowerBuckets);
            new Span<ulong>(isProtected, (length + 63) / 64).Clear();
            Protect(weights, aliveAxis!.Value, minimumAlive, isProtected);
        }

        new Span<int>(upper, UpperBuckets + LowerBuckets).Clear();
        int* bits = (int*)weights.Data;
        for (int i = 0; i < length; i++)
        {
            int magnitude = bits[i] & AbsoluteBits;
            if (magnitude > InfinityBits)
            {
                throw new NumericalException($"{weights.Name}: entry {i} is NaN.");
            }

            if (isProtected == null || !IsSet(isProtected, i))
            {
                upper[magnitude >> 16]++;
            }
        }

        int wanted = keep - protectedCount;
        int bucket = BucketOfKth(upper, UpperBuckets, ref wanted);
        for (int i = 0; i < length; i++)
        {
            int magnitude = bits[i] & AbsoluteBits;
            if (magnitude >> 16 == bucket && (isProtected == null || !IsSet(isProtected, i)))
            {
                lower[magnitude & 0xFFFF]++;
            }
        }

        int inBucket = BucketOfKth(lower, LowerBuckets, ref wanted);
        int threshold = (bucket << 16) | inBucket;
        for (int i = 0; i < length; i++)
        {
            int magnitude = bits[i] & AbsoluteBits;
            bool kept = magnitude > threshold || (isProtected != null && IsSet(isProtected, i));
            if (!kept && magnitude == threshold && wanted > 0)
            {
                wanted--;
                kept = true;
            }

            bits[i] = kept ? bits[i] : 0;
        }
    }

    private static bool IsSet(ulong* words, int i) => ((words[i >> 6] >> (i & 63)) & 1) != 0;

    /// <summary>The highest bucket such that it and those above hold at least <paramref name="wanted"/>; reduces wanted by what those above it hold.</summary>
    private static int BucketOfKth(int* counts, int buckets, ref int wanted)
    {
        int bucket = buckets - 1;
        while (bucket > 0 && counts[bucket] < wanted)
        {
            wanted -= counts[bucket];
            bucket--;
        }

        return bucket;
    }

    /// <summary>Sets the bit of the largest entries of every row (axis 1) or column (axis 0); ties go to the lower index.</summary>
    private static void Protect(CpuWeights weights, int axis, int minimumAlive, ulong* isProtected)
    {
        int lines = axis == 1 ? weights.Rows : weights.Columns;
        int length = axis == 1 ? weights.Columns : weights.Rows;
        long lineStride = axis == 1 ? weights.Columns : 1;
        long entryStride = axis == 1 ? 1 : weights.Columns;
        int alive = Math.Min(minimumAlive, length);
        float* best = stackalloc float[alive];
        int* where = stackalloc int[alive];
        for (int line = 0; line < lines; line++)
        {
            float* values = weights.Data + (line * lineStride);
            int found = 0;
            for (int i = 0; i < length; i++)
            {
                float magnitude = MathF.Abs(values[i * entryStride]);
                if (found == alive && !(magnitude > best[found - 1]))
                {
                    continue;
                }

                int place = found < alive ? found++ : alive - 1;
                for (; place > 0 && magnitude > best[place - 1]; place--)
                {
                    best[place] = best[place - 1];
                    where[place] = where[place - 1];
                }

                best[place] = magnitude;
                where[place] = i;
            }

            for (int i = 0; i < found; i++)
            {
                long entry = (line * lineStride) + (where[i] * entryStride);
                isProtected[entry >> 6] |= 1UL << (int)(entry & 63);
            }
        }
    }
}
