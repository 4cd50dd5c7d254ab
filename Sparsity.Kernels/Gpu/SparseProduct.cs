using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// output (line) = bias + sum over the line's nonzero entries of value * input (entry), for every token. A group takes 8 tokens: it stages
/// up to 1024 of their input channels in shared memory and goes over the entries of all lines there, one thread to a line; more channels
/// come in chunks that end where segments of the lists do.
/// </summary>
internal static class SparseProduct
{
    private const int TokensOfGroup = 8;
    private const int ChunkChannels = 1024;

    /// <summary>So many groups keep every multiprocessor busy.</summary>
    private const int WantedGroups = 512;

    /// <summary>Overwrites output.</summary>
    public static void Run(
        GpuDevice device,
        (IndexLists Lists, ArrayView<float> Values) weight,
        GpuActivations input,
        GpuActivations output,
        ArrayView<float> bias,
        int hasBias
    )
    {
        int segment = (input.Channels + weight.Lists.Segments - 1) / weight.Lists.Segments;
        device.RequireAtMost(ChunkChannels * weight.Lists.Segments, input.Channels, input.Name + " has {0} channels, which are");
        int groups = (input.Rows + TokensOfGroup - 1) / TokensOfGroup;
        int threads = device.RowThreads(output.Channels);

        // Few tokens leave multiprocessors idle: then several groups share the lines, and each stages the tokens for itself.
        int parts = Math.Clamp(WantedGroups / groups, 1, (output.Channels + threads - 1) / threads);
        bool isAligned = input.IsAligned && segment % 4 == 0 && threads >= TokensOfGroup;
        device.Launch(
            groups,
            parts,
            threads,
            new Kernel(
                weight.Lists.Starts,
                weight.Lists.Segments,
                ChunkChannels / segment,
                segment,
                weight.Lists.Entries,
                weight.Values,
                input.View,
                input.Stride,
                input.Channels,
                output.View,
                output.Stride,
                output.Channels,
                (output.Channels + parts - 1) / parts,
                input.Rows,
                isAligned ? 1 : 0,
                bias,
                hasBias
            )
        );
    }

    internal readonly struct Kernel(
        ArrayView<int> starts,
        int segments,
        int segmentsOfChunk,
        int segment,
        ArrayView<int> entries,
        ArrayView<float> values,
        ArrayView<float> input,
        int inputStride,
        int inputChannels,
        ArrayView<float> output,
        int outputStride,
        int lines,
        int linesOfGroup,
        int rows,
        int isAligned,
        ArrayView<float> bias,
        int hasBias
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> staged = SharedMemory.Allocate<float>(ChunkChannels * TokensOfGroup);
            ArrayView<Float4> stagedFours = staged.Cast<Float4>();
            int firstRow = Grid.IdxX * TokensOfGroup;
            for (int firstSegment = 0; firstSegment < segments; firstSegment += segmentsOfChunk)
            {
                // A chunk of input channels, eight tokens of a channel side by side; zeros beyond the last token.
                int firstChannel = firstSegment * segment;
                int channels = segmentsOfChunk * segment;
                channels = firstChannel + channels < inputChannels ? channels : inputChannels - firstChannel;
                if (isAligned != 0)
                {
                    ArrayView<Float4> inputFours = input.Cast<Float4>();

                    // Eight neighbouring threads take eight tokens, so that few of a warp's stores meet in a bank; two loads at once.
                    int row = firstRow + (Group.IdxX & (TokensOfGroup - 1));
                    int token = Group.IdxX & (TokensOfGroup - 1);
                    int end = (channels + 3) >> 2;
                    int step = Group.DimX >> 3;
                    for (int four = Group.IdxX >> 3; four < end; four += 2 * step)
                    {
                        Float4 near = default;
                        Float4 far = default;
                        int at = ((row * inputStride) + firstChannel) >> 2;
                        if (row < rows)
                        {
                            near = inputFours[at + four];
                            if (four + step < end)
                            {
                                far = inputFours[at + four + step];
                            }
                        }

                        Put(staged, four, token, near);
                        if (four + step < end)
                        {
                            Put(staged, four + step, token, far);
                        }
                    }
                }
                else
                {
                    for (int i = Group.IdxX; i < channels * TokensOfGroup; i += Group.DimX)
                    {
                        int token = i & (TokensOfGroup - 1);
                        float value = 0f;
                        if (firstRow + token < rows)
                        {
                            value = input[((firstRow + token) * inputStride) + firstChannel + (i >> 3)];
                        }

                        staged[i] = value;
                    }
                }

                Group.Barrier();

                // Each thread goes over the chunk's entries of its lines, for all eight tokens at once; the first chunk overwrites.
                int endSegment = firstSegment + segmentsOfChunk < segments ? firstSegment + segmentsOfChunk : segments;
                int firstLine = Grid.IdxY * linesOfGroup;
                int endLine = firstLine + linesOfGroup < lines ? firstLine + linesOfGroup : lines;
                for (int line = firstLine + Group.IdxX; line < endLine; line += Group.DimX)
                {
                    Float4 early = default;
                    Float4 late = default;
                    int end = starts[(line * segments) + endSegment];
                    for (int place = starts[(line * segments) + firstSegment]; place < end; place++)
                    {
                        int four = (entries[place] - firstChannel) * 2;
                        float weight = values[place];
                        Float4.MultiplyAdd(ref early, weight, stagedFours[four]);
                        Float4.MultiplyAdd(ref late, weight, stagedFours[four + 1]);
                    }

                    float initial = hasBias != 0 ? bias[line] : 0f;
                    int isFirst = firstSegment == 0 ? 1 : 0;
                    Store(firstRow, line, isFirst, initial, early.X);
                    Store(firstRow + 1, line, isFirst, initial, early.Y);
                    Store(firstRow + 2, line, isFirst, initial, early.Z);
                    Store(firstRow + 3, line, isFirst, initial, early.W);
                    Store(firstRow + 4, line, isFirst, initial, late.X);
                    Store(firstRow + 5, line, isFirst, initial, late.Y);
                    Store(firstRow + 6, line, isFirst, initial, late.Z);
                    Store(firstRow + 7, line, isFirst, initial, late.W);
                }

                Group.Barrier();
            }
        }

        private static void Put(ArrayView<float> staged, int four, int token, Float4 values)
        {
            int place = (four * 4 * TokensOfGroup) + token;
            staged[place] = values.X;
            staged[place + TokensOfGroup] = values.Y;
            staged[place + (2 * TokensOfGroup)] = values.Z;
            staged[place + (3 * TokensOfGroup)] = values.W;
        }

        private void Store(int row, int line, int isFirst, float initial, float sum)
        {
            if (row < rows)
            {
                int place = (row * outputStride) + line;
                output[place] = isFirst != 0 ? initial + sum : output[place] + sum;
            }
        }
    }
}
