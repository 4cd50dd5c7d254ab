using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>A matrix as a factor: entry (line, inner) is at line * LineStride + inner * InnerStride.</summary>
internal readonly struct Operand(ArrayView<float> view, int lineStride, int innerStride)
{
    public readonly ArrayView<float> View = view;
    public readonly int LineStride = lineStride;
    public readonly int InnerStride = innerStride;
}

/// <summary>
/// [rows, columns] = sum over inner of left (row, inner) * right (column, inner). A group of 64 threads makes a tile of 64 by 64; each
/// thread holds four tiles of 4 by 4 in registers. Steps of 16 inner indices go through shared memory, where the padded rows keep stores
/// and 16-byte loads free of conflicts.
/// </summary>
internal static class DenseProduct
{
    public const int Threads = 64;
    public const int Tile = 64;
    private const int Step = 16;
    private const int Pitch = Tile + 4;

    /// <summary>Groups of one product.</summary>
    public static int Tiles(int rows, int columns) => TilesAlong(rows) * TilesAlong(columns);

    /// <summary>Overwrites product with the sum over all inner indices, plus a bias for each column where there is one.</summary>
    public static void Run(
        GpuDevice device,
        Operand left,
        Operand right,
        ArrayView<float> product,
        int stride,
        int rows,
        int columns,
        int inner,
        ArrayView<float> bias,
        int hasBias
    ) =>
        device.Launch(
            TilesAlong(rows),
            TilesAlong(columns),
            Threads,
            new Kernel(left, right, product, stride, rows, columns, inner, inner, TilesAlong(rows), 0, bias, hasBias, 0)
        );

    /// <summary>
    /// Overwrites product [splits, rows, columns] with the sums over the inner indices of each split; a single split is added to it
    /// instead.
    /// </summary>
    public static void RunSplit(
        GpuDevice device,
        Operand left,
        Operand right,
        ArrayView<float> product,
        int rows,
        int columns,
        int inner,
        int innerOfSplit,
        int splits
    ) =>
        device.Launch(
            TilesAlong(rows) * splits,
            TilesAlong(columns),
            Threads,
            new Kernel(
                left,
                right,
                product,
                columns,
                rows,
                columns,
                inner,
                innerOfSplit,
                TilesAlong(rows),
                rows * columns,
                product,
                0,
                splits == 1 ? 1 : 0
            )
        );

    private static int TilesAlong(int length) => (length + Tile - 1) / Tile;

    internal readonly struct Kernel(
        Operand left,
        Operand right,
        ArrayView<float> product,
        int stride,
        int rows,
        int columns,
        int inner,
        int innerOfSplit,
        int rowTiles,
        int splitStride,
        ArrayView<float> bias,
        int hasBias,
        int isAdded
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> leftTile = SharedMemory.Allocate<float>(Step * Pitch);
            ArrayView<float> rightTile = SharedMemory.Allocate<float>(Step * Pitch);
            ArrayView<Float4> leftFours = leftTile.Cast<Float4>();
            ArrayView<Float4> rightFours = rightTile.Cast<Float4>();
            int split = Grid.IdxX / rowTiles;
            int firstRow = (Grid.IdxX - (split * rowTiles)) * Tile;
            int firstColumn = Grid.IdxY * Tile;
            int rowFour = Group.IdxX >> 3;
            int columnFour = Group.IdxX & 7;
            int firstInner = split * innerOfSplit;
            int endInner = firstInner + innerOfSplit < inner ? firstInner + innerOfSplit : inner;
            Tile4x4 upperLeft = default;
            Tile4x4 upperRight = default;
            Tile4x4 lowerLeft = default;
            Tile4x4 lowerRight = default;
            for (int first = firstInner; first < endInner; first += Step)
            {
                Stage(left, leftTile, firstRow, rows, first, endInner);
                Stage(right, rightTile, firstColumn, columns, first, endInner);
                Group.Barrier();
                for (int k = 0; k < Step; k++)
                {
                    int fours = k * (Pitch / 4);
                    Float4 upper = leftFours[fours + rowFour];
                    Float4 lower = leftFours[fours + rowFour + 8];
                    Float4 near = rightFours[fours + columnFour];
                    Float4 far = rightFours[fours + columnFour + 8];
                    Tile4x4.MultiplyAdd(ref upperLeft, upper, near);
                    Tile4x4.MultiplyAdd(ref upperRight, upper, far);
                    Tile4x4.MultiplyAdd(ref lowerLeft, lower, near);
                    Tile4x4.MultiplyAdd(ref lowerRight, lower, far);
                }

                Group.Barrier();
            }

            int row = firstRow + (rowFour * 4);
            int column = firstColumn + (columnFour * 4);
            int at = split * splitStride;
            Store(at, row, column, ref upperLeft);
            Store(at, row, column + (Tile / 2), ref upperRight);
            Store(at, row + (Tile / 2), column, ref lowerLeft);
            Store(at, row + (Tile / 2), column + (Tile / 2), ref lowerRight);
        }

        /// <summary>Copies 64 lines by 16 inner indices, zero beyond the ends; neighbouring threads read neighbouring numbers.</summary>
        private static void Stage(Operand operand, ArrayView<float> tile, int firstLine, int lines, int firstInner, int endInner)
        {
            int isInnerFirst = operand.InnerStride == 1 ? 1 : 0;
            for (int i = Group.IdxX; i < Tile * Step; i += Threads)
            {
                int line = isInnerFirst != 0 ? i >> 4 : i & (Tile - 1);
                int k = isInnerFirst != 0 ? i & (Step - 1) : i >> 6;
                float value = 0f;
                if (firstLine + line < lines && firstInner + k < endInner)
                {
                    value = operand.View[((firstLine + line) * operand.LineStride) + ((firstInner + k) * operand.InnerStride)];
                }

                tile[(k * Pitch) + line] = value;
            }
        }

        private void Store(int at, int row, int column, ref Tile4x4 tile)
        {
            StoreRow(at, row, column, tile.Row0);
            StoreRow(at, row + 1, column, tile.Row1);
            StoreRow(at, row + 2, column, tile.Row2);
            StoreRow(at, row + 3, column, tile.Row3);
        }

        private void StoreRow(int at, int row, int column, Float4 values)
        {
            if (row < rows)
            {
                int place = at + (row * stride);
                StoreEntry(place, column, values.X);
                StoreEntry(place, column + 1, values.Y);
                StoreEntry(place, column + 2, values.Z);
                StoreEntry(place, column + 3, values.W);
            }
        }

        private void StoreEntry(int place, int column, float value)
        {
            if (column < columns)
            {
                if (hasBias != 0)
                {
                    value += bias[column];
                }

                if (isAdded != 0)
                {
                    value += product[place + column];
                }

                product[place + column] = value;
            }
        }
    }
}
