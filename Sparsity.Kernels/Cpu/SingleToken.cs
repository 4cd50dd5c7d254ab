using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Generation's case of some operations: activations [1,1,C] as a row. Vectors run over channels, a product over the nonzero inputs alone;
/// every sum keeps the order that it has for many tokens, and so gives the same bits.
/// </summary>
internal static unsafe class SingleToken
{
    private const int Lanes = CpuActivations.VectorLanes;
    private const int AbsoluteBits = 0x7FFFFFFF;

    /// <summary>Overwrites output [1,1,C] with the rows of the embeddings that are given, added up.</summary>
    public static void Embed(float* tokenRow, float* positionRow, CpuActivations output)
    {
        Span<float> y = Values(output);
        y.Clear();
        if (tokenRow != null)
        {
            TensorPrimitives.Add(y, new ReadOnlySpan<float>(tokenRow, y.Length), y);
        }

        if (positionRow != null)
        {
            TensorPrimitives.Add(y, new ReadOnlySpan<float>(positionRow, y.Length), y);
        }
    }

    /// <summary>Adds row [C] to values [1,1,C].</summary>
    public static void AddRow(float* row, CpuActivations values)
    {
        Span<float> y = Values(values);
        TensorPrimitives.Add(y, new ReadOnlySpan<float>(row, y.Length), y);
    }

    /// <summary>The channels of a single token.</summary>
    public static Span<float> Values(CpuActivations activations) => new(activations.Row(), activations.Channels);

    /// <summary>
    /// Overwrites output [1,1,C] and statistics [1,1,2] (mean, reciprocal deviation); a frozen reciprocal deviation is read from there.
    /// </summary>
    public static void NormForward(
        bool centred,
        float epsilon,
        CpuActivations input,
        float* weight,
        float* bias,
        CpuActivations output,
        CpuActivations statistics,
        bool isScaleFrozen
    )
    {
        int channels = input.Channels;
        float* x = input.Row();
        float* y = output.Row();
        float mean = 0;
        for (int channel = 0; centred && channel < channels; channel++)
        {
            mean += x[channel];
        }

        mean /= channels;
        float* kept = statistics.Row();
        kept[0] = mean;
        if (!isScaleFrozen)
        {
            float squares = 0;
            for (int channel = 0; channel < channels; channel++)
            {
                float distance = x[channel] - mean;
                squares = float.MultiplyAddEstimate(distance, distance, squares);
            }

            kept[1] = 1 / MathF.Sqrt((squares / channels) + epsilon);
        }

        float reciprocal = kept[1];
        for (int channel = 0; channel < channels; channel++)
        {
            float scaled = (x[channel] - mean) * reciprocal * weight[channel];
            y[channel] = bias == null ? scaled : scaled + bias[channel];
        }
    }

    /// <summary>
    /// Overwrites output [1,1,O] with the weight's columns times the inputs that are not zero: AbsTopK has left few of them.
    /// </summary>
    public static void LinearForward(NonzeroList columns, CpuActivations input, float* bias, CpuActivations output)
    {
        float* x = input.Row();
        float* y = output.Row();
        if (bias == null)
        {
            new Span<float>(y, output.Channels).Clear();
        }
        else
        {
            new ReadOnlySpan<float>(bias, output.Channels).CopyTo(new Span<float>(y, output.Channels));
        }

        if (columns.Starts[input.Channels] == 0)
        {
            return;
        }

        // Which inputs are zero nobody can guess: asking 16 at a time, the processor has to guess less often.
        int column = 0;
        for (; column + Lanes <= input.Channels; column += Lanes)
        {
            ulong nonzero = ~Vector512.Equals(Vector512.Load(x + column), Vector512<float>.Zero).ExtractMostSignificantBits() & 0xFFFF;
            for (; nonzero != 0; nonzero &= nonzero - 1)
            {
                AddColumn(columns, column + BitOperations.TrailingZeroCount(nonzero), x, y);
            }
        }

        for (; column < input.Channels; column++)
        {
            if (x[column] != 0)
            {
                AddColumn(columns, column, x, y);
            }
        }
    }

    private static void AddColumn(NonzeroList columns, int column, float* x, float* y)
    {
        int* rows = columns.Indices;
        float* values = columns.Values;
        float value = x[column];
        int end = columns.Starts[column + 1];
        for (int i = columns.Starts[column]; i < end; i++)
        {
            y[rows[i]] = float.MultiplyAddEstimate(values[i], value, y[rows[i]]);
        }
    }

    /// <summary>In place on values [1,1,C]: the search of <see cref="AbsTopK"/>, for one threshold over vectors of channels.</summary>
    public static void AbsTopKForward(CpuActivations values, int keep, CpuSelection selection)
    {
        int channels = values.Channels;
        var x = (int*)values.Row();
        int low = 0; // at least k entries reach it
        int high = int.MaxValue; // fewer than k reach it
        int above = 0;
        int reachLow = channels;
        float guess = AbsTopK.NormalThreshold(TensorPrimitives.SumOfMagnitudes(Values(values)) / channels, (double)keep / channels);
        for (int pass = 0; high - low > 1; pass++)
        {
            // A bisection now and then bounds the number of passes whatever the distribution.
            int middle = low + ((high - low) >>> 1);
            int tried = pass % 4 == 3 ? middle : Math.Clamp(BitConverter.SingleToInt32Bits(guess), low + 1, high - 1);
            int count = CountReaching(x, channels, tried);
            if (count >= keep)
            {
                (low, reachLow) = (tried, count);
            }
            else
            {
                (high, above) = (tried, count);
            }

            if (count == keep)
            {
                // "Above or equal" is those k.
                (low, high, above) = (tried - 1, tried, count);
            }

            // Between two entries rather than at one; upwards where all guesses so far were too low.
            float from = BitConverter.Int32BitsToSingle(low);
            float share = Math.Clamp((reachLow - keep - 0.5f) / (reachLow - above), 0.02f, 0.98f);
            guess = high == int.MaxValue ? from * 1.25f : from + ((BitConverter.Int32BitsToSingle(high) - from) * share);
        }

        int equalsToKeep = keep - above;
        ulong* words = selection.Words(0);
        int channel = 0;
        for (; channel + Lanes <= channels; channel += Lanes)
        {
            Vector512<int> bits = Vector512.Load(x + channel);
            Vector512<int> magnitudes = bits & Vector512.Create(AbsoluteBits);
            if (equalsToKeep > 0 && Vector512.EqualsAny(magnitudes, Vector512.Create(low)))
            {
                Keep(x, words, channel, channel + Lanes, low, ref equalsToKeep);
                continue;
            }

            Vector512<int> kept = Vector512.GreaterThan(magnitudes, Vector512.Create(low));
            (bits & kept).Store(x + channel);
            Vector512<uint> one = kept.AsUInt32() & Vector512<uint>.One;
            Vector512.WidenLower(one).Store(words + channel);
            Vector512.WidenUpper(one).Store(words + channel + (Lanes / 2));
        }

        Keep(x, words, channel, channels, low, ref equalsToKeep);
    }

    private static void Keep(int* x, ulong* words, int channel, int end, int threshold, ref int equalsToKeep)
    {
        for (; channel < end; channel++)
        {
            int magnitude = x[channel] & AbsoluteBits;
            bool isTie = magnitude == threshold && equalsToKeep > 0;
            bool isKept = magnitude > threshold || isTie;
            equalsToKeep -= isTie ? 1 : 0;
            words[channel] = isKept ? 1UL : 0;
            x[channel] = isKept ? x[channel] : 0;
        }
    }

    /// <summary>Overwrites output [1,1,C], which may be the input.</summary>
    public static void ActivationForward(ActivationKind kind, CpuActivations input, CpuActivations output)
    {
        int channels = input.Channels;
        float* x = input.Row();
        float* y = output.Row();
        int channel = 0;
        for (; channel + Lanes <= channels; channel += Lanes)
        {
            Activation.Value(kind, Vector512.Load(x + channel)).Store(y + channel);
        }

        for (; channel < channels; channel++)
        {
            y[channel] = Activation.Value(kind, Vector512.Create(x[channel]))[0];
        }
    }

    /// <summary>How many magnitudes reach <paramref name="bits"/>.</summary>
    private static int CountReaching(int* values, int count, int bits)
    {
        Vector512<int> reached = default;
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
        {
            // A true comparison is -1.
            reached -= Vector512.GreaterThanOrEqual(Vector512.Load(values + i) & Vector512.Create(AbsoluteBits), Vector512.Create(bits));
        }

        int sum = Vector512.Sum(reached);
        for (; i < count; i++)
        {
            sum += (values[i] & AbsoluteBits) >= bits ? 1 : 0;
        }

        return sum;
    }
}
