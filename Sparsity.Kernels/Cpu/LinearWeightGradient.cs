using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// weightGradient [O,I] += outputGradient^T [O,N] * input [N,I], summed over all N tokens. One of the two is packed token by token, 64 channels side by side; the
/// other gives the rows, a broadcast number at a time. Where the rows are mostly zeros, as behind AbsTopK, only their nonzero entries are visited.
/// </summary>
internal static unsafe class LinearWeightGradient
{
    /// <summary>Share of nonzero row entries up to which visiting them one by one is faster than the dense tiles.</summary>
    private const double DensestUseful = 0.6;

    private const int RowsOfBlock = 24;
    private const int ColumnsOfBlock = 64;
    private const int Width = CpuActivations.MaximumWidth;

    /// <summary>Accumulates into weightGradient.</summary>
    public static void Run(WorkerPool pool, CpuActivations input, CpuActivations outputGradient, CpuWeights weightGradient)
    {
        // The rows' nonzero entries, as bits, of both; whichever is sparser gives the rows.
        int tiles = input.Tiles;
        long inputWords = (long)tiles * input.Channels;
        long gradientWords = (long)tiles * outputGradient.Channels;
        long packed = (long)tiles * Width * Math.Max(Blocks(input.Channels, ColumnsOfBlock), Blocks(outputGradient.Channels, ColumnsOfBlock)) * ColumnsOfBlock;
        float* shared = pool.Shared(checked((int)(packed + (2 * (inputWords + gradientWords + (2 * tiles))))));
        var inputBits = (ulong*)(shared + packed);
        ulong* gradientBits = inputBits + inputWords;
        ulong* counts = gradientBits + gradientWords;
        pool.Run(tiles, new BitsJob(input, inputBits, counts));
        pool.Run(tiles, new BitsJob(outputGradient, gradientBits, counts + tiles));
        double inputDensity = Sum(counts, tiles) / ((double)inputWords * input.Width);
        double gradientDensity = Sum(counts + tiles, tiles) / ((double)gradientWords * input.Width);

        bool transposed = inputDensity < 0.8 * gradientDensity && inputDensity <= DensestUseful;
        CpuActivations rows = transposed ? input : outputGradient;
        CpuActivations columns = transposed ? outputGradient : input;
        ulong* bits = (transposed ? inputDensity : gradientDensity) > DensestUseful ? null : transposed ? inputBits : gradientBits;
        int columnBlocks = Blocks(columns.Channels, ColumnsOfBlock);
        pool.Run(tiles * columnBlocks, new PackJob(columns, shared, columnBlocks));
        pool.Run(
            columnBlocks * Blocks(rows.Channels, RowsOfBlock),
            new ProductJob(pool, rows, bits, columns, shared, weightGradient.Data, weightGradient.Columns, transposed));
    }

    private static int Blocks(int channels, int size) => (channels + size - 1) / size;

    private static double Sum(ulong* counts, int tiles)
    {
        double sum = 0;
        for (int tile = 0; tile < tiles; tile++)
        {
            sum += counts[tile];
        }

        return sum;
    }

    /// <summary>Bit i of a channel's word: whether its lane i is nonzero.</summary>
    private readonly struct BitsJob(CpuActivations values, ulong* bits, ulong* counts) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            ulong count = 0;
            for (int channel = 0; channel < values.Channels; channel++)
            {
                float* lanes = values.Lanes(tile, channel);
                ulong word = 0;
                for (int lane = 0; lane < values.Width; lane += CpuActivations.VectorLanes)
                {
                    word |= (~Vector512.Equals(Vector512.Load(lanes + lane), Vector512<float>.Zero).ExtractMostSignificantBits() & 0xFFFF) << lane;
                }

                bits[((long)tile * values.Channels) + channel] = word;
                count += (ulong)BitOperations.PopCount(word);
            }

            counts[tile] = count;
        }
    }

    /// <summary>Overwrites packed[block][tile][lane][64] with the tile's channels of that block; absent lanes and channels are zero.</summary>
    private readonly struct PackJob(CpuActivations values, float* packed, int blocks) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int tile = item / blocks;
            int block = item % blocks;
            float* target = packed + ((((long)block * values.Tiles) + tile) * Width * ColumnsOfBlock);
            int first = block * ColumnsOfBlock;
            int count = Math.Min(ColumnsOfBlock, values.Channels - first);
            if (count < ColumnsOfBlock)
            {
                new Span<float>(target, values.Width * ColumnsOfBlock).Clear();
            }

            for (int lane = 0; lane < values.Width; lane += 16)
            {
                int channel = 0;
                for (; channel + 16 <= count; channel += 16)
                {
                    Transposition.Sixteen(values.Lanes(tile, first + channel) + lane, values.Width, target + (lane * ColumnsOfBlock) + channel, ColumnsOfBlock);
                }

                for (; channel < count; channel++)
                {
                    float* lanes = values.Lanes(tile, first + channel) + lane;
                    for (int i = 0; i < 16; i++)
                    {
                        target[((lane + i) * ColumnsOfBlock) + channel] = lanes[i];
                    }
                }
            }
        }
    }

    /// <summary>
    /// An item is a block of 24 rows by 64 columns of the product, kept in the first cache while all tokens pass: 64 columns are four vectors, and a tile of 64 tokens
    /// of them fits beside it.
    /// </summary>
    private readonly struct ProductJob(
        WorkerPool pool, CpuActivations rows, ulong* bits, CpuActivations columns, float* packed, float* target, int targetColumns, bool transposed) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            // Blocks of rows change fastest: the packed columns stay in the second cache.
            int rowBlocks = Blocks(rows.Channels, RowsOfBlock);
            int block = item / rowBlocks;
            int firstRow = item % rowBlocks * RowsOfBlock;
            int rowCount = Math.Min(RowsOfBlock, rows.Channels - firstRow);
            int firstColumn = block * ColumnsOfBlock;
            int columnCount = Math.Min(ColumnsOfBlock, columns.Channels - firstColumn);
            float* sums = pool.Scratch(worker, RowsOfBlock * ColumnsOfBlock);
            new Span<float>(sums, RowsOfBlock * ColumnsOfBlock).Clear();
            int width = rows.Width;
            for (int tile = 0; tile < rows.Tiles; tile++)
            {
                float* x = packed + ((((long)block * rows.Tiles) + tile) * Width * ColumnsOfBlock);
                float* a = rows.Lanes(tile, firstRow);
                if (bits != null)
                {
                    NonzeroRows(a, bits + ((long)tile * rows.Channels) + firstRow, rowCount, width, rows.TileStride, x, sums);
                    continue;
                }

                int row = 0;
                for (; row + 6 <= rowCount; row += 6)
                {
                    DenseTile.SixRows(a + (row * width), width, width, x, sums + (row * ColumnsOfBlock));
                }

                for (; row < rowCount; row++)
                {
                    OneRow(a + (row * width), width, x, sums + (row * ColumnsOfBlock));
                }
            }

            for (int row = 0; row < rowCount; row++)
            {
                for (int column = 0; column < columnCount; column++)
                {
                    long entry = transposed ? ((long)(firstColumn + column) * targetColumns) + firstRow + row : ((long)(firstRow + row) * targetColumns) + firstColumn + column;
                    target[entry] += sums[(row * ColumnsOfBlock) + column];
                }
            }
        }

        private static void NonzeroRows(float* a, ulong* bits, int rowCount, int width, long tileStride, float* x, float* sums)
        {
            for (int row = 0; row < rowCount; row++, a += width, sums += ColumnsOfBlock)
            {
                if (Sse.IsSupported)
                {
                    // The row's next tile lies in the third cache or beyond: asked for a tile ahead, it is here in time. Asking past the end does no harm.
                    float* next = a + tileStride;
                    Sse.Prefetch0(next);
                    Sse.Prefetch0(next + 16);
                    Sse.Prefetch0(next + 32);
                    Sse.Prefetch0(next + 48);
                }

                ulong word = bits[row];
                if (word == 0)
                {
                    continue;
                }

                Vector512<float> s0 = Vector512.Load(sums);
                Vector512<float> s1 = Vector512.Load(sums + 16);
                Vector512<float> s2 = Vector512.Load(sums + 32);
                Vector512<float> s3 = Vector512.Load(sums + 48);
                do
                {
                    int lane = BitOperations.TrailingZeroCount(word);
                    word &= word - 1;
                    Vector512<float> factor = Vector512.Create(a[lane]);
                    float* token = x + (lane * ColumnsOfBlock);
                    s0 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token), s0);
                    s1 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 16), s1);
                    s2 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 32), s2);
                    s3 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 48), s3);
                }
                while (word != 0);

                s0.Store(sums);
                s1.Store(sums + 16);
                s2.Store(sums + 32);
                s3.Store(sums + 48);
            }
        }

        private static void OneRow(float* a, int width, float* x, float* sums)
        {
            Vector512<float> s0 = Vector512.Load(sums);
            Vector512<float> s1 = Vector512.Load(sums + 16);
            Vector512<float> s2 = Vector512.Load(sums + 32);
            Vector512<float> s3 = Vector512.Load(sums + 48);
            for (int lane = 0; lane < width; lane++, x += ColumnsOfBlock)
            {
                Vector512<float> factor = Vector512.Create(a[lane]);
                s0 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(x), s0);
                s1 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(x + 16), s1);
                s2 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(x + 32), s2);
                s3 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(x + 48), s3);
            }

            s0.Store(sums);
            s1.Store(sums + 16);
            s2.Store(sums + 32);
            s3.Store(sums + 48);
        }
    }
}
