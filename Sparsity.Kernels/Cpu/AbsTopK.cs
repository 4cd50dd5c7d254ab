using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Keeps each token's k entries of largest magnitude (spec section 1). The bits of |x|, read as an integer, order as |x| does, so each of 16 tokens
/// in a vector bisects its own threshold on them; a token is done as soon as exactly k entries reach its threshold.
/// </summary>
internal static unsafe class AbsTopK
{
    private const int AbsoluteBits = 0x7FFFFFFF;

    /// <summary>In place on values [B,T,C]; overwrites selection.</summary>
    public static void Forward(WorkerPool pool, CpuActivations values, int keep, CpuSelection selection)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keep, values.Channels);
        pool.Run(values.Tiles, new ForwardJob(values, keep, selection));
    }

    /// <summary>In place on gradient [B,T,C]: zero where not kept.</summary>
    public static void Backward(WorkerPool pool, CpuSelection selection, CpuActivations gradient) => pool.Run(gradient.Tiles, new BackwardJob(selection, gradient));

    /// <summary>All bits set in the lanes whose bit is set in the low 16 bits.</summary>
    private static Vector512<float> LaneMask(ulong bits)
    {
        Vector512<int> laneBit = Vector512.Create(
            1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x2000, 0x4000, 0x8000);
        return Vector512.Equals(Vector512.Create((int)(bits & 0xFFFF)) & laneBit, laneBit).AsSingle();
    }

    private readonly struct ForwardJob(CpuActivations values, int keep, CpuSelection selection) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            ulong* words = selection.Words(tile);
            new Span<ulong>(words, values.Channels).Clear();
            for (int lane = 0; lane < values.Width; lane += CpuActivations.VectorLanes)
            {
                float* x = values.Lanes(tile, 0) + lane;
                Vector512<int> threshold = Threshold(x, out Vector512<int> above);
                Apply(x, words, lane, threshold, Vector512.Create(keep) - above);
            }
        }

        /// <summary>For each lane the bits of a magnitude that at least k entries reach, with fewer than k strictly above it or exactly k reaching it.</summary>
        /// <param name="x">Channel 0 of 16 tokens.</param>
        /// <param name="above">How many entries are kept for being above the threshold; the rest of the k are those equal to it, lowest channel first.</param>
        private Vector512<int> Threshold(float* x, out Vector512<int> above)
        {
            Vector512<int> target = Vector512.Create(keep);
            Vector512<int> low = default; // at least k entries reach it
            Vector512<int> high = Vector512.Create(int.MaxValue); // fewer than k reach it: |NaN| is below
            Vector512<int> reachHigh = default;
            while (true)
            {
                Vector512<int> open = Vector512.GreaterThan(high - low, Vector512<int>.One);
                if (open == Vector512<int>.Zero)
                {
                    break;
                }

                Vector512<int> middle = low + ((high - low) >>> 1);
                Vector512<int> count = CountReaching(x, middle);
                Vector512<int> exact = Vector512.Equals(count, target) & open;
                Vector512<int> enough = Vector512.GreaterThanOrEqual(count, target) & open;
                low = Vector512.ConditionalSelect(enough, middle, low);
                Vector512<int> few = Vector512.AndNot(open, enough);
                high = Vector512.ConditionalSelect(few, middle, high);
                reachHigh = Vector512.ConditionalSelect(few, count, reachHigh);

                // Exactly k reach the middle: close the lane so that "above or equal" is those k.
                high = Vector512.ConditionalSelect(exact, middle, high);
                reachHigh = Vector512.ConditionalSelect(exact, count, reachHigh);
                low = Vector512.ConditionalSelect(exact, middle - Vector512<int>.One, low);
            }

            above = reachHigh;
            return low;
        }

        private Vector512<int> CountReaching(float* x, Vector512<int> bits)
        {
            Vector512<int> count = default;
            Vector512<int> absolute = Vector512.Create(AbsoluteBits);
            int width = values.Width;
            for (int channel = 0; channel < values.Channels; channel++)
            {
                // A true comparison is -1.
                count -= Vector512.GreaterThanOrEqual(Vector512.Load((int*)x + (channel * width)) & absolute, bits);
            }

            return count;
        }

        private void Apply(float* x, ulong* words, int lane, Vector512<int> threshold, Vector512<int> equalsToKeep)
        {
            Vector512<int> absolute = Vector512.Create(AbsoluteBits);
            int width = values.Width;
            for (int channel = 0; channel < values.Channels; channel++)
            {
                float* target = x + (channel * width);
                Vector512<float> value = Vector512.Load(target);
                Vector512<int> bits = value.AsInt32() & absolute;
                Vector512<int> tie = Vector512.Equals(bits, threshold) & Vector512.GreaterThan(equalsToKeep, Vector512<int>.Zero);
                equalsToKeep += tie;
                Vector512<int> kept = Vector512.GreaterThan(bits, threshold) | tie;
                (value.AsInt32() & kept).AsSingle().Store(target);
                words[channel] |= kept.ExtractMostSignificantBits() << lane;
            }
        }
    }

    private readonly struct BackwardJob(CpuSelection selection, CpuActivations gradient) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            ulong* words = selection.Words(tile);
            for (int channel = 0; channel < gradient.Channels; channel++)
            {
                float* lanes = gradient.Lanes(tile, channel);
                for (int lane = 0; lane < gradient.Width; lane += CpuActivations.VectorLanes)
                {
                    (Vector512.Load(lanes + lane) & LaneMask(words[channel] >> lane)).Store(lanes + lane);
                }
            }
        }
    }
}
