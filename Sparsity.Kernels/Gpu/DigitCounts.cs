using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Counts of four bits of magnitudes: a column of 16 counters for each thread, so that no two threads write the same one.
/// </summary>
internal static class DigitCounts
{
    public const int Bits = 4;
    public const int Digits = 1 << Bits;
    public const int SharedLength = Digits * GroupReduction.MaximumThreads;

    /// <summary>Digits of a magnitude.</summary>
    public const int Passes = 8;

    /// <summary>The lowest bit of the highest digit.</summary>
    public const int FirstShift = Bits * (Passes - 1);

    /// <summary>The lowest bit of the digit that a pass looks at, counted from the highest.</summary>
    public static int ShiftOf(int pass) => FirstShift - (pass * Bits);

    /// <summary>|x| as an integer that orders as |x| does, NaN above infinity.</summary>
    public static int Magnitude(float x) => (int)(Interop.FloatAsInt(x) & 0x7FFFFFFFu);

    public static void Clear(ArrayView<int> counts)
    {
        for (int digit = 0; digit < Digits; digit++)
        {
            counts[(digit * Group.DimX) + Group.IdxX] = 0;
        }
    }

    /// <summary>Whether the bits above the digit at <paramref name="shift"/> are those of <paramref name="prefix"/>.</summary>
    public static bool Matches(int magnitude, int prefix, int shift) => (magnitude ^ prefix) >> shift >> Bits == 0; // by 32 would be by 0

    /// <summary>Counts the digit at <paramref name="shift"/>.</summary>
    public static void Add(ArrayView<int> counts, int magnitude, int shift) =>
        counts[(((magnitude >> shift) & (Digits - 1)) * Group.DimX) + Group.IdxX]++;

    /// <summary>
    /// Overwrites totals [16] with the sums over threads; counts is free for other use afterwards. Barriers before and after are in it.
    /// </summary>
    public static void Total(ArrayView<int> counts, ArrayView<int> totals)
    {
        int counters = Group.DimX;
        int digitStride = Group.DimX;
        int counterStride = 1;
        Group.Barrier();
        if (Group.DimX > Digits)
        {
            // All threads add up sixteen counters each; neighbours take other digits, and begin at other banks of shared memory.
            int digit = Group.IdxX & (Digits - 1);
            int first = (digit * Group.DimX) + Group.IdxX - digit;
            int sum = 0;
            for (int i = 0; i < Digits; i++)
            {
                sum += counts[first + ((i + digit) & (Digits - 1))];
            }

            Group.Barrier();
            counts[Group.IdxX] = sum;
            counters = Group.DimX >> Bits;
            digitStride = 1;
            counterStride = Digits;
            Group.Barrier();
        }

        for (int digit = Group.IdxX; digit < Digits; digit += Group.DimX)
        {
            int total = 0;
            for (int i = 0; i < counters; i++)
            {
                total += counts[(digit * digitStride) + (i * counterStride)];
            }

            totals[digit] = total;
        }

        Group.Barrier();
    }

    /// <summary>
    /// The highest digit such that it and those above hold at least <paramref name="wanted"/>; reduces wanted by what those above it hold.
    /// If none are wanted that is 15, which no magnitude has as its first digit.
    /// </summary>
    public static int DigitOfKth(ArrayView<int> totals, ref int wanted)
    {
        int digit = Digits - 1;
        while (digit > 0 && totals[digit] < wanted)
        {
            wanted -= totals[digit];
            digit--;
        }

        return digit;
    }
}
