using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// [rows, columns] = sum over inner of left (row, inner) * right (column, inner): on tensor cores where the device has them
/// (<see cref="TensorProduct"/>), else by <see cref="Kernel{TForm,TLoad}"/>.
/// </summary>
internal static class DenseProduct
{
    private const int Tile = 64;
    private const int Threads = 64;
    private const int Step = 16;
    private const int Pitch = Tile + 4;

    /// <summary>Groups of one product.</summary>
    /// <param name="device">Where.</param>
    /// <param name="rows">Of the product.</param>
    /// <param name="columns">Of the product.</param>
    /// <param name="mostSplits">The parts that its sums can be cut into.</param>
    public static int Groups(GpuDevice device, int rows, int columns, int mostSplits) =>
        device.TensorPrecision is null ? TilesAlong(rows) * TilesAlong(columns) : TensorProduct.Groups(rows, columns, mostSplits);

    /// <summary>So many groups keep every multiprocessor busy.</summary>
    public static int WantedGroups(GpuDevice device) => device.TensorPrecision is null ? 512 : 256;

    /// <summary>Writes the product as the target says.</summary>
    /// <param name="device">Where.</param>
    /// <param name="left">[rows, inner].</param>
    /// <param name="right">[columns, inner].</param>
    /// <param name="isAligned">Whether both can be loaded four numbers at once, from every index divisible by four.</param>
    /// <param name="target">Each split is the sum over its own inner indices.</param>
    /// <param name="inner">All inner indices.</param>
    /// <param name="innerOfSplit">Inner indices of each split but the last; a multiple of four.</param>
    /// <param name="splits">Parts that the inner indices are cut into.</param>
    public static void Run<TForm>(
        GpuDevice device,
        Operand left,
        Operand right,
        bool isAligned,
        ProductTarget target,
        int inner,
        int innerOfSplit,
        int splits
    )
        where TForm : struct, IProductForm
    {
        if (isAligned && device.TensorPrecision is { } precision)
        {
            TensorProduct.Run<TForm, TensorCores>(device, precision, left, right, target, inner, innerOfSplit, splits);
        }
        else if (isAligned)
        {
            RunPlain<TForm, LoadAtOnce>(device, left, right, target, inner, innerOfSplit, splits);
        }
        else
        {
            RunPlain<TForm, LoadOneByOne>(device, left, right, target, inner, innerOfSplit, splits);
        }
    }

    /// <summary>As <see cref="Run{TForm}"/>, without tensor cores.</summary>
    public static void RunPlain<TForm, TLoad>(
        GpuDevice device,
        Operand left,
        Operand right,
        ProductTarget target,
        int inner,
        int innerOfSplit,
        int splits
    )
        where TForm : struct, IProductForm
        where TLoad : struct, IFourLoad
    {
        int rowTiles = TilesAlong(target.Rows);
        device.Launch(
            rowTiles * splits,
            TilesAlong(target.Columns),
            Threads,
            new Kernel<TForm, TLoad>(left, right, target, inner, innerOfSplit, rowTiles)
        );
    }

    private static int TilesAlong(int length) => (length + Tile - 1) / Tile;

    /// <summary>
    /// A group of 64 threads makes a tile of 64 by 64; each thread holds four tiles of 4 by 4 in registers. Steps of 16 inner indices go
    /// through shared memory. A thread fetches its share of the next step into registers before it multiplies, so that the loads are on
    /// their way meanwhile.
    /// </summary>
    internal readonly struct Kernel<TForm, TLoad>(
        Operand left,
        Operand right,
        ProductTarget target,
        int inner,
        int innerOfSplit,
        int rowTiles
    ) : IKernel
        where TForm : struct, IProductForm
        where TLoad : struct, IFourLoad
    {
        public void Execute()
        {
            // Row k of a shared tile holds inner index k of all 64 lines; the padding keeps 16-byte loads free of conflicts.
            ArrayView<float> leftTile = SharedMemory.Allocate<float>(Step * Pitch);
            ArrayView<float> rightTile = SharedMemory.Allocate<float>(Step * Pitch);
            ArrayView<Float4> leftFours = leftTile.Cast<Float4>();
            ArrayView<Float4> rightFours = rightTile.Cast<Float4>();
            int split = Grid.IdxX / rowTiles;
            int firstRow = (Grid.IdxX - (split * rowTiles)) * Tile;
            int firstColumn = Grid.IdxY * Tile;
            int rowFour = Group.IdxX >> 3;
            int columnFour = Group.IdxX & 7;
            int first = split * innerOfSplit;
            int end = first + innerOfSplit < inner ? first + innerOfSplit : inner;
            Tile4x4 upperLeft = default;
            Tile4x4 upperRight = default;
            Tile4x4 lowerLeft = default;
            Tile4x4 lowerRight = default;
            Share leftShare = Fetch(left, TForm.IsLeftInner, firstRow, target.Rows, first, end);
            Share rightShare = Fetch(right, TForm.IsRightInner, firstColumn, target.Columns, first, end);
            while (first < end)
            {
                Put(leftShare, TForm.IsLeftInner, leftTile, firstRow, target.Rows, first, end);
                Put(rightShare, TForm.IsRightInner, rightTile, firstColumn, target.Columns, first, end);
                Group.Barrier();
                first += Step;
                if (first < end)
                {
                    leftShare = Fetch(left, TForm.IsLeftInner, firstRow, target.Rows, first, end);
                    rightShare = Fetch(right, TForm.IsRightInner, firstColumn, target.Columns, first, end);
                }

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
            Store(split, row, column, upperLeft);
            Store(split, row, column + (Tile / 2), upperRight);
            Store(split, row + (Tile / 2), column, lowerLeft);
            Store(split, row + (Tile / 2), column + (Tile / 2), lowerRight);
        }

        /// <summary>
        /// A thread's four times four numbers of 64 lines by 16 inner indices. Neighbouring threads fetch neighbouring numbers: four
        /// threads take the 16 inner indices of a line, or 16 threads the 64 lines of an inner index.
        /// </summary>
        private static Share Fetch(Operand operand, bool isInner, int firstLine, int lines, int firstInner, int endInner)
        {
            int line = firstLine + LineOf(isInner);
            int k = firstInner + InnerOf(isInner);
            int lineStep = isInner ? 16 : 0;
            int innerStep = isInner ? 0 : 4;
            Share share = default;
            share.First = operand.Fetch<TLoad>(line, lines, k, endInner);
            share.Second = operand.Fetch<TLoad>(line + lineStep, lines, k + innerStep, endInner);
            share.Third = operand.Fetch<TLoad>(line + (2 * lineStep), lines, k + (2 * innerStep), endInner);
            share.Fourth = operand.Fetch<TLoad>(line + (3 * lineStep), lines, k + (3 * innerStep), endInner);
            return share;
        }

        /// <summary>Stores what was fetched to where the products read it, zeros beyond the ends.</summary>
        private static void Put(Share share, bool isInner, ArrayView<float> tile, int firstLine, int lines, int firstInner, int endInner)
        {
            int line = firstLine + LineOf(isInner);
            int k = firstInner + InnerOf(isInner);
            if (isInner)
            {
                int place = ((Group.IdxX & 3) * 4 * Pitch) + (Group.IdxX >> 2);
                int count = endInner - k;
                PutColumn(tile, place, Operand.Cut(share.First, line < lines ? count : 0));
                PutColumn(tile, place + 16, Operand.Cut(share.Second, line + 16 < lines ? count : 0));
                PutColumn(tile, place + 32, Operand.Cut(share.Third, line + 32 < lines ? count : 0));
                PutColumn(tile, place + 48, Operand.Cut(share.Fourth, line + 48 < lines ? count : 0));
            }
            else
            {
                ArrayView<Float4> fours = tile.Cast<Float4>();
                int place = ((Group.IdxX >> 4) * (Pitch / 4)) + (Group.IdxX & 15);
                int count = lines - line;
                fours[place] = Operand.Cut(share.First, k < endInner ? count : 0);
                fours[place + Pitch] = Operand.Cut(share.Second, k + 4 < endInner ? count : 0);
                fours[place + (2 * Pitch)] = Operand.Cut(share.Third, k + 8 < endInner ? count : 0);
                fours[place + (3 * Pitch)] = Operand.Cut(share.Fourth, k + 12 < endInner ? count : 0);
            }
        }

        /// <summary>The first of the lines of a tile that this thread fetches.</summary>
        private static int LineOf(bool isInner) => isInner ? Group.IdxX >> 2 : (Group.IdxX & 15) * 4;

        /// <summary>The first of the inner indices of a step that this thread fetches.</summary>
        private static int InnerOf(bool isInner) => isInner ? (Group.IdxX & 3) * 4 : Group.IdxX >> 4;

        private static void PutColumn(ArrayView<float> tile, int place, Float4 values)
        {
            tile[place] = values.X;
            tile[place + Pitch] = values.Y;
            tile[place + (2 * Pitch)] = values.Z;
            tile[place + (3 * Pitch)] = values.W;
        }

        private void Store(int split, int row, int column, Tile4x4 tile)
        {
            target.Store(split, row, column, tile.Row0);
            target.Store(split, row + 1, column, tile.Row1);
            target.Store(split, row + 2, column, tile.Row2);
            target.Store(split, row + 3, column, tile.Row3);
        }
    }

    /// <summary>What a thread fetches of one factor for one step.</summary>
    private struct Share
    {
        public Float4 First;
        public Float4 Second;
        public Float4 Third;
        public Float4 Fourth;
    }
}
