extern alias checker;

using checker::ILGPU;
using checker::Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu.Checker;

/// <summary>
/// The product on tensor cores, with the instruction itself replaced: the emulated one sums in float64 what 32 threads hold, and passes
/// over the lowest bits as the hardware does.
/// </summary>
public sealed class TensorProductTests : IDisposable
{
    private readonly GpuDevice _device;

    public TensorProductTests()
    {
        Context context = Context.Create(_ => { });
        _device = new GpuDevice(context, context.Devices[0].CreateAccelerator(context), long.MaxValue, warpSize: 32, rowThreads: 0);
    }

    public void Dispose() => _device.Dispose();

    public static TheoryData<int, int, int, int> Shapes =>
        new()
        {
            { 128, 128, 32, 1 }, // whole tiles, loaded four numbers at once
            { 132, 8, 36, 1 }, // edges of tiles, still four at once
            { 12, 4, 100, 3 }, // splits of unequal length
            { 4, 132, 4, 1 },
        };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void EveryFormGivesTheSumsOfProducts(int rows, int columns, int inner, int splits)
    {
        Check<ForwardForm, Float32Split>(rows, columns, inner, splits, 1e-6);
        Check<InputGradientForm, Float32Split>(rows, columns, inner, splits, 1e-6);
        Check<WeightGradientForm, Float32Split>(rows, columns, inner, splits, 1e-6);
    }

    /// <summary>Rounded factors: worse than float32, and no worse than 2^-11 for each factor.</summary>
    [Fact]
    public void RoundedFactorsCostWhatTheyMay()
    {
        double error = Check<ForwardForm, TensorFloat32>(40, 24, 64, 1, 1.0 / 1024);
        Assert.InRange(error, 1e-5, 1.0 / 1024);
        Assert.InRange(Check<ForwardForm, Float32Split>(40, 24, 64, 1, 1e-6), 0, 1e-6);
    }

    /// <summary>The check at the start sees right products as such, and wrong ones.</summary>
    [Fact]
    public void ProductsThatDifferFromThePlainOnesAreFound()
    {
        Assert.True(TensorProduct.Agrees<EmulatedTensorCores>(_device, GpuPrecision.Float32));
        Assert.True(TensorProduct.Agrees<EmulatedTensorCores>(_device, GpuPrecision.TensorFloat32));
        Assert.False(TensorProduct.Agrees<ExchangedSums>(_device, GpuPrecision.Float32));
        Assert.False(TensorProduct.Agrees<ExchangedSums>(_device, GpuPrecision.TensorFloat32));
    }

    [Theory]
    [InlineData(float.NaN, false)]
    [InlineData(float.PositiveInfinity, false)]
    [InlineData(float.NaN, true)]
    [InlineData(float.PositiveInfinity, true)]
    public void WhatIsNotFiniteIsSeenInTheProduct(float value, bool isRounded)
    {
        float[] left = [.. Numbers(20 * 16, 1)];
        left[(3 * 16) + 5] = BitConverter.UInt32BitsToSingle(float.IsNaN(value) ? 0x7FFFFFFF : BitConverter.SingleToUInt32Bits(value));
        float[] right = [.. Numbers(8 * 16, 2)];
        float[] product = isRounded
            ? Product<ForwardForm, TensorFloat32>(left, right, 20, 8, 16, 16, new float[20 * 8], null, isAdded: 0)
            : Product<ForwardForm, Float32Split>(left, right, 20, 8, 16, 16, new float[20 * 8], null, isAdded: 0);
        Assert.All(product.Index(), entry => Assert.Equal(entry.Index / 8 == 3, !float.IsFinite(entry.Item)));
    }

    /// <returns>The largest difference from sums in float64, as a share of the largest sum.</returns>
    private double Check<TForm, TPrecision>(int rows, int columns, int inner, int splits, double tolerance)
        where TForm : struct, IProductForm
        where TPrecision : struct, ITensorPrecision
    {
        float[] left = Numbers(rows * inner, 1);
        float[] right = Numbers(columns * inner, 2);
        float[] bias = Numbers(columns, 3);
        float[] before = Numbers(splits * rows * columns, 4);
        int innerOfSplit = (((inner + splits - 1) / splits) + 15) / 16 * 16;
        float[] added = Product<TForm, TPrecision>(left, right, rows, columns, inner, innerOfSplit, before, null, isAdded: 1);
        float[] biased = Product<TForm, TPrecision>(left, right, rows, columns, inner, innerOfSplit, before, bias, isAdded: 0);
        double largest = 1;
        double difference = 0;
        for (int i = 0; i < before.Length; i++)
        {
            int split = i / (rows * columns);
            int row = i / columns % rows;
            int column = i % columns;
            double sum = 0;
            for (int k = split * innerOfSplit; k < Math.Min(inner, (split + 1) * innerOfSplit); k++)
            {
                float x = TForm.IsLeftInner ? left[(row * inner) + k] : left[(k * rows) + row];
                float y = TForm.IsRightInner ? right[(column * inner) + k] : right[(k * columns) + column];
                sum += (double)x * y;
            }

            largest = Math.Max(largest, Math.Abs(sum));
            difference = Math.Max(difference, Math.Abs(sum + before[i] - added[i]));
            difference = Math.Max(difference, Math.Abs(sum + bias[column] - biased[i]));
        }

        Assert.True(difference <= tolerance * largest, $"{typeof(TForm).Name} {rows} x {columns} x {inner}: {difference} of {largest}");
        return difference / largest;
    }

    private float[] Product<TForm, TPrecision>(
        float[] left,
        float[] right,
        int rows,
        int columns,
        int inner,
        int innerOfSplit,
        float[] before,
        float[]? bias,
        int isAdded
    )
        where TForm : struct, IProductForm
        where TPrecision : struct, ITensorPrecision
    {
        using DeviceMemory<float> leftMemory = Written(left);
        using DeviceMemory<float> rightMemory = Written(right);
        using DeviceMemory<float> product = Written(before);
        using DeviceMemory<float> biasMemory = Written(bias ?? [0]);
        int rowTiles = (rows + TensorProduct.Tile - 1) / TensorProduct.Tile;
        _device.Launch(
            rowTiles * (before.Length / (rows * columns)),
            (columns + TensorProduct.Tile - 1) / TensorProduct.Tile,
            256,
            new TensorProduct.Kernel<TForm, TPrecision, EmulatedTensorCores>(
                Factor(leftMemory.View, rows, inner, TForm.IsLeftInner),
                Factor(rightMemory.View, columns, inner, TForm.IsRightInner),
                new ProductTarget(product.View, biasMemory.View, columns, rows, columns, rows * columns, bias is null ? 0 : 1, isAdded),
                inner,
                innerOfSplit,
                rowTiles
            )
        );
        var result = new float[before.Length];
        _device.Read(product.View, result);
        return result;
    }

    private static Operand Factor(ArrayView<float> view, int lines, int inner, bool isInner) =>
        isInner ? new Operand(view, inner, 1) : new Operand(view, 1, lines);

    private DeviceMemory<float> Written(float[] values)
    {
        DeviceMemory<float> memory = _device.Allocate<float>("values", values.Length);
        _device.Write(memory.View, values);
        return memory;
    }

    private static float[] Numbers(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
    }

    private readonly struct ExchangedSums : IMatrixUnit
    {
        public static void MultiplyAdd(ref Float4 sums, Float4 left, float right, float rightBelow)
        {
            EmulatedTensorCores.MultiplyAdd(ref sums, left, right, rightBelow);
            (sums.X, sums.Y) = (sums.Y, sums.X);
        }
    }

    /// <summary>Every thread lays down what it holds, and takes its sums when all have.</summary>
    private readonly struct EmulatedTensorCores : IMatrixUnit
    {
        private const int Threads = 256;
        private static readonly Float4[] Left = new Float4[Threads];
        private static readonly (float First, float Second)[] Right = new (float, float)[Threads];

        public static void MultiplyAdd(ref Float4 sums, Float4 left, float right, float rightBelow)
        {
            int thread = Group.IdxX;
            Left[thread] = new Float4
            {
                X = Cut(left.X),
                Y = Cut(left.Y),
                Z = Cut(left.Z),
                W = Cut(left.W),
            };
            Right[thread] = (Cut(right), Cut(rightBelow));
            Group.Barrier();
            int warp = thread & ~31;
            int row = (thread & 31) / 4;
            int column = (thread & 3) * 2;
            sums.X += Sum(warp, row, column, isLower: false);
            sums.Y += Sum(warp, row, column + 1, isLower: false);
            sums.Z += Sum(warp, row, column, isLower: true);
            sums.W += Sum(warp, row, column + 1, isLower: true);
            Group.Barrier();
        }

        private static float Sum(int warp, int row, int column, bool isLower)
        {
            double sum = 0;
            for (int k = 0; k < 4; k++)
            {
                Float4 left = Left[warp + (row * 4) + k];
                (float first, float second) = Right[warp + (column * 4) + k];
                sum += ((double)(isLower ? left.Y : left.X) * first) + ((double)(isLower ? left.W : left.Z) * second);
            }

            return (float)sum;
        }

        private static float Cut(float value) => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFFE000);
    }
}
