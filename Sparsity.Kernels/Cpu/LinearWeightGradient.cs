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
                    SixRows(a + (row * width), width, x, sums + (row * ColumnsOfBlock));
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
                    s0 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(token), s0);
                    s1 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(token + 16), s1);
                    s2 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(token + 32), s2);
                    s3 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(token + 48), s3);
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
                s0 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(x), s0);
                s1 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(x + 16), s1);
                s2 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(x + 32), s2);
                s3 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(x + 48), s3);
            }

            s0.Store(sums);
            s1.Store(sums + 16);
            s2.Store(sums + 32);
            s3.Store(sums + 48);
        }

        private static void SixRows(float* a, int width, float* x, float* sums)
        {
            float* b = a + width;
            float* c = b + width;
            float* d = c + width;
            float* e = d + width;
            float* f = e + width;
            Vector512<float> a0 = Vector512.Load(sums), a1 = Vector512.Load(sums + 16), a2 = Vector512.Load(sums + 32), a3 = Vector512.Load(sums + 48);
            Vector512<float> b0 = Vector512.Load(sums + 64), b1 = Vector512.Load(sums + 80), b2 = Vector512.Load(sums + 96), b3 = Vector512.Load(sums + 112);
            Vector512<float> c0 = Vector512.Load(sums + 128), c1 = Vector512.Load(sums + 144), c2 = Vector512.Load(sums + 160), c3 = Vector512.Load(sums + 176);
            Vector512<float> d0 = Vector512.Load(sums + 192), d1 = Vector512.Load(sums + 208), d2 = Vector512.Load(sums + 224), d3 = Vector512.Load(sums + 240);
            Vector512<float> e0 = Vector512.Load(sums + 256), e1 = Vector512.Load(sums + 272), e2 = Vector512.Load(sums + 288), e3 = Vector512.Load(sums + 304);
            Vector512<float> f0 = Vector512.Load(sums + 320), f1 = Vector512.Load(sums + 336), f2 = Vector512.Load(sums + 352), f3 = Vector512.Load(sums + 368);
            for (int lane = 0; lane < width; lane++, x += ColumnsOfBlock)
            {
                Vector512<float> x0 = Vector512.Load(x);
                Vector512<float> x1 = Vector512.Load(x + 16);
                Vector512<float> x2 = Vector512.Load(x + 32);
                Vector512<float> x3 = Vector512.Load(x + 48);
                Vector512<float> v = Vector512.Create(a[lane]);
                a0 = Vector512.FusedMultiplyAdd(v, x0, a0);
                a1 = Vector512.FusedMultiplyAdd(v, x1, a1);
                a2 = Vector512.FusedMultiplyAdd(v, x2, a2);
                a3 = Vector512.FusedMultiplyAdd(v, x3, a3);
                v = Vector512.Create(b[lane]);
                b0 = Vector512.FusedMultiplyAdd(v, x0, b0);
                b1 = Vector512.FusedMultiplyAdd(v, x1, b1);
                b2 = Vector512.FusedMultiplyAdd(v, x2, b2);
                b3 = Vector512.FusedMultiplyAdd(v, x3, b3);
                v = Vector512.Create(c[lane]);
                c0 = Vector512.FusedMultiplyAdd(v, x0, c0);
                c1 = Vector512.FusedMultiplyAdd(v, x1, c1);
                c2 = Vector512.FusedMultiplyAdd(v, x2, c2);
                c3 = Vector512.FusedMultiplyAdd(v, x3, c3);
                v = Vector512.Create(d[lane]);
                d0 = Vector512.FusedMultiplyAdd(v, x0, d0);
                d1 = Vector512.FusedMultiplyAdd(v, x1, d1);
                d2 = Vector512.FusedMultiplyAdd(v, x2, d2);
                d3 = Vector512.FusedMultiplyAdd(v, x3, d3);
                v = Vector512.Create(e[lane]);
                e0 = Vector512.FusedMultiplyAdd(v, x0, e0);
                e1 = Vector512.FusedMultiplyAdd(v, x1, e1);
                e2 = Vector512.FusedMultiplyAdd(v, x2, e2);
                e3 = Vector512.FusedMultiplyAdd(v, x3, e3);
                v = Vector512.Create(f[lane]);
                f0 = Vector512.FusedMultiplyAdd(v, x0, f0);
                f1 = Vector512.FusedMultiplyAdd(v, x1, f1);
                f2 = Vector512.FusedMultiplyAdd(v, x2, f2);
                f3 = Vector512.FusedMultiplyAdd(v, x3, f3);
            }

            StoreRow(sums, a0, a1, a2, a3);
            StoreRow(sums + 64, b0, b1, b2, b3);
            StoreRow(sums + 128, c0, c1, c2, c3);
            StoreRow(sums + 192, d0, d1, d2, d3);
            StoreRow(sums + 256, e0, e1, e2, e3);
            StoreRow(sums + 320, f0, f1, f2, f3);
        }

        private static void StoreRow(float* sums, Vector512<float> s0, Vector512<float> s1, Vector512<float> s2, Vector512<float> s3)
        {
            s0.Store(sums);
            s1.Store(sums + 16);
            s2.Store(sums + 32);
            s3.Store(sums + 48);
        }
    }
}
