using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// The dense product on tensor cores. A group of eight warps makes a tile of 128 by 128, each warp 64 by 32 of it. Steps of 16 inner
/// indices go through shared memory, two steps' room of it: while one is multiplied the next is fetched into registers, and then stored to
/// the other half, so that a step needs one barrier.
/// </summary>
internal static class TensorProduct
{
    public const int Tile = 128;
    private const int Threads = 256;
    private const int Step = 16;

    // Where the inner index runs through neighbouring numbers, a line of a step is stored as it is: 20 floats from line to line put the
    // numbers that a warp reads at once (8 lines, 4 inner indices) into 32 different banks. Else 136 floats from one inner index to the
    // next do.
    private const int LinePitch = Step + 4;
    private const int InnerPitch = Tile + 8;

    /// <summary>Room of one step: the larger of 128 * LinePitch and 16 * InnerPitch.</summary>
    private const int StepLength = Tile * LinePitch;

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
        int rowTiles = (target.Rows + Tile - 1) / Tile;
        int gridX = rowTiles * splits;
        int gridY = (target.Columns + Tile - 1) / Tile;
        if (precision == GpuPrecision.Float32)
        {
            var kernel = new Kernel<TForm, Float32Split, TUnit>(left, right, target, inner, innerOfSplit, rowTiles);
            device.Launch(gridX, gridY, Threads, kernel);
        }
        else
        {
            var kernel = new Kernel<TForm, TensorFloat32, TUnit>(left, right, target, inner, innerOfSplit, rowTiles);
            device.Launch(gridX, gridY, Threads, kernel);
        }
    }

    /// <summary>Whether small products of all forms agree, as far as the precision goes, with the kernel without tensor cores.</summary>
    public static bool Agrees<TUnit>(GpuDevice device, GpuPrecision precision)
        where TUnit : struct, IMatrixUnit =>
        Agrees<ForwardForm, TUnit>(device, precision)
        && Agrees<InputGradientForm, TUnit>(device, precision)
        && Agrees<WeightGradientForm, TUnit>(device, precision);

    private static bool Agrees<TForm, TUnit>(GpuDevice device, GpuPrecision precision)
        where TForm : struct, IProductForm
        where TUnit : struct, IMatrixUnit
    {
        const int Rows = 40;
        const int Columns = 24;
        const int Inner = 36;
        const double Float32Tolerance = 1e-5;
        const double TensorFloat32Tolerance = 1.0 / 256;
        const string Use = "comparison of products";
        using DeviceMemory<float> factors = device.Allocate<float>(Use, (Rows + Columns) * Inner);
        using DeviceMemory<float> products = device.Allocate<float>(Use, 2 * Rows * Columns);
        device.Write(factors.View, [.. Enumerable.Range(0, (Rows + Columns) * Inner).Select(i => MathF.Sin(i * i))]);
        ArrayView<float> rightView = factors.View.SubView(Rows * Inner, Columns * Inner);
        Operand left = TForm.IsLeftInner ? new Operand(factors.View, Inner, 1) : new Operand(factors.View, 1, Rows);
        Operand right = TForm.IsRightInner ? new Operand(rightView, Inner, 1) : new Operand(rightView, 1, Columns);
        Run<TForm, TUnit>(device, precision, left, right, Target(products.View), Inner, Inner, splits: 1);
        DenseProduct.RunPlain<TForm, LoadAtOnce>(
            device,
            left,
            right,
            Target(products.View.SubView(Rows * Columns, Rows * Columns)),
            Inner,
            Inner,
            splits: 1
        );
        var found = new float[2 * Rows * Columns];
        device.Read(products.View, found);
        ReadOnlySpan<float> plain = found.AsSpan(Rows * Columns);
        double largest = 0;
        double difference = 0;
        for (int i = 0; i < plain.Length; i++)
        {
            largest = Math.Max(largest, Math.Abs(plain[i]));
            difference = Math.Max(difference, Math.Abs(plain[i] - found[i]));
        }

        return difference <= largest * (precision == GpuPrecision.Float32 ? Float32Tolerance : TensorFloat32Tolerance);

        static ProductTarget Target(ArrayView<float> view) => new(view, view, Columns, Rows, Columns, 0, 0, 0);
    }

    internal readonly struct Kernel<TForm, TPrecision, TUnit>(
        Operand left,
        Operand right,
        ProductTarget target,
        int inner,
        int innerOfSplit,
        int rowTiles
    ) : ICudaKernel
        where TForm : struct, IProductForm
        where TPrecision : struct, ITensorPrecision
        where TUnit : struct, IMatrixUnit
    {
        public void Execute()
        {
            ArrayView<float> leftTile = SharedMemory.Allocate<float>(2 * StepLength);
            ArrayView<float> rightTile = SharedMemory.Allocate<float>(2 * StepLength);
            int split = Grid.IdxX / rowTiles;
            int firstRow = (Grid.IdxX - (split * rowTiles)) * Tile;
            int firstColumn = Grid.IdxY * Tile;
            int first = split * innerOfSplit;
            int end = first + innerOfSplit < inner ? first + innerOfSplit : inner;

            // What this thread holds of the factors: lines `group` and inner indices `member` onwards (IMatrixUnit).
            int group = (Group.IdxX & 31) >> 2;
            int member = Group.IdxX & 3;
            int rowOfWarp = ((Group.IdxX >> 5) & 1) * 64;
            int columnOfWarp = (Group.IdxX >> 6) * 32;
            int leftPlace = Place(TForm.IsLeftInner, rowOfWarp + group, member);
            int rightPlace = Place(TForm.IsRightInner, columnOfWarp + group, member);
            RowOfTiles sums0 = default;
            RowOfTiles sums1 = default;
            RowOfTiles sums2 = default;
            RowOfTiles sums3 = default;

            Share leftShare = Fetch(left, TForm.IsLeftInner, firstRow, target.Rows, first, end);
            Share rightShare = Fetch(right, TForm.IsRightInner, firstColumn, target.Columns, first, end);
            Put(leftShare, TForm.IsLeftInner, leftTile, 0, firstRow, target.Rows, first, end);
            Put(rightShare, TForm.IsRightInner, rightTile, 0, firstColumn, target.Columns, first, end);
            Group.Barrier();
            int half = 0;
            while (first < end)
            {
                // The next step is on its way while this one is multiplied. The loads stand in a block of their own: NVIDIA's compiler
                // would else move them down to where they are needed.
                first += Step;
                if (first < end)
                {
                    leftShare = Fetch(left, TForm.IsLeftInner, firstRow, target.Rows, first, end);
                    rightShare = Fetch(right, TForm.IsRightInner, firstColumn, target.Columns, first, end);
                }

                ArrayView<float> leftStep = leftTile.SubView(half + leftPlace, StepLength - leftPlace);
                ArrayView<float> rightStep = rightTile.SubView(half + rightPlace, StepLength - rightPlace);
                RightFactor right0 = Right(rightStep, 0);
                RightFactor right1 = Right(rightStep, 8);
                RightFactor right2 = Right(rightStep, 16);
                RightFactor right3 = Right(rightStep, 24);
                AddRow(ref sums0, leftStep, 0, right0, right1, right2, right3);
                AddRow(ref sums1, leftStep, 16, right0, right1, right2, right3);
                AddRow(ref sums2, leftStep, 32, right0, right1, right2, right3);
                AddRow(ref sums3, leftStep, 48, right0, right1, right2, right3);

                half = StepLength - half;
                Put(leftShare, TForm.IsLeftInner, leftTile, half, firstRow, target.Rows, first, end);
                Put(rightShare, TForm.IsRightInner, rightTile, half, firstColumn, target.Columns, first, end);
                Group.Barrier();
            }

            int row = firstRow + rowOfWarp + group;
            int column = firstColumn + columnOfWarp + (member * 2);
            Store(split, row, column, sums0);
            Store(split, row + 16, column, sums1);
            Store(split, row + 32, column, sums2);
            Store(split, row + 48, column, sums3);
        }

        /// <summary>
        /// A thread's two times four numbers of 128 lines by 16 inner indices. Four threads take the 16 inner indices of a line, or a warp
        /// the 128 lines of an inner index.
        /// </summary>
        private static Share Fetch(Operand operand, bool isInner, int firstLine, int lines, int firstInner, int endInner)
        {
            int line = firstLine + LineOf(isInner);
            int k = firstInner + InnerOf(isInner);
            Share share = default;
            share.First = operand.Fetch<LoadAtOnce>(line, lines, k, endInner);
            share.Second = operand.Fetch<LoadAtOnce>(line + (isInner ? 64 : 0), lines, k + (isInner ? 0 : 8), endInner);
            return share;
        }

        /// <summary>Stores what was fetched to where the products read it, zeros beyond the ends.</summary>
        private static void Put(
            Share share,
            bool isInner,
            ArrayView<float> tile,
            int half,
            int firstLine,
            int lines,
            int firstInner,
            int endInner
        )
        {
            ArrayView<Float4> fours = tile.Cast<Float4>();
            int line = firstLine + LineOf(isInner);
            int k = firstInner + InnerOf(isInner);
            if (isInner)
            {
                int place = (half >> 2) + ((Group.IdxX >> 2) * (LinePitch / 4)) + (Group.IdxX & 3);
                int count = endInner - k;
                fours[place] = Rounded(Operand.Cut(share.First, line < lines ? count : 0));
                fours[place + (64 * (LinePitch / 4))] = Rounded(Operand.Cut(share.Second, line + 64 < lines ? count : 0));
            }
            else
            {
                int place = (half >> 2) + ((Group.IdxX >> 5) * (InnerPitch / 4)) + (Group.IdxX & 31);
                int count = lines - line;
                fours[place] = Rounded(Operand.Cut(share.First, k < endInner ? count : 0));
                fours[place + (8 * (InnerPitch / 4))] = Rounded(Operand.Cut(share.Second, k + 8 < endInner ? count : 0));
            }
        }

        /// <summary>The first of the lines of a tile that this thread fetches.</summary>
        private static int LineOf(bool isInner) => isInner ? Group.IdxX >> 2 : (Group.IdxX & 31) * 4;

        /// <summary>The first of the inner indices of a step that this thread fetches.</summary>
        private static int InnerOf(bool isInner) => isInner ? (Group.IdxX & 3) * 4 : Group.IdxX >> 5;

        private static Float4 Rounded(Float4 four)
        {
            if (!TPrecision.IsSplit)
            {
                four.X = Tf32.RoundFinite(four.X);
                four.Y = Tf32.RoundFinite(four.Y);
                four.Z = Tf32.RoundFinite(four.Z);
                four.W = Tf32.RoundFinite(four.W);
            }

            return four;
        }

        /// <summary>Where a number of a step is in shared memory.</summary>
        private static int Place(bool isInner, int line, int k) => isInner ? (line * LinePitch) + k : (k * InnerPitch) + line;

        /// <summary>This thread's part of eight columns, for all 16 inner indices.</summary>
        private static RightFactor Right(ArrayView<float> tile, int line)
        {
            RightFactor factor = default;
            factor.High.X = tile[Place(TForm.IsRightInner, line, 0)];
            factor.High.Y = tile[Place(TForm.IsRightInner, line, 4)];
            factor.High.Z = tile[Place(TForm.IsRightInner, line, 8)];
            factor.High.W = tile[Place(TForm.IsRightInner, line, 12)];
            if (TPrecision.IsSplit)
            {
                factor.Low = Tf32.Split(ref factor.High);
            }

            return factor;
        }

        /// <summary>Adds the products of 16 rows and 32 columns.</summary>
        private static void AddRow(
            ref RowOfTiles sums,
            ArrayView<float> tile,
            int line,
            RightFactor right0,
            RightFactor right1,
            RightFactor right2,
            RightFactor right3
        )
        {
            Float4 near = Left(tile, line, 0);
            Float4 far = Left(tile, line, 8);
            Float4 nearLow = default;
            Float4 farLow = default;
            if (TPrecision.IsSplit)
            {
                nearLow = Tf32.Split(ref near);
                farLow = Tf32.Split(ref far);
            }

            AddTile(ref sums.Tile0, near, nearLow, far, farLow, right0);
            AddTile(ref sums.Tile1, near, nearLow, far, farLow, right1);
            AddTile(ref sums.Tile2, near, nearLow, far, farLow, right2);
            AddTile(ref sums.Tile3, near, nearLow, far, farLow, right3);
        }

        private static Float4 Left(ArrayView<float> tile, int line, int k)
        {
            Float4 factor = default;
            factor.X = tile[Place(TForm.IsLeftInner, line, k)];
            factor.Y = tile[Place(TForm.IsLeftInner, line + 8, k)];
            factor.Z = tile[Place(TForm.IsLeftInner, line, k + 4)];
            factor.W = tile[Place(TForm.IsLeftInner, line + 8, k + 4)];
            return factor;
        }

        /// <summary>
        /// Tensor cores cut off what does not fit into a sum, which over many steps pulls it towards zero. In float32 the sum over a step
        /// therefore starts at zero, with the small products first, and is then added, rounded to nearest.
        /// </summary>
        private static void AddTile(ref Float4 sums, Float4 near, Float4 nearLow, Float4 far, Float4 farLow, RightFactor right)
        {
            if (TPrecision.IsSplit)
            {
                Float4 step = default;
                TUnit.MultiplyAdd(ref step, nearLow, right.High.X, right.High.Y);
                TUnit.MultiplyAdd(ref step, near, right.Low.X, right.Low.Y);
                TUnit.MultiplyAdd(ref step, farLow, right.High.Z, right.High.W);
                TUnit.MultiplyAdd(ref step, far, right.Low.Z, right.Low.W);
                TUnit.MultiplyAdd(ref step, near, right.High.X, right.High.Y);
                TUnit.MultiplyAdd(ref step, far, right.High.Z, right.High.W);
                sums.X += step.X;
                sums.Y += step.Y;
                sums.Z += step.Z;
                sums.W += step.W;
            }
            else
            {
                TUnit.MultiplyAdd(ref sums, near, right.High.X, right.High.Y);
                TUnit.MultiplyAdd(ref sums, far, right.High.Z, right.High.W);
            }
        }

        private void Store(int split, int row, int column, RowOfTiles sums)
        {
            StoreTile(split, row, column, sums.Tile0);
            StoreTile(split, row, column + 8, sums.Tile1);
            StoreTile(split, row, column + 16, sums.Tile2);
            StoreTile(split, row, column + 24, sums.Tile3);
        }

        private void StoreTile(int split, int row, int column, Float4 sums)
        {
            target.Store(split, row, column, sums.X, sums.Y);
            target.Store(split, row + 8, column, sums.Z, sums.W);
        }
    }

    /// <summary>What a thread fetches of one factor for one step.</summary>
    private struct Share
    {
        public Float4 First;
        public Float4 Second;
    }

    /// <summary>A thread's sums of 16 rows by 32 columns.</summary>
    private struct RowOfTiles
    {
        public Float4 Tile0;
        public Float4 Tile1;
        public Float4 Tile2;
        public Float4 Tile3;
    }

    /// <summary>Inner indices member, + 4, + 8 and + 12 of one column: as tf32, and what that leaves over.</summary>
    private struct RightFactor
    {
        public Float4 High;
        public Float4 Low;
    }

    private static class Tf32
    {
        private const uint HalfOfLastBit = 0x1000;
        private const uint Mask = 0xFFFFE000;
        private const uint Exponent = 0x7F800000;

        /// <summary>
        /// Rounds each number to the nearest tf32 and returns what that leaves over: NaN where the number is NaN or infinite.
        /// </summary>
        public static Float4 Split(ref Float4 values)
        {
            Float4 low = default;
            low.X = SplitOne(ref values.X);
            low.Y = SplitOne(ref values.Y);
            low.Z = SplitOne(ref values.Z);
            low.W = SplitOne(ref values.W);
            return low;
        }

        /// <summary>The nearest tf32; infinities and NaN as they are.</summary>
        public static float RoundFinite(float value)
        {
            uint bits = Interop.FloatAsInt(value);
            return (bits & Exponent) == Exponent ? value : Interop.IntAsFloat((bits + HalfOfLastBit) & Mask);
        }

        private static float SplitOne(ref float value)
        {
            float high = Interop.IntAsFloat((Interop.FloatAsInt(value) + HalfOfLastBit) & Mask);
            float low = value - high;
            value = high;
            return low;
        }
    }
}
