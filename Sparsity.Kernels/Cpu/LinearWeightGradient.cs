using System.Numerics;
using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// weightGradient [O,I] += outputGradient^T [O,N] * input [N,I], summed over all N tokens. One of the two is packed token by token, 64 or
/// 128 channels side by side; the other gives the rows, a broadcast number at a time. Where the rows are mostly zeros, as behind AbsTopK,
/// only their nonzero entries are visited.
/// </summary>
internal static unsafe class LinearWeightGradient
{
    /// <summary>Share of nonzero row entries up to which visiting them one by one is faster than the dense tiles.</summary>
    private const double DensestUseful = 0.6;

    private const int RowsOfBlock = 24;
    private const int SampledEvery = 8;

    /// <summary>
    /// Four vectors of sums for each of six rows in the dense tiles; eight vectors for one row where zeros are skipped, so that no sum
    /// waits for itself.
    /// </summary>
    private const int DenseColumns = 64;
    private const int SparseColumns = 128;
    private const int Width = CpuActivations.MaximumWidth;

    /// <summary>Accumulates into weightGradient.</summary>
    public static void Run(WorkerPool pool, CpuActivations input, CpuActivations outputGradient, CpuWeights weightGradient)
    {
        // Whichever is sparser gives the rows.
        int tiles = input.Tiles;
        double inputDensity = Density(pool, input);
        double gradientDensity = Density(pool, outputGradient);
        bool transposed = inputDensity < 0.8 * gradientDensity && inputDensity <= DensestUseful;
        CpuActivations rows = transposed ? input : outputGradient;
        CpuActivations columns = transposed ? outputGradient : input;
        bool isSparse = (transposed ? inputDensity : gradientDensity) <= DensestUseful;
        int width = isSparse ? SparseColumns : DenseColumns;
        int columnBlocks = Blocks(columns.Channels, width);
        long packed = (long)tiles * Width * columnBlocks * width;
        long words = isSparse ? (long)tiles * rows.Channels : 0;
        long values = isSparse ? (words * Width) + (tiles * LanePacking.Overhang) : 0;
        long firsts = isSparse ? (long)tiles * Blocks(rows.Channels, RowsOfBlock) : 0;
        float* shared = pool.Shared(checked((int)(packed + values + (2 * words) + firsts)));
        pool.Run(tiles * columnBlocks, new PackJob(columns, shared, columnBlocks, width));
        int items = columnBlocks * Blocks(rows.Channels, RowsOfBlock);
        var target = new Target(weightGradient.Data, weightGradient.Columns, transposed);
        if (!isSparse)
        {
            pool.Run(items, new DenseJob(pool, rows, columns, shared, target));
            return;
        }

        // A row's numbers that are not zero follow one another: four of five bytes that a visit would bring into the caches are not needed.
        float* compressed = shared + packed;
        var bits = (ulong*)(compressed + values);
        var firstOfBlock = (int*)(bits + words);
        pool.Run(tiles, new CompressJob(rows, bits, compressed, firstOfBlock));
        pool.Run(items, new SparseJob(pool, rows, bits, compressed, firstOfBlock, columns, shared, target));
    }

    /// <summary>The share of numbers that are not zero, in every eighth tile: enough to choose by.</summary>
    private static double Density(WorkerPool pool, CpuActivations values)
    {
        int sampled = (values.Tiles + SampledEvery - 1) / SampledEvery;
        var counts = (ulong*)pool.Shared(2 * sampled);
        pool.Run(sampled, new CountJob(values, counts));
        double sum = 0;
        for (int i = 0; i < sampled; i++)
        {
            sum += counts[i];
        }

        return sum / ((double)sampled * values.Channels * values.Width);
    }

    private static int Blocks(int channels, int size) => (channels + size - 1) / size;

    private readonly struct CountJob(CpuActivations values, ulong* counts) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            var numbers = new ReadOnlySpan<float>(values.Lanes(item * SampledEvery, 0), values.Channels * values.Width);
            counts[item] = (ulong)Elementwise.CountNonzero(numbers);
        }
    }

    /// <summary>
    /// Overwrites packed[block][tile][lane][width] with the tile's channels of that block; absent lanes and channels are zero.
    /// </summary>
    private readonly struct PackJob(CpuActivations values, float* packed, int blocks, int blockWidth) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int tile = item / blocks;
            int block = item % blocks;
            float* target = packed + ((((long)block * values.Tiles) + tile) * Width * blockWidth);
            int first = block * blockWidth;
            int count = Math.Min(blockWidth, values.Channels - first);
            if (count < blockWidth)
            {
                new Span<float>(target, values.Width * blockWidth).Clear();
            }

            for (int lane = 0; lane < values.Width; lane += 16)
            {
                int channel = 0;
                for (; channel + 16 <= count; channel += 16)
                {
                    Transposition.Sixteen(
                        values.Lanes(tile, first + channel) + lane,
                        values.Width,
                        target + (lane * blockWidth) + channel,
                        blockWidth
                    );
                }

                for (; channel < count; channel++)
                {
                    float* lanes = values.Lanes(tile, first + channel) + lane;
                    for (int i = 0; i < 16; i++)
                    {
                        target[((lane + i) * blockWidth) + channel] = lanes[i];
                    }
                }
            }
        }
    }

    /// <summary>
    /// Overwrites compressed with the nonzero numbers of each tile, channel after channel; bits with a word for each channel of each tile,
    /// whose bit i says whether lane i is among them; and firsts[tile][block of rows] with the place of a block's first.
    /// </summary>
    private readonly struct CompressJob(CpuActivations values, ulong* bits, float* compressed, int* firsts) : IParallelJob
    {
        public void Execute(int tile, int worker)
        {
            int channels = values.Channels;
            int width = values.Width;
            float* lanes = values.Lanes(tile, 0);
            ulong* words = bits + ((long)tile * channels);
            int* first = firsts + ((long)tile * Blocks(channels, RowsOfBlock));
            float* place = compressed + (tile * (((long)channels * Width) + LanePacking.Overhang));
            for (int channel = 0; channel < channels; channel++, lanes += width)
            {
                if (channel % RowsOfBlock == 0)
                {
                    first[channel / RowsOfBlock] = (int)(place - compressed);
                }

                words[channel] = LanePacking.PackNonzero(lanes, width, ref place);
            }
        }
    }

    /// <summary>Where the product goes: weightGradient, or its transpose.</summary>
    private readonly struct Target(float* data, int columns, bool transposed)
    {
        public void Accumulate(float* sums, int stride, int firstRow, int rowCount, int firstColumn, int columnCount)
        {
            for (int row = 0; row < rowCount; row++)
            {
                for (int column = 0; column < columnCount; column++)
                {
                    long entry = transposed
                        ? ((long)(firstColumn + column) * columns) + firstRow + row
                        : ((long)(firstRow + row) * columns) + firstColumn + column;
                    data[entry] += sums[(row * stride) + column];
                }
            }
        }
    }

    /// <summary>
    /// An item is a block of 24 rows by 128 columns of the product, kept in the first cache while all tokens pass: 128 columns are eight
    /// vectors, and a tile of 64 tokens of them fits beside it.
    /// </summary>
    private readonly struct SparseJob(
        WorkerPool pool,
        CpuActivations rows,
        ulong* bits,
        float* compressed,
        int* firsts,
        CpuActivations columns,
        float* packed,
        Target target
    ) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            // Blocks of rows change fastest: the packed columns stay in the second cache.
            int rowBlocks = Blocks(rows.Channels, RowsOfBlock);
            int block = item / rowBlocks;
            int rowBlock = item % rowBlocks;
            int firstRow = rowBlock * RowsOfBlock;
            int rowCount = Math.Min(RowsOfBlock, rows.Channels - firstRow);
            int firstColumn = block * SparseColumns;
            float* sums = pool.Scratch(worker, RowsOfBlock * SparseColumns);
            new Span<float>(sums, RowsOfBlock * SparseColumns).Clear();
            for (int tile = 0; tile < rows.Tiles; tile++)
            {
                float* x = packed + ((((long)block * rows.Tiles) + tile) * Width * SparseColumns);
                NonzeroRows(
                    compressed + firsts[((long)tile * rowBlocks) + rowBlock],
                    bits + ((long)tile * rows.Channels) + firstRow,
                    rowCount,
                    x,
                    sums
                );
            }

            target.Accumulate(
                sums,
                SparseColumns,
                firstRow,
                rowCount,
                firstColumn,
                Math.Min(SparseColumns, columns.Channels - firstColumn)
            );
        }

        private static void NonzeroRows(float* values, ulong* bits, int rowCount, float* x, float* sums)
        {
            for (int row = 0; row < rowCount; row++, sums += SparseColumns)
            {
                ulong word = bits[row];
                if (word == 0)
                {
                    continue;
                }

                Vector512<float> s0 = Vector512.Load(sums);
                Vector512<float> s1 = Vector512.Load(sums + 16);
                Vector512<float> s2 = Vector512.Load(sums + 32);
                Vector512<float> s3 = Vector512.Load(sums + 48);
                Vector512<float> s4 = Vector512.Load(sums + 64);
                Vector512<float> s5 = Vector512.Load(sums + 80);
                Vector512<float> s6 = Vector512.Load(sums + 96);
                Vector512<float> s7 = Vector512.Load(sums + 112);
                do
                {
                    float* token = x + (BitOperations.TrailingZeroCount(word) * SparseColumns);
                    word &= word - 1;
                    Vector512<float> factor = Vector512.Create(*values++);
                    s0 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token), s0);
                    s1 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 16), s1);
                    s2 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 32), s2);
                    s3 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 48), s3);
                    s4 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 64), s4);
                    s5 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 80), s5);
                    s6 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 96), s6);
                    s7 = Vector512.MultiplyAddEstimate(factor, Vector512.Load(token + 112), s7);
                } while (word != 0);

                s0.Store(sums);
                s1.Store(sums + 16);
                s2.Store(sums + 32);
                s3.Store(sums + 48);
                s4.Store(sums + 64);
                s5.Store(sums + 80);
                s6.Store(sums + 96);
                s7.Store(sums + 112);
            }
        }
    }

    /// <summary>An item is a block of 24 rows by 64 columns of the product, in register tiles of six rows.</summary>
    private readonly struct DenseJob(WorkerPool pool, CpuActivations rows, CpuActivations columns, float* packed, Target target)
        : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int rowBlocks = Blocks(rows.Channels, RowsOfBlock);
            int block = item / rowBlocks;
            int firstRow = item % rowBlocks * RowsOfBlock;
            int rowCount = Math.Min(RowsOfBlock, rows.Channels - firstRow);
            int firstColumn = block * DenseColumns;
            float* sums = pool.Scratch(worker, RowsOfBlock * DenseColumns);
            new Span<float>(sums, RowsOfBlock * DenseColumns).Clear();
            int width = rows.Width;
            for (int tile = 0; tile < rows.Tiles; tile++)
            {
                float* x = packed + ((((long)block * rows.Tiles) + tile) * Width * DenseColumns);
                float* a = rows.Lanes(tile, firstRow);
                int row = 0;
                for (; row + 6 <= rowCount; row += 6)
                {
                    DenseTile.SixRows(a + (row * width), width, width, x, sums + (row * DenseColumns));
                }

                for (; row < rowCount; row++)
                {
                    OneRow(a + (row * width), width, x, sums + (row * DenseColumns));
                }
            }

            target.Accumulate(sums, DenseColumns, firstRow, rowCount, firstColumn, Math.Min(DenseColumns, columns.Channels - firstColumn));
        }

        private static void OneRow(float* a, int width, float* x, float* sums)
        {
            Vector512<float> s0 = Vector512.Load(sums);
            Vector512<float> s1 = Vector512.Load(sums + 16);
            Vector512<float> s2 = Vector512.Load(sums + 32);
            Vector512<float> s3 = Vector512.Load(sums + 48);
            for (int lane = 0; lane < width; lane++, x += DenseColumns)
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
