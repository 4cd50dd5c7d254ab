using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Keeps each token's k entries of largest magnitude (docs/method.md section 1). The bits of |x|, read as an integer, order as |x| does:
/// the k-th is found four bits at a time, from the top, by counting how many entries other than zero have each value of them; the search
/// ends as soon as the counts separate exactly k.
/// </summary>
internal static class AbsTopK
{
    /// <summary>
    /// A pass costs each thread as much as some dozens of entries, whatever it counts: few threads with many entries each are the fastest.
    /// </summary>
    private const int EntriesOfThread = 32;

    private const int MaximumThreads = 64;

    /// <summary>In place on values [B,T,C]; overwrites selection.</summary>
    public static void Forward(GpuDevice device, GpuActivations values, int keep, GpuSelection selection)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keep, values.Channels);
        device.Launch(
            values.Rows,
            1,
            device.RowThreads(values.Channels, EntriesOfThread, MaximumThreads),
            new ForwardKernel(values.View, values.Stride, selection.View, values.Channels, keep)
        );
        selection.IsFew = 2 * keep <= values.Channels;
        values.IsMostlyZero = selection.IsFew;
    }

    /// <summary>In place on gradient [B,T,C]: zero where not kept.</summary>
    public static void Backward(GpuDevice device, GpuSelection selection, GpuActivations gradient)
    {
        device.LaunchForEach(
            gradient.Length,
            new BackwardKernel(selection.View, gradient.View, gradient.Stride, gradient.Channels, gradient.Length)
        );
        gradient.IsMostlyZero = selection.IsFew;
    }

    /// <summary>A group is one token.</summary>
    internal readonly struct ForwardKernel(ArrayView<float> values, int stride, ArrayView<byte> selection, int channels, int keep) : IKernel
    {
        public void Execute()
        {
            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.Digits * MaximumThreads);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            int row = Grid.IdxX * stride;
            int wanted = keep;
            int threshold = 0;
            int shift = DigitCounts.FirstShift;
            int isExact = 0;
            // Four bits a round, from the top: how many entries that begin with the bits found so far have each value of the next four?
            while (shift >= 0 && isExact == 0)
            {
                DigitCounts.Clear(counts);
                for (int c = Group.IdxX; c < channels; c += 4 * Group.DimX)
                {
                    // Four loads are on their way at once.
                    int second = c + Group.DimX;
                    int third = second + Group.DimX;
                    int fourth = third + Group.DimX;
                    float value0 = values[row + c];
                    float value1 = second < channels ? values[row + second] : 0f;
                    float value2 = third < channels ? values[row + third] : 0f;
                    float value3 = fourth < channels ? values[row + fourth] : 0f;
                    Count(counts, value0, threshold, shift);
                    Count(counts, value1, threshold, shift);
                    Count(counts, value2, threshold, shift);
                    Count(counts, value3, threshold, shift);
                }

                // The k-th entry has the highest value at which, counted from the top, the wanted number is reached.
                DigitCounts.Total(counts, totals);
                int digit = DigitCounts.DigitOfKth(totals, ref wanted);
                threshold |= digit << shift;
                if (threshold == 0 && totals[0] <= wanted)
                {
                    // No more than these differ from zero, as often under masks: all of them are kept, and as many zeros as are wanted
                    // besides.
                    wanted -= totals[0];
                    shift = 0;
                }
                else
                {
                    isExact = totals[digit] == wanted ? 1 : 0;
                }

                shift -= DigitCounts.Bits;
            }

            shift += DigitCounts.Bits;
            int kept = Grid.IdxX * channels;
            if (isExact != 0)
            {
                // The bits found separate exactly k entries from the others.
                for (int c = Group.IdxX; c < channels; c += Group.DimX)
                {
                    Keep(row + c, kept + c, DigitCounts.Magnitude(values[row + c]) >> shift >= threshold >>> shift ? 1 : 0);
                }

                return;
            }

            // More entries equal the threshold than are wanted: the first of them are kept. Each thread takes a run of channels.
            int run = (channels + Group.DimX - 1) / Group.DimX;
            int first = Group.IdxX * run;
            int ties = 0;
            for (int i = 0; i < run; i++)
            {
                int c = first + i;
                ties += c < channels && DigitCounts.Magnitude(values[row + c]) == threshold ? 1 : 0;
            }

            int place = GroupReduction.SumOfThreadsBefore(ties, counts);
            for (int i = 0; i < run; i++)
            {
                int c = first + i;
                if (c < channels)
                {
                    int magnitude = DigitCounts.Magnitude(values[row + c]);
                    int isTie = magnitude == threshold ? 1 : 0;
                    Keep(row + c, kept + c, magnitude > threshold || (isTie != 0 && place < wanted) ? 1 : 0);
                    place += isTie;
                }
            }
        }

        private static void Count(ArrayView<int> counts, float value, int prefix, int shift)
        {
            int magnitude = DigitCounts.Magnitude(value);
            if (magnitude != 0 && DigitCounts.Matches(magnitude, prefix, shift))
            {
                DigitCounts.Add(counts, magnitude, shift);
            }
        }

        private void Keep(int value, int choice, int isKept)
        {
            selection[choice] = (byte)isKept;
            if (isKept == 0)
            {
                values[value] = 0f;
            }
        }
    }

    internal readonly struct BackwardKernel(ArrayView<byte> selection, ArrayView<float> gradient, int stride, int channels, int length)
        : IKernel
    {
        public void Execute()
        {
            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length && selection[i] == 0)
            {
                int row = i / channels;
                gradient[(row * stride) + i - (row * channels)] = 0f;
            }
        }
    }
}
