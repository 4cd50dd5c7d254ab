using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// The dense product on tensor cores. A group of threads makes a square tile of it, each warp 64 by 32 or 32 by 32 sums. Steps of 16 words
/// go through shared memory, two steps' room of it: while one is multiplied the next is fetched into registers, and then stored to the
/// other half, so that a step needs one barrier (<see cref="TensorStage{TPrecision,TTile,TUnit}"/>).
/// </summary>
internal static class TensorProduct
{
    /// <summary>Groups that keep most of the multiprocessors of an A100 (108) or H100 (132) busy.</summary>
    private const int EnoughGroups = 96;

    /// <summary>Groups of one product, of the tiles that it is made in.</summary>
    /// <param name="rows">Of the product.</param>
    /// <param name="columns">Of the product.</param>
    /// <param name="mostSplits">The parts that its sums can be cut into.</param>
    public static int Groups(int rows, int columns, int mostSplits) =>
        IsLarge(rows, columns, mostSplits) ? Groups<LargeTile>(rows, columns) : Groups<SmallTile>(rows, columns);

    /// <summary>As <see cref="DenseProduct.Run{TForm}"/>, of aligned factors.</summary>
    public static void Run<TForm, TUnit>(
        GpuDevice device,
        GpuPrecision precision,
        Operand left,
        Operand right,
        ProductTarget target,
        int inner,
        int innerOfSplit,
        int splits
    )
        where TForm : struct, IProductForm
        where TUnit : struct, IMatrixUnit
    {
        if (IsLarge(target.Rows, target.Columns, splits))
        {
            Run<TForm, LargeTile, TUnit>(device, precision, left, right, target, inner, innerOfSplit, splits);
        }
        else
        {
            Run<TForm, SmallTile, TUnit>(device, precision, left, right, target, inner, innerOfSplit, splits);
        }
    }

    private static bool IsLarge(int rows, int columns, int splits) => Groups<LargeTile>(rows, columns) * splits >= EnoughGroups;

    private static int Groups<TTile>(int rows, int columns)
        where TTile : struct, ITensorTile => Tiles<TTile>(rows) * Tiles<TTile>(columns);

    private static int Tiles<TTile>(int lines)
        where TTile : struct, ITensorTile => (lines + (1 << TTile.LineBits) - 1) >> TTile.LineBits;

    /// <summary>As <see cref="DenseProduct.Run{TForm}"/>, of aligned factors, in tiles of one size.</summary>
    public static void Run<TForm, TTile, TUnit>(
        GpuDevice device,
        GpuPrecision precision,
        Operand left,
        Operand right,
        ProductTarget target,
        int inner,
        int innerOfSplit,
        int splits
    )
        where TForm : struct, IProductForm
        where TTile : struct, ITensorTile
        where TUnit : struct, IMatrixUnit
    {
        switch (precision)
        {
            case GpuPrecision.Float32:
                Run<TForm, Float32Split, TTile, TUnit>(device, left, right, target, inner, innerOfSplit, splits);
                break;
            case GpuPrecision.TensorFloat32:
                Run<TForm, TensorFloat32, TTile, TUnit>(device, left, right, target, inner, innerOfSplit, splits);
                break;
            default:
                Run<TForm, BFloat16, TTile, TUnit>(device, left, right, target, inner, innerOfSplit, splits);
                break;
        }
    }

    /// <summary>As <see cref="DenseProduct.Run{TForm}"/>, of aligned factors, in tiles of one size and in one precision.</summary>
    public static void Run<TForm, TPrecision, TTile, TUnit>(
        GpuDevice device,
        Operand left,
        Operand right,
        ProductTarget target,
        int inner,
        int innerOfSplit,
        int splits
    )
        where TForm : struct, IProductForm
        where TPrecision : struct, ITensorPrecision
        where TTile : struct, ITensorTile
        where TUnit : struct, IMatrixUnit
    {
        int rowTiles = Tiles<TTile>(target.Rows);
        device.Launch(
            rowTiles * splits,
            Tiles<TTile>(target.Columns),
            2 << TTile.LineBits,
            new Kernel<TForm, TPrecision, TTile, TUnit>(left, right, target, inner, innerOfSplit, rowTiles)
        );
    }

    internal readonly struct Kernel<TForm, TPrecision, TTile, TUnit>(
        Operand left,
        Operand right,
        ProductTarget target,
        int inner,
        int innerOfSplit,
        int rowTiles
    ) : ICudaKernel
        where TForm : struct, IProductForm
        where TPrecision : struct, ITensorPrecision
        where TTile : struct, ITensorTile
        where TUnit : struct, IMatrixUnit
    {
        public void Execute()
        {
            ArrayView<Float4> leftSteps = Room();
            ArrayView<Float4> rightSteps = Room();
            int split = Grid.IdxX / rowTiles;
            int firstRow = (Grid.IdxX - (split * rowTiles)) << TTile.LineBits;
            int firstColumn = Grid.IdxY << TTile.LineBits;
            int first = split * innerOfSplit;
            int end = first + innerOfSplit < inner ? first + innerOfSplit : inner;
            int row = ((Group.IdxX >> 5) & 1) << (TTile.LineBits - 1);
            int column = (Group.IdxX >> 6) * 32;
            int leftPlace = TensorStage<TPrecision, TTile, TUnit>.Place(row);
            int rightPlace = TensorStage<TPrecision, TTile, TUnit>.Place(column);
            RowOfTiles sums0 = default;
            RowOfTiles sums1 = default;
            RowOfTiles sums2 = default;
            RowOfTiles sums3 = default;

            int leftAt = TensorStage<TPrecision, TTile, TUnit>.First(left, TForm.IsLeftInner, firstRow, first);
            int rightAt = TensorStage<TPrecision, TTile, TUnit>.First(right, TForm.IsRightInner, firstColumn, first);
            Share leftShare = TensorStage<TPrecision, TTile, TUnit>.Fetch(left, TForm.IsLeftInner, leftAt);
            Share rightShare = TensorStage<TPrecision, TTile, TUnit>.Fetch(right, TForm.IsRightInner, rightAt);
            int half = 0;
            while (true)
            {
                // The next step is on its way while this one is multiplied; behind the last one what comes is not used. One barrier does:
                // it stands where all are done with the step before, whose half the next one is put into, and keeps NVIDIA's compiler from
                // moving the loads down to that.
                Put(leftShare, rightShare, leftSteps, rightSteps, half, end - first);
                leftAt += TensorStage<TPrecision, TTile, TUnit>.Next(left, TForm.IsLeftInner);
                rightAt += TensorStage<TPrecision, TTile, TUnit>.Next(right, TForm.IsRightInner);
                leftShare = TensorStage<TPrecision, TTile, TUnit>.Fetch(left, TForm.IsLeftInner, leftAt);
                rightShare = TensorStage<TPrecision, TTile, TUnit>.Fetch(right, TForm.IsRightInner, rightAt);
                Group.Barrier();
                AddStep(ref sums0, ref sums1, ref sums2, ref sums3, leftSteps, half + leftPlace, rightSteps, half + rightPlace);
                half = (TensorStage<TPrecision, TTile, TUnit>.Length >> 2) - half;
                first += TensorStage<TPrecision, TTile, TUnit>.Inner;
                if (first >= end)
                {
                    break;
                }
            }

            row += firstRow + (Group.IdxX & 28);
            column += firstColumn + ((Group.IdxX & 3) * 8);
            Store(split, row, column, sums0);
            Store(split, row + 2, column, sums1);
            if (TTile.LineBits == 7)
            {
                Store(split, row + 32, column, sums2);
                Store(split, row + 34, column, sums3);
            }
        }

        private static ArrayView<Float4> Room() =>
            SharedMemory.Allocate<float>(2 * TensorStage<TPrecision, TTile, TUnit>.Length).Cast<Float4>();

        private static void Put(
            Share leftShare,
            Share rightShare,
            ArrayView<Float4> leftSteps,
            ArrayView<Float4> rightSteps,
            int half,
            int rest
        )
        {
            if (rest >= TensorStage<TPrecision, TTile, TUnit>.Inner)
            {
                TensorStage<TPrecision, TTile, TUnit>.Put(leftShare, true, TForm.IsLeftInner, leftSteps, half);
                TensorStage<TPrecision, TTile, TUnit>.Put(rightShare, false, TForm.IsRightInner, rightSteps, half);
            }
            else
            {
                // A branch of its own: where two met, what was fetched would be copied.
                leftShare = TensorStage<TPrecision, TTile, TUnit>.Cut(leftShare, TForm.IsLeftInner, rest);
                rightShare = TensorStage<TPrecision, TTile, TUnit>.Cut(rightShare, TForm.IsRightInner, rest);
                TensorStage<TPrecision, TTile, TUnit>.Put(leftShare, true, TForm.IsLeftInner, leftSteps, half);
                TensorStage<TPrecision, TTile, TUnit>.Put(rightShare, false, TForm.IsRightInner, rightSteps, half);
            }
        }

        private static void AddStep(
            ref RowOfTiles sums0,
            ref RowOfTiles sums1,
            ref RowOfTiles sums2,
            ref RowOfTiles sums3,
            ArrayView<Float4> leftSteps,
            int leftAt,
            ArrayView<Float4> rightSteps,
            int rightAt
        )
        {
            if (TPrecision.IsSplit)
            {
                AddSplit(ref sums0, ref sums1, ref sums2, ref sums3, leftSteps, leftAt, rightSteps, rightAt);
            }
            else
            {
                Add(ref sums0, ref sums1, ref sums2, ref sums3, leftSteps, leftAt, rightSteps, rightAt);
                Add(ref sums0, ref sums1, ref sums2, ref sums3, leftSteps, leftAt + 32, rightSteps, rightAt + 32);
            }
        }

        /// <summary>Adds the products of one instruction's words.</summary>
        private static void Add(
            ref RowOfTiles sums0,
            ref RowOfTiles sums1,
            ref RowOfTiles sums2,
            ref RowOfTiles sums3,
            ArrayView<Float4> leftSteps,
            int leftAt,
            ArrayView<Float4> rightSteps,
            int rightAt
        )
        {
            Float4 near = rightSteps[rightAt];
            Float4 far = rightSteps[rightAt + 64];
            AddRow(ref sums0, leftSteps[leftAt], near, far);
            AddRow(ref sums1, leftSteps[leftAt + 64], near, far);
            if (TTile.LineBits == 7)
            {
                AddRow(ref sums2, leftSteps[leftAt + 128], near, far);
                AddRow(ref sums3, leftSteps[leftAt + 192], near, far);
            }
        }

        private static void AddRow(ref RowOfTiles sums, Float4 row, Float4 near, Float4 far)
        {
            AddTile(ref sums.Tile0, row, near.X, near.Y);
            AddTile(ref sums.Tile1, row, near.Z, near.W);
            AddTile(ref sums.Tile2, row, far.X, far.Y);
            AddTile(ref sums.Tile3, row, far.Z, far.W);
        }

        private static void AddTile(ref Float4 sums, Float4 row, float column, float columnBelow)
        {
            if (TPrecision.IsPaired)
            {
                TUnit.MultiplyAddPairs(ref sums, row, column, columnBelow);
            }
            else
            {
                TUnit.MultiplyAdd(ref sums, row, column, columnBelow);
            }
        }

        /// <summary>Adds the products of a step whose words are split.</summary>
        private static void AddSplit(
            ref RowOfTiles sums0,
            ref RowOfTiles sums1,
            ref RowOfTiles sums2,
            ref RowOfTiles sums3,
            ArrayView<Float4> leftSteps,
            int leftAt,
            ArrayView<Float4> rightSteps,
            int rightAt
        )
        {
            SplitFactor near = Split(rightSteps, rightAt);
            SplitFactor far = Split(rightSteps, rightAt + 64);
            AddSplitRow(ref sums0, Split(leftSteps, leftAt), near, far);
            AddSplitRow(ref sums1, Split(leftSteps, leftAt + 64), near, far);
            if (TTile.LineBits == 7)
            {
                AddSplitRow(ref sums2, Split(leftSteps, leftAt + 128), near, far);
                AddSplitRow(ref sums3, Split(leftSteps, leftAt + 192), near, far);
            }
        }

        /// <summary>The words of both instructions.</summary>
        private static SplitFactor Split(ArrayView<Float4> steps, int at)
        {
            SplitFactor factor = default;
            factor.First = steps[at];
            factor.Second = steps[at + 32];
            factor.FirstLow = Tf32.Split(ref factor.First);
            factor.SecondLow = Tf32.Split(ref factor.Second);
            return factor;
        }

        private static void AddSplitRow(ref RowOfTiles sums, SplitFactor row, SplitFactor near, SplitFactor far)
        {
            AddSplitTile(ref sums.Tile0, row, near);
            AddSplitTile(ref sums.Tile1, row, OtherColumn(near));
            AddSplitTile(ref sums.Tile2, row, far);
            AddSplitTile(ref sums.Tile3, row, OtherColumn(far));
        }

        /// <summary>
        /// Tensor cores cut off what does not fit into a sum, which over many steps pulls it towards zero. In float32 the sum over a step
        /// therefore starts at zero, with the small products first, and is then added, rounded to nearest.
        /// </summary>
        private static void AddSplitTile(ref Float4 sums, SplitFactor row, SplitFactor column)
        {
            Float4 step = default;
            TUnit.MultiplyAdd(ref step, row.FirstLow, column.First.X, column.First.Y);
            TUnit.MultiplyAdd(ref step, row.First, column.FirstLow.X, column.FirstLow.Y);
            TUnit.MultiplyAdd(ref step, row.SecondLow, column.Second.X, column.Second.Y);
            TUnit.MultiplyAdd(ref step, row.Second, column.SecondLow.X, column.SecondLow.Y);
            TUnit.MultiplyAdd(ref step, row.First, column.First.X, column.First.Y);
            TUnit.MultiplyAdd(ref step, row.Second, column.Second.X, column.Second.Y);
            sums.X += step.X;
            sums.Y += step.Y;
            sums.Z += step.Z;
            sums.W += step.W;
        }

        /// <summary>The second of the two columns that a thread's words hold, where the first is expected.</summary>
        private static SplitFactor OtherColumn(SplitFactor columns)
        {
            columns.First.X = columns.First.Z;
            columns.First.Y = columns.First.W;
            columns.FirstLow.X = columns.FirstLow.Z;
            columns.FirstLow.Y = columns.FirstLow.W;
            columns.Second.X = columns.Second.Z;
            columns.Second.Y = columns.Second.W;
            columns.SecondLow.X = columns.SecondLow.Z;
            columns.SecondLow.Y = columns.SecondLow.W;
            return columns;
        }

        /// <summary>Two rows: the instruction's columns 2 * member and 2 * member + 1 of four tiles are eight neighbours.</summary>
        private void Store(int split, int row, int column, RowOfTiles sums)
        {
            Float4 four = default;
            four.X = sums.Tile0.X;
            four.Y = sums.Tile1.X;
            four.Z = sums.Tile2.X;
            four.W = sums.Tile3.X;
            target.Store(split, row, column, four);
            four.X = sums.Tile0.Y;
            four.Y = sums.Tile1.Y;
            four.Z = sums.Tile2.Y;
            four.W = sums.Tile3.Y;
            target.Store(split, row, column + 4, four);
            four.X = sums.Tile0.Z;
            four.Y = sums.Tile1.Z;
            four.Z = sums.Tile2.Z;
            four.W = sums.Tile3.Z;
            target.Store(split, row + 1, column, four);
            four.X = sums.Tile0.W;
            four.Y = sums.Tile1.W;
            four.Z = sums.Tile2.W;
            four.W = sums.Tile3.W;
            target.Store(split, row + 1, column + 4, four);
        }
    }

    /// <summary>A thread's sums of 16 rows by 32 columns.</summary>
    private struct RowOfTiles
    {
        public Float4 Tile0;
        public Float4 Tile1;
        public Float4 Tile2;
        public Float4 Tile3;
    }

    /// <summary>A thread's words of both instructions of a step: as tf32, and what that leaves over.</summary>
    private struct SplitFactor
    {
        public Float4 First;
        public Float4 FirstLow;
        public Float4 Second;
        public Float4 SecondLow;
    }
}
