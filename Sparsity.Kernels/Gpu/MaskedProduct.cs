using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// The weight gradient, sum over tokens of outputGradient (row) * input (column), where most output gradients are zero. A group of 128
/// threads makes a tile of 32 rows by 256 columns; 32 neighbouring threads hold the same 8 rows and test each output gradient together, so
/// that a zero costs a test and not 8 multiply-adds.
/// </summary>
internal static class MaskedProduct
{
    /// <summary>Fewer columns leave most threads without work.</summary>
    public const int LeastColumns = 128;

    private const int Threads = 128;
    private const int TileRows = 32;
    private const int TileColumns = 256;
    private const int Step = 16;

    /// <summary>Groups of one product.</summary>
    public static int Groups(int rows, int columns) => TilesOf(rows, TileRows) * TilesOf(columns, TileColumns);

    /// <summary>Writes the sums over the tokens of each split as the target says.</summary>
    public static void Run(
        GpuDevice device,
        GpuActivations input,
        GpuActivations outputGradient,
        ProductTarget target,
        int tokensOfSplit,
        int splits
    )
    {
        int rowTiles = TilesOf(target.Rows, TileRows);
        device.Launch(
            rowTiles * splits,
            TilesOf(target.Columns, TileColumns),
            Threads,
            new Kernel(outputGradient.View, outputGradient.Stride, input.View, input.Stride, target, input.Rows, tokensOfSplit, rowTiles)
        );
    }

    private static int TilesOf(int length, int tile) => (length + tile - 1) / tile;

    internal readonly struct Kernel(
        ArrayView<float> outputGradient,
        int outputStride,
        ArrayView<float> input,
        int inputStride,
        ProductTarget target,
        int tokens,
        int tokensOfSplit,
        int rowTiles
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> gradients = SharedMemory.Allocate<float>(Step * TileRows);
            ArrayView<float> inputs = SharedMemory.Allocate<float>(Step * TileColumns);
            ArrayView<Float4> inputFours = inputs.Cast<Float4>();
            int split = Grid.IdxX / rowTiles;
            int firstRow = (Grid.IdxX - (split * rowTiles)) * TileRows;
            int firstColumn = Grid.IdxY * TileColumns;
            int lane = Group.IdxX & 31;
            int rowOfTile = (Group.IdxX >> 5) * 8;
            int first = split * tokensOfSplit;
            int end = first + tokensOfSplit < tokens ? first + tokensOfSplit : tokens;
            EightRows near = default;
            EightRows far = default;
            for (; first < end; first += Step)
            {
                // 16 tokens of the tile's rows and columns go through shared memory.
                Stage(outputGradient, outputStride, gradients, TileRows, firstRow, target.Rows, first, end);
                Stage(input, inputStride, inputs, TileColumns, firstColumn, target.Columns, first, end);
                Group.Barrier();
                // Threads of one row of the tile read the same gradients, so they skip zeros together.
                for (int token = 0; token < Step; token++)
                {
                    int g = (token * TileRows) + rowOfTile;
                    Float4 x = inputFours[(token * (TileColumns / 4)) + lane];
                    Float4 y = inputFours[(token * (TileColumns / 4)) + 32 + lane];
                    Add(ref near.Row0, ref far.Row0, gradients[g], x, y);
                    Add(ref near.Row1, ref far.Row1, gradients[g + 1], x, y);
                    Add(ref near.Row2, ref far.Row2, gradients[g + 2], x, y);
                    Add(ref near.Row3, ref far.Row3, gradients[g + 3], x, y);
                    Add(ref near.Row4, ref far.Row4, gradients[g + 4], x, y);
                    Add(ref near.Row5, ref far.Row5, gradients[g + 5], x, y);
                    Add(ref near.Row6, ref far.Row6, gradients[g + 6], x, y);
                    Add(ref near.Row7, ref far.Row7, gradients[g + 7], x, y);
                }

                Group.Barrier();
            }

            int row = firstRow + rowOfTile;
            int column = firstColumn + (lane * 4);
            Store(split, row, column, near);
            Store(split, row, column + (TileColumns / 2), far);
        }

        /// <summary>Copies the channels of 16 tokens, zero beyond the ends.</summary>
        private static void Stage(
            ArrayView<float> source,
            int stride,
            ArrayView<float> tile,
            int width,
            int firstChannel,
            int channels,
            int firstToken,
            int endToken
        )
        {
            for (int token = 0; token < Step; token++)
            {
                for (int i = Group.IdxX; i < width; i += Threads)
                {
                    float value = 0f;
                    if (firstToken + token < endToken && firstChannel + i < channels)
                    {
                        value = source[((firstToken + token) * stride) + firstChannel + i];
                    }

                    tile[(token * width) + i] = value;
                }
            }
        }

        private static void Add(ref Float4 near, ref Float4 far, float gradient, Float4 x, Float4 y)
        {
            if (gradient != 0f)
            {
                Float4.MultiplyAdd(ref near, gradient, x);
                Float4.MultiplyAdd(ref far, gradient, y);
            }
        }

        private void Store(int split, int row, int column, EightRows sums)
        {
            target.Store(split, row, column, sums.Row0);
            target.Store(split, row + 1, column, sums.Row1);
            target.Store(split, row + 2, column, sums.Row2);
            target.Store(split, row + 3, column, sums.Row3);
            target.Store(split, row + 4, column, sums.Row4);
            target.Store(split, row + 5, column, sums.Row5);
            target.Store(split, row + 6, column, sums.Row6);
            target.Store(split, row + 7, column, sums.Row7);
        }
    }

    /// <summary>Sums of eight rows by four columns, in registers.</summary>
    private struct EightRows
    {
        public Float4 Row0;
        public Float4 Row1;
        public Float4 Row2;
        public Float4 Row3;
        public Float4 Row4;
        public Float4 Row5;
        public Float4 Row6;
        public Float4 Row7;
    }
}
