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

    /// <summary>Activations of one shape that one launch takes: query, key and value.</summary>
    private const int Most = 3;

    /// <summary>
    /// In place on values [B,T,C]; overwrites selection. Others that follow at once share the launch; it takes on the nonlinearity before,
    /// and an addition may take it on.
    /// </summary>
    public static void Forward(GpuDevice device, GpuActivations values, int keep, GpuSelection selection)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keep, values.Channels);
        HeldForward? held = device.TakeHeld<HeldForward>(held => held.HasRoomFor(values, keep, selection));
        if (held is null)
        {
            held = new HeldForward(keep, device.TakeHeld<Activation.HeldForward>(activation => activation.Output == values));
        }

        held.All.Add((values, selection));
        device.Hold(held);
        selection.IsFew = 2 * keep <= values.Channels;
        values.IsMostlyZero = selection.IsFew;
    }

    /// <summary>Overwrites sum with a + b, if AbsTopK of b is still to be launched, in that launch.</summary>
    public static bool TryAdd(GpuDevice device, GpuActivations a, GpuActivations b, GpuActivations sum)
    {
        HeldForward? held = device.TakeHeld<HeldForward>(held =>
            held.All.Count == 1 && held.All[0].Values == b && held.Activation is null && a.IsApartFrom(b) && sum.IsApartFrom(b)
        );
        held?.Launch(device, a, sum);
        return held is not null;
    }

    /// <summary>
    /// In place on gradient [B,T,C]: zero where not kept. Others that follow at once share the launch; it takes on a copy before.
    /// </summary>
    public static void Backward(GpuDevice device, GpuSelection selection, GpuActivations gradient)
    {
        HeldBackward? held = device.TakeHeld<HeldBackward>(held => held.HasRoomFor(gradient));
        if (held is null)
        {
            held = new HeldBackward(device.TakeHeld<Elementwise.HeldCopy>(copy => copy.Target == gradient)?.Source);
        }

        held.All.Add((selection, gradient));
        device.Hold(held);
        gradient.IsMostlyZero = selection.IsFew;
    }

    /// <summary>
    /// For an operation that zeroes the gradient itself: the selection of a backward pass that is still to be launched; null if there is
    /// none.
    /// </summary>
    /// <param name="isOwn">Whether that is of the operation's own gradient.</param>
    public static GpuSelection? TakeBackward(GpuDevice device, Predicate<GpuActivations> isOwn) =>
        device.TakeHeld<HeldBackward>(held => held.All.Count == 1 && held.Source is null && isOwn(held.All[0].Gradient))?.All[0].Selection;

    /// <summary>
    /// A group is one token of one of up to three activations (Grid.IdxY). Of a single one the values may first be made by a nonlinearity,
    /// and the result added to another activation.
    /// </summary>
    internal readonly struct ForwardKernel(
        ArrayView<float> firstValues,
        ArrayView<float> secondValues,
        ArrayView<float> thirdValues,
        int stride,
        ArrayView<byte> firstSelection,
        ArrayView<byte> secondSelection,
        ArrayView<byte> thirdSelection,
        int channels,
        int keep,
        ArrayView<float> input,
        int inputStride,
        int hasInput,
        int gelu,
        ArrayView<float> addend,
        int addendStride,
        ArrayView<float> sum,
        int sumStride,
        int hasSum
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> values = firstValues;
            ArrayView<byte> selection = firstSelection;
            if (Grid.IdxY == 1)
            {
                values = secondValues;
                selection = secondSelection;
            }
            else if (Grid.IdxY == 2)
            {
                values = thirdValues;
                selection = thirdSelection;
            }

            ArrayView<int> counts = SharedMemory.Allocate<int>(DigitCounts.Digits * MaximumThreads);
            ArrayView<int> totals = SharedMemory.Allocate<int>(DigitCounts.Digits);
            int row = Grid.IdxX * stride;
            if (hasInput != 0)
            {
                for (int c = Group.IdxX; c < channels; c += Group.DimX)
                {
                    values[row + c] = Activation.Of(input[(Grid.IdxX * inputStride) + c], gelu);
                }
            }

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
            if (isExact != 0)
            {
                // The bits found separate exactly k entries from the others.
                for (int c = Group.IdxX; c < channels; c += Group.DimX)
                {
                    Keep(values, selection, row + c, c, DigitCounts.Magnitude(values[row + c]) >> shift >= threshold >>> shift ? 1 : 0);
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
                    Keep(values, selection, row + c, c, magnitude > threshold || (isTie != 0 && place < wanted) ? 1 : 0);
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

        private void Keep(ArrayView<float> values, ArrayView<byte> selection, int place, int channel, int isKept)
        {
            selection[(Grid.IdxX * channels) + channel] = (byte)isKept;
            if (isKept == 0)
            {
                values[place] = 0f;
            }

            if (hasSum != 0)
            {
                sum[(Grid.IdxX * sumStride) + channel] = addend[(Grid.IdxX * addendStride) + channel] + values[place];
            }
        }
    }

    /// <summary>One entry of one of up to three activations (Grid.IdxY); of a single one it may first be copied.</summary>
    internal readonly struct BackwardKernel(
        ArrayView<byte> firstSelection,
        ArrayView<byte> secondSelection,
        ArrayView<byte> thirdSelection,
        ArrayView<float> firstGradient,
        ArrayView<float> secondGradient,
        ArrayView<float> thirdGradient,
        int stride,
        ArrayView<float> source,
        int sourceStride,
        int hasSource,
        int channels,
        int length
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<byte> selection = firstSelection;
            ArrayView<float> gradient = firstGradient;
            if (Grid.IdxY == 1)
            {
                selection = secondSelection;
                gradient = secondGradient;
            }
            else if (Grid.IdxY == 2)
            {
                selection = thirdSelection;
                gradient = thirdGradient;
            }

            int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
            if (i < length)
            {
                int row = i / channels;
                int channel = i - (row * channels);
                if (selection[i] == 0)
                {
                    gradient[(row * stride) + channel] = 0f;
                }
                else if (hasSource != 0)
                {
                    gradient[(row * stride) + channel] = source[(row * sourceStride) + channel];
                }
            }
        }
    }

    /// <summary>Forward passes of activations of one shape, put off.</summary>
    private sealed class HeldForward(int keep, Activation.HeldForward? activation) : IHeldLaunch
    {
        /// <summary>Makes the values; null where they are there.</summary>
        public Activation.HeldForward? Activation => activation;

        public List<(GpuActivations Values, GpuSelection Selection)> All { get; } = [];

        public bool HasRoomFor(GpuActivations values, int kept, GpuSelection selection) =>
            All.Count < Most
            && activation is null
            && kept == keep
            && All.TrueForAll(own => own.Selection != selection && CanShareALaunch(own.Values, values));

        public void Launch(GpuDevice device) => Launch(device, null, null);

        /// <param name="addend">Null for no sum.</param>
        /// <param name="sum">Overwritten with the addend and the result.</param>
        public void Launch(GpuDevice device, GpuActivations? addend, GpuActivations? sum)
        {
            GpuActivations first = All[0].Values;
            GpuActivations input = activation?.Input ?? first;
            device.Launch(
                first.Rows,
                All.Count,
                device.RowThreads(first.Channels, EntriesOfThread, MaximumThreads),
                new ForwardKernel(
                    first.View,
                    Of(1).Values.View,
                    Of(2).Values.View,
                    first.Stride,
                    All[0].Selection.View,
                    Of(1).Selection.View,
                    Of(2).Selection.View,
                    first.Channels,
                    keep,
                    input.View,
                    input.Stride,
                    activation is null ? 0 : 1,
                    activation?.Gelu ?? 0,
                    (addend ?? first).View,
                    (addend ?? first).Stride,
                    (sum ?? first).View,
                    (sum ?? first).Stride,
                    sum is null ? 0 : 1
                )
            );
        }

        private (GpuActivations Values, GpuSelection Selection) Of(int place) => All[Math.Min(place, All.Count - 1)];
    }

    /// <summary>Backward passes of activations of one shape, put off.</summary>
    private sealed class HeldBackward(GpuActivations? source) : IHeldLaunch
    {
        /// <summary>The gradient is first copied from there; null where it is there.</summary>
        public GpuActivations? Source => source;

        public List<(GpuSelection Selection, GpuActivations Gradient)> All { get; } = [];

        public bool HasRoomFor(GpuActivations gradient) =>
            All.Count < Most && source is null && All.TrueForAll(own => CanShareALaunch(own.Gradient, gradient));

        public void Launch(GpuDevice device)
        {
            GpuActivations first = All[0].Gradient;
            device.LaunchForEach(
                first.Length,
                new BackwardKernel(
                    All[0].Selection.View,
                    Of(1).Selection.View,
                    Of(2).Selection.View,
                    first.View,
                    Of(1).Gradient.View,
                    Of(2).Gradient.View,
                    first.Stride,
                    (source ?? first).View,
                    (source ?? first).Stride,
                    source is null ? 0 : 1,
                    first.Channels,
                    first.Length
                ),
                All.Count
            );
        }

        private (GpuSelection Selection, GpuActivations Gradient) Of(int place) => All[Math.Min(place, All.Count - 1)];
    }

    private static bool CanShareALaunch(GpuActivations a, GpuActivations b) =>
        a.Rows == b.Rows && a.Channels == b.Channels && a.Stride == b.Stride && a.IsApartFrom(b);
}
