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
        device.Launch(
            (input.Rows + TokensOfGroup - 1) / TokensOfGroup,
            1,
            device.RowThreads(output.Channels),
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
                input.Rows,
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
        int rows,
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
                int firstChannel = firstSegment * segment;
                int channels = segmentsOfChunk * segment;
                channels = firstChannel + channels < inputChannels ? channels : inputChannels - firstChannel;
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

                Group.Barrier();
                int endSegment = firstSegment + segmentsOfChunk < segments ? firstSegment + segmentsOfChunk : segments;
                for (int line = Group.IdxX; line < lines; line += Group.DimX)
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
