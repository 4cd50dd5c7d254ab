using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Generation's case of some operations: activations [1,1,C], of whose sixteen lanes only the first is a token. The vectors then run over channels, or a
/// product over the nonzero inputs alone; every sum keeps the order that it has for many tokens, and so gives the same bits.
/// </summary>
internal static unsafe class SingleToken
{
    private const int Lanes = CpuActivations.VectorLanes;
    private const int AbsoluteBits = 0x7FFFFFFF;

    public static bool Is(CpuActivations activations) => activations.Sequences == 1 && activations.Tokens == 1;

    /// <summary>Overwrites output [1,1,O] with the weight's columns times the inputs that are not zero: AbsTopK has left few of them.</summary>
    public static void LinearForward(WorkerPool pool, NonzeroList columns, CpuActivations input, float* bias, CpuActivations output)
    {
        float* y = pool.Shared(output.Channels);
        for (int row = 0; row < output.Channels; row++)
        {
            y[row] = bias == null ? 0f : bias[row];
        }

        float* x = input.Lanes(0, 0);
        int* starts = columns.Starts;
        if (starts[input.Channels] > 0)
        {
            int* rows = columns.Indices;
            float* values = columns.Values;
            for (int column = 0; column < input.Channels; column++)
            {
                float value = x[column * Lanes];
                int end = starts[column + 1];
                for (int i = value == 0 ? end : starts[column]; i < end; i++)
                {
                    y[rows[i]] = float.MultiplyAddEstimate(values[i], value, y[rows[i]]);
                }
            }
        }

        Scatter(y, output);
    }

    /// <summary>In place on values [1,1,C]: the bisection of <see cref="AbsTopK"/>, one threshold over vectors of channels.</summary>
    public static void AbsTopKForward(WorkerPool pool, CpuActivations values, int keep, CpuSelection selection)
    {
        // Magnitudes beyond the channels are zero: they may reach a threshold of 0 only, which is not counted.
        int channels = values.Channels;
        float* x = Gather(pool, values);
        int low = 0; // at least k entries reach it
        int high = int.MaxValue; // fewer than k reach it
        int above = 0;
        while (high - low > 1)
        {
            int middle = low + ((high - low) >>> 1);
            int count = CountReaching((int*)x, channels, middle);
            if (count >= keep)
            {
                low = middle;
            }
            else
            {
                high = middle;
                above = count;
            }

            if (count == keep)
            {
                // "Above or equal" is those k.
                (low, high, above) = (middle - 1, middle, count);
            }
        }

        int equalsToKeep = keep - above;
        ulong* words = selection.Words(0);
        for (int channel = 0; channel < channels; channel += Lanes)
        {
            Vector512<int> magnitude = Vector512.Load((int*)x + channel) & Vector512.Create(AbsoluteBits);
            ulong kept = Vector512.GreaterThan(magnitude, Vector512.Create(low)).ExtractMostSignificantBits();
            ulong equal = equalsToKeep > 0 ? Vector512.Equals(magnitude, Vector512.Create(low)).ExtractMostSignificantBits() : 0;
            for (; equal != 0 && equalsToKeep > 0; equal &= equal - 1, equalsToKeep--)
            {
                kept |= equal & (~equal + 1); // the lowest channel of those left
            }

            int end = Math.Min(Lanes, channels - channel);
            for (int i = 0; i < end; i++)
            {
                ulong bit = (kept >> i) & 1;
                words[channel + i] = bit;
                x[channel + i] = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(x[channel + i]) & -(int)bit);
            }
        }

        Scatter(x, values);
    }

    /// <summary>Overwrites output [1,1,C], which may be the input.</summary>
    public static void ActivationForward(WorkerPool pool, ActivationKind kind, CpuActivations input, CpuActivations output)
    {
        float* x = Gather(pool, input);
        for (int channel = 0; channel < input.Channels; channel += Lanes)
        {
            Activation.Value(kind, Vector512.Load(x + channel)).Store(x + channel);
        }

        Scatter(x, output);
    }

    /// <summary>How many magnitudes reach <paramref name="bits"/>, which is above 0.</summary>
    private static int CountReaching(int* values, int count, int bits)
    {
        Vector512<int> reached = default;
        for (int i = 0; i < count; i += Lanes)
        {
            // A true comparison is -1.
            reached -= Vector512.GreaterThanOrEqual(Vector512.Load(values + i) & Vector512.Create(AbsoluteBits), Vector512.Create(bits));
        }

        return Vector512.Sum(reached);
    }

    /// <summary>The token's channels side by side, zeros up to a whole vector.</summary>
    private static float* Gather(WorkerPool pool, CpuActivations source)
    {
        int padded = (source.Channels + Lanes - 1) / Lanes * Lanes;
        float* values = pool.Shared(padded);
        float* lanes = source.Lanes(0, 0);
        for (int channel = 0; channel < padded; channel++)
        {
            values[channel] = channel < source.Channels ? lanes[channel * Lanes] : 0f;
        }

        return values;
    }

    private static void Scatter(float* values, CpuActivations target)
    {
        float* lanes = target.Lanes(0, 0);
        for (int channel = 0; channel < target.Channels; channel++)
        {
            lanes[channel * Lanes] = values[channel];
        }
    }
}
