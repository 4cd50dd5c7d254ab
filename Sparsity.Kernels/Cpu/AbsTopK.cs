using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Keeps each token's k entries of largest magnitude (docs/method.md section 1). The bits of |x|, read as an integer, order as |x| does, so
/// each of 16 tokens in a vector closes in on its own threshold by counting what reaches a guess: the first as for normally distributed
/// entries, the next by interpolation between the nearest counts on both sides. A token is done as soon as exactly k entries reach its
/// threshold; the guesses decide only how soon that is.
/// </summary>
internal static unsafe class AbsTopK
{
    /// <summary>Mean magnitude of a standard normal variable.</summary>
    private const float MeanMagnitudeOfNormal = 0.79788456f;

    private const int AbsoluteBits = 0x7FFFFFFF;

    /// <summary>Entries short of k from where on the next ones are looked for instead of a better threshold.</summary>
    private const int MostStepsToPeel = 2;

    /// <summary>In place on values [B,T,C]; overwrites selection.</summary>
    public static void Forward(WorkerPool pool, CpuActivations values, int keep, CpuSelection selection)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keep, values.Channels);
        if (values.IsSingleToken)
        {
            SingleToken.AbsTopKForward(values, keep, selection);
            return;
        }

        pool.Run(values.Tiles, new ForwardJob(pool, values, keep, selection));
    }

    /// <summary>In place on gradient [B,T,C]: zero where not kept.</summary>
    public static void Backward(WorkerPool pool, CpuSelection selection, CpuActivations gradient) =>
        pool.Run(gradient.Tiles, new BackwardJob(selection, gradient));

    /// <summary>What a share of normally distributed entries of this mean magnitude exceeds in magnitude.</summary>
    public static float NormalThreshold(float meanMagnitude, double share) => meanMagnitude / MeanMagnitudeOfNormal * NormalQuantile(share);

    /// <summary>Within 0.003 (Hastings' formula 26.2.22 in Abramowitz and Stegun).</summary>
    private static float NormalQuantile(double share)
    {
        double t = Math.Sqrt(-2 * Math.Log(Math.Clamp(share, 1e-9, 0.999) / 2));
        return (float)Math.Max(1e-3, t - ((2.30753 + (0.27061 * t)) / (1 + (0.99229 * t) + (0.04481 * t * t))));
    }

    private static float NormalDensity(float magnitude) => MeanMagnitudeOfNormal * MathF.Exp(-0.5f * magnitude * magnitude);

    /// <summary>All bits set in the lanes whose bit is set in the low 16 bits.</summary>
    public static Vector512<float> LaneMask(ulong bits)
    {
        Vector512<int> laneBit = Vector512.Create(
            1,
            2,
            4,
            8,
            0x10,
            0x20,
            0x40,
            0x80,
            0x100,
            0x200,
            0x400,
            0x800,
            0x1000,
            0x2000,
            0x4000,
            0x8000
        );
        return Vector512.Equals(Vector512.Create((int)(bits & 0xFFFF)) & laneBit, laneBit).AsSingle();
    }

    private readonly struct ForwardJob(WorkerPool pool, CpuActivations values, int keep, CpuSelection selection) : IParallelJob
    {
        /// <summary>What share keep / channels of the magnitudes of a standard normal variable exceeds.</summary>
        private readonly float _normalQuantile = NormalQuantile((double)keep / values.Channels);

        /// <summary>The density of those magnitudes there.</summary>
        private readonly float _normalDensity = NormalDensity(NormalQuantile((double)keep / values.Channels));

        public void Execute(int tile, int worker)
        {
            ulong* words = selection.Words(tile);
            new Span<ulong>(words, values.Channels).Clear();

            // The magnitudes of 16 tokens lie side by side for the passes over them: in the tile they would share few of the cache's sets.
            int* magnitudes = (int*)pool.Scratch(worker, values.Channels * CpuActivations.VectorLanes);
            float quantile = _normalQuantile;
            for (int lane = 0; lane < values.Width; lane += CpuActivations.VectorLanes)
            {
                float* x = values.Lanes(tile, 0) + lane;
                Vector512<float> deviation = Deviation(x, magnitudes, out Vector512<int> nonzero);
                Vector512<int> threshold = Threshold(magnitudes, deviation, nonzero, quantile, out Vector512<int> above);
                Apply(x, words, lane, threshold, Vector512.Create(keep) - above);

                // Neighbouring tokens are distributed alike: where this one's threshold was, the next ones' is looked for first.
                float met = Vector512.Sum(threshold.AsSingle()) / Vector512.Sum(deviation);
                quantile = met > 0 && float.IsFinite(met) ? met : _normalQuantile;
            }
        }

        /// <summary>
        /// For each lane the bits of a magnitude that at least k entries reach, with fewer than k strictly above it or exactly k reaching
        /// it.
        /// </summary>
        /// <param name="magnitudes">The bits of |x|, 16 tokens for each channel.</param>
        /// <param name="deviation">Of the tokens' entries.</param>
        /// <param name="nonzero">How many of them are not zero.</param>
        /// <param name="quantile">The first guess, in deviations.</param>
        /// <param name="above">How many entries are kept for being above the threshold; the rest of the k are those equal to it, lowest
        /// channel first.</param>
        private Vector512<int> Threshold(
            int* magnitudes,
            Vector512<float> deviation,
            Vector512<int> nonzero,
            float quantile,
            out Vector512<int> above
        )
        {
            Vector512<int> target = Vector512.Create(keep);

            // At least k entries reach low, fewer than k reach high (|NaN| is below it); where not even k are other than zero, that is all
            // there is to know.
            Vector512<int> low = default;
            Vector512<int> reachLow = Vector512.Create(values.Channels);
            Vector512<int> scarce = Vector512.LessThanOrEqual(nonzero, target);
            Vector512<int> high = Vector512.ConditionalSelect(scarce, Vector512<int>.One, Vector512.Create(int.MaxValue));
            Vector512<int> reachHigh = Vector512.ConditionalSelect(scarce, nonzero, default);
            Vector512<float> guess = deviation * Vector512.Create(quantile);
            Vector512<int> wasEnough = default;
            for (int pass = 0; ; pass++)
            {
                Vector512<int> open = Vector512.GreaterThan(high - low, Vector512<int>.One);
                if (open == Vector512<int>.Zero)
                {
                    break;
                }

                Vector512<int> surplus = reachLow - target;
                Vector512<int> missing = target - reachHigh;
                if (Vector512.GreaterThan(Vector512.Min(surplus, missing) & open, Vector512.Create(MostStepsToPeel)) == Vector512<int>.Zero)
                {
                    Peel(magnitudes, open, surplus, missing, ref low, ref high, ref reachHigh);
                    open = Vector512.GreaterThan(high - low, Vector512<int>.One);
                    if (open == Vector512<int>.Zero)
                    {
                        break;
                    }
                }

                // A bisection now and then bounds the number of passes whatever the distribution.
                Vector512<int> middle = low + ((high - low) >>> 1);
                Vector512<int> tried =
                    pass % 8 == 7
                        ? middle
                        : Vector512.Min(Vector512.Max(guess.AsInt32(), low + Vector512<int>.One), high - Vector512<int>.One);
                tried = Vector512.ConditionalSelect(open, tried, middle);
                Vector512<int> count = CountReaching(magnitudes, tried);
                Vector512<int> exact = Vector512.Equals(count, target) & open;
                Vector512<int> enough = Vector512.GreaterThanOrEqual(count, target) & open;
                Vector512<int> few = Vector512.AndNot(open, enough);
                low = Vector512.ConditionalSelect(enough, tried, low);
                reachLow = Vector512.ConditionalSelect(enough, count, reachLow);
                high = Vector512.ConditionalSelect(few, tried, high);
                reachHigh = Vector512.ConditionalSelect(few, count, reachHigh);
                guess =
                    pass == 0
                        ? Newton(tried.AsSingle(), count, deviation)
                        : Interpolation(low, reachLow, high, reachHigh, enough & wasEnough, Vector512.AndNot(few, wasEnough));
                wasEnough = enough;

                // Exactly k reach the guess: close the lane so that "above or equal" is those k.
                high = Vector512.ConditionalSelect(exact, tried, high);
                reachHigh = Vector512.ConditionalSelect(exact, count, reachHigh);
                low = Vector512.ConditionalSelect(exact, tried - Vector512<int>.One, low);
            }

            above = reachHigh;
            return low;
        }

        /// <summary>
        /// Closes open lanes that are one or two entries short of k on either side: looks for the three entries next to that side, and puts
        /// the threshold on the one behind which exactly k lie above. Lanes where it has an equal stay open.
        /// </summary>
        private void Peel(
            int* magnitudes,
            Vector512<int> open,
            Vector512<int> surplus,
            Vector512<int> missing,
            ref Vector512<int> low,
            ref Vector512<int> high,
            ref Vector512<int> reachHigh
        )
        {
            // A key is an entry's distance from low upwards, or from high - 1 downwards: (bits ^ turn) + shift. What lies beyond is
            // negative, which is far away unsigned.
            Vector512<int> down = Vector512.LessThan(missing, surplus);
            Vector512<int> shift = Vector512.ConditionalSelect(down, high, -low);
            Vector512<uint> first = Vector512<uint>.AllBitsSet,
                second = Vector512<uint>.AllBitsSet,
                third = Vector512<uint>.AllBitsSet;
            for (int channel = 0; channel < values.Channels; channel++)
            {
                Vector512<uint> key = ((Vector512.Load(magnitudes + (channel * CpuActivations.VectorLanes)) ^ down) + shift).AsUInt32();
                Vector512<uint> larger = Vector512.Max(first, key);
                first = Vector512.Min(first, key);
                key = Vector512.Max(second, larger);
                second = Vector512.Min(second, larger);
                third = Vector512.Min(third, key);
            }

            // Upwards the surplus is dropped: the threshold is the last entry to go. Downwards it is the first that is not taken.
            Vector512<int> steps = Vector512.Min(surplus, missing);
            Vector512<int> two = Vector512.Equals(steps, Vector512.Create(2));
            Vector512<int> inside = Vector512.ConditionalSelect(two, second.AsInt32(), first.AsInt32());
            Vector512<int> outside = Vector512.ConditionalSelect(two, third.AsInt32(), second.AsInt32());
            Vector512<int> threshold = Vector512.ConditionalSelect(down, high - Vector512<int>.One - outside, low + inside);
            Vector512<int> exists = Vector512.GreaterThanOrEqual(Vector512.ConditionalSelect(down, outside, inside), Vector512<int>.Zero);
            Vector512<int> closed = open & exists & Vector512.GreaterThan(steps, Vector512<int>.Zero) & ~Vector512.Equals(inside, outside);
            low = Vector512.ConditionalSelect(closed, threshold, low);
            high = Vector512.ConditionalSelect(closed, threshold + Vector512<int>.One, high);
            reachHigh = Vector512.ConditionalSelect(closed, Vector512.Create(keep), reachHigh);
        }

        /// <summary>
        /// The standard deviation that normally distributed entries of the same mean magnitude have, and how many are not zero. Overwrites
        /// <paramref name="magnitudes"/> with the bits of |x|, 16 tokens for each channel.
        /// </summary>
        private Vector512<float> Deviation(float* x, int* magnitudes, out Vector512<int> nonzero)
        {
            Vector512<float> sum = default;
            Vector512<int> zeros = default;
            int width = values.Width;
            for (int channel = 0; channel < values.Channels; channel++)
            {
                Vector512<float> magnitude = Vector512.Abs(Vector512.Load(x + (channel * width)));
                sum += magnitude;
                zeros -= Vector512.Equals(magnitude, Vector512<float>.Zero).AsInt32();
                magnitude.AsInt32().Store(magnitudes + (channel * CpuActivations.VectorLanes));
            }

            nonzero = Vector512.Create(values.Channels) - zeros;
            return sum / Vector512.Create(values.Channels * MeanMagnitudeOfNormal);
        }

        /// <summary>
        /// From a guess and its count to where the normal density would put k; a little further, so that the threshold lies between the
        /// two.
        /// </summary>
        private Vector512<float> Newton(Vector512<float> guess, Vector512<int> count, Vector512<float> deviation)
        {
            const float Further = 1.3f;
            Vector512<float> missing = Vector512.ConvertToSingle(count - Vector512.Create(keep));
            return guess + (missing * deviation * Vector512.Create(Further / (values.Channels * _normalDensity)));
        }

        /// <summary>
        /// Between the nearest counts on both sides, and half as far again from a side that has moved twice running; a quarter further up
        /// where all guesses so far were too low.
        /// </summary>
        private Vector512<float> Interpolation(
            Vector512<int> low,
            Vector512<int> reachLow,
            Vector512<int> high,
            Vector512<int> reachHigh,
            Vector512<int> lowAgain,
            Vector512<int> highAgain
        )
        {
            const float Further = 1.5f;
            Vector512<int> above = Vector512.Equals(high, Vector512.Create(int.MaxValue));
            high = Vector512.ConditionalSelect(above, (low.AsSingle() * Vector512.Create(1.25f)).AsInt32(), high);
            reachHigh = Vector512.ConditionalSelect(above, Vector512.Create(keep), reachHigh);

            // Aims between two entries rather than at one.
            Vector512<float> toHigh = Vector512.ConvertToSingle(reachLow - Vector512.Create(keep)) - Vector512.Create(0.5f);
            Vector512<float> share = toHigh / Vector512.ConvertToSingle(reachLow - reachHigh);
            Vector512<float> further = Vector512.Create(Further);
            share = Vector512.ConditionalSelect(lowAgain.AsSingle(), share * further, share);
            share = Vector512.ConditionalSelect(
                highAgain.AsSingle(),
                Vector512<float>.One - ((Vector512<float>.One - share) * further),
                share
            );
            share = Vector512.Min(Vector512.Max(share, Vector512.Create(0.02f)), Vector512.Create(0.98f));
            return Vector512.MultiplyAddEstimate(high.AsSingle() - low.AsSingle(), share, low.AsSingle());
        }

        private Vector512<int> CountReaching(int* magnitudes, Vector512<int> bits)
        {
            // Four counts, so that the subtractions do not wait for one another; a true comparison is -1.
            Vector512<int> c0 = default,
                c1 = default,
                c2 = default,
                c3 = default;
            int channel = 0;
            for (; channel + 4 <= values.Channels; channel += 4, magnitudes += 4 * CpuActivations.VectorLanes)
            {
                c0 -= Vector512.GreaterThanOrEqual(Vector512.Load(magnitudes), bits);
                c1 -= Vector512.GreaterThanOrEqual(Vector512.Load(magnitudes + 16), bits);
                c2 -= Vector512.GreaterThanOrEqual(Vector512.Load(magnitudes + 32), bits);
                c3 -= Vector512.GreaterThanOrEqual(Vector512.Load(magnitudes + 48), bits);
            }

            for (; channel < values.Channels; channel++, magnitudes += CpuActivations.VectorLanes)
            {
                c0 -= Vector512.GreaterThanOrEqual(Vector512.Load(magnitudes), bits);
            }

            return (c0 + c1) + (c2 + c3);
        }

        private void Apply(float* x, ulong* words, int lane, Vector512<int> threshold, Vector512<int> equalsToKeep)
        {
            Vector512<int> absolute = Vector512.Create(AbsoluteBits);
            int width = values.Width;
            int channels = values.Channels;
            if (equalsToKeep == Vector512<int>.Zero)
            {
                for (int channel = 0; channel < channels; channel++)
                {
                    float* target = x + (channel * width);
                    Vector512<int> value = Vector512.Load(target).AsInt32();
                    Vector512<int> kept = Vector512.GreaterThan(value & absolute, threshold);
                    (value & kept).AsSingle().Store(target);
                    words[channel] |= kept.ExtractMostSignificantBits() << lane;
                }

                return;
            }

            for (int channel = 0; channel < channels; channel++)
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
