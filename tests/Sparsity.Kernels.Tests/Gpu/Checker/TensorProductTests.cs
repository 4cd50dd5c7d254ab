extern alias checker;

using checker::ILGPU;
using checker::Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu.Checker;

/// <summary>
/// The product on tensor cores, of which the checker emulates the instructions (<see cref="checker::ILGPU.TensorInstructions"/>), against
/// sums in float64.
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

    /// <summary>Rounding of a factor to 11 and to 8 significant bits.</summary>
    private const double Tf32Error = 1.0 / 2048;
    private const double BFloat16Error = 1.0 / 256;

    public static TheoryData<int, int, int, int> Shapes =>
        new()
        {
            { 132, 68, 36, 1 }, // edges of tiles, and of a step
            { 12, 4, 100, 3 }, // splits of unequal length
        };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void EveryFormGivesTheSumsOfProducts(int rows, int columns, int inner, int splits)
    {
        CheckForms<Float32Split, LargeTile>(rows, columns, inner, splits, 1e-6);
        CheckForms<Float32Split, SmallTile>(rows, columns, inner, splits, 1e-6);
        CheckForms<TensorFloat32, LargeTile>(rows, columns, inner, splits, 2 * Tf32Error);
        CheckForms<TensorFloat32, SmallTile>(rows, columns, inner, splits, 2 * Tf32Error);
        CheckForms<BFloat16, LargeTile>(rows, columns, inner, splits, 2 * BFloat16Error);
        CheckForms<BFloat16, SmallTile>(rows, columns, inner, splits, 2 * BFloat16Error);
    }

    [Fact]
    public void RowsOfTheProductMayBeginAnywhere() => Check<ForwardForm, BFloat16, SmallTile>(36, 6, 20, 1, 2 * BFloat16Error);

    /// <summary>An error of two factors in each product, of either sign: some of it is left in the sum, and no more than all.</summary>
    [Fact]
    public void RoundedFactorsCostWhatTheyMay()
    {
        Assert.InRange(Check<ForwardForm, Float32Split, SmallTile>(40, 24, 64, 1, 1e-6), 0, 1e-6);
        double tf32 = Check<ForwardForm, TensorFloat32, SmallTile>(40, 24, 64, 1, 2 * Tf32Error);
        Assert.InRange(tf32, Tf32Error / 20, 2 * Tf32Error);
        double bfloat16 = Check<ForwardForm, BFloat16, SmallTile>(40, 24, 64, 1, 2 * BFloat16Error);
        Assert.InRange(bfloat16, BFloat16Error / 20, 2 * BFloat16Error);
        Assert.InRange(bfloat16 / tf32, 3, 20); // three bits
    }

    /// <summary>To nearest, ties to even, beyond the largest number to infinity; factors that bfloat16 holds stay as they are.</summary>
    [Fact]
    public void RoundingIsToNearestEven()
    {
        const float Tie = 1 + (1f / 256);
        const float TieAbove = 1 + (3f / 256);
        const float Held = 1 + (1f / 128);
        float[] left = [Tie, TieAbove, -Tie, Held, .. new float[12], float.MinValue, .. new float[15]];
        float[] right = [.. Enumerable.Range(0, 4).SelectMany(k => Enumerable.Range(0, 16).Select(i => i == k ? 1f : 0f))];
        float[] product = Product<ForwardForm, BFloat16, SmallTile>(left, right, 2, 4, 16, 16, new float[8], null, isAdded: false);
        Assert.Equal([1, 1 + (1f / 64), -1, Held, float.NegativeInfinity], product[..5]);
    }

    /// <summary>The check at the start sees right products as such, and wrong ones.</summary>
    [Fact]
    public void ProductsThatDifferFromThePlainOnesAreFound()
    {
        RequireWithin<TensorCores>(GpuPrecision.Float32, 0, 1);
        RequireWithin<TensorCores>(GpuPrecision.TensorFloat32, 0, 1);
        RequireWithin<TensorCores>(GpuPrecision.BFloat16, 0, 1);
        RequireWithin<ExchangedSums>(GpuPrecision.TensorFloat32, 10, 1000);
        RequireWithin<ExchangedSums>(GpuPrecision.BFloat16, 10, 1000);
        RequireWithin<ExchangedWords>(GpuPrecision.BFloat16, 10, 1000);
    }

    private void RequireWithin<TUnit>(GpuPrecision precision, double low, double high)
        where TUnit : struct, IMatrixUnit =>
        Assert.InRange(TensorProductCheck.Difference<TUnit>(_device, precision) / TensorProductCheck.Tolerance(precision), low, high);

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void WhatIsNotFiniteIsSeenInTheProduct(float value)
    {
        RequireSeen<Float32Split>(value);
        RequireSeen<TensorFloat32>(value);
        RequireSeen<BFloat16>(value);
    }

    private void RequireSeen<TPrecision>(float value)
        where TPrecision : struct, ITensorPrecision
    {
        float[] left = [.. Numbers(20 * 16, 1)];
        left[(3 * 16) + 5] = BitConverter.UInt32BitsToSingle(float.IsNaN(value) ? 0x7FFFFFFF : BitConverter.SingleToUInt32Bits(value));
        float[] right = [.. Numbers(8 * 16, 2)];
        float[] product = Product<ForwardForm, TPrecision, SmallTile>(left, right, 20, 8, 16, 16, new float[20 * 8], null, isAdded: false);
        Assert.All(product.Index(), entry => Assert.Equal(entry.Index / 8 == 3, !float.IsFinite(entry.Item)));
    }

    private void CheckForms<TPrecision, TTile>(int rows, int columns, int inner, int splits, double tolerance)
        where TPrecision : struct, ITensorPrecision
        where TTile : struct, ITensorTile
    {
        Check<ForwardForm, TPrecision, TTile>(rows, columns, inner, splits, tolerance);
        Check<InputGradientForm, TPrecision, TTile>(rows, columns, inner, splits, tolerance);
        Check<WeightGradientForm, TPrecision, TTile>(rows, columns, inner, splits, tolerance);
    }

    /// <returns>The largest difference from sums in float64, as a share of the largest sum.</returns>
    private double Check<TForm, TPrecision, TTile>(int rows, int columns, int inner, int splits, double tolerance)
        where TForm : struct, IProductForm
        where TPrecision : struct, ITensorPrecision
        where TTile : struct, ITensorTile
    {
        float[] left = Numbers(rows * inner, 1);
        float[] right = Numbers(columns * inner, 2);
        float[] bias = Numbers(columns, 3);
        float[] before = Numbers(splits * rows * columns, 4);
        int innerOfSplit = (((inner + splits - 1) / splits) + 15) / 16 * 16;
        bool isAdded = typeof(TForm) == typeof(WeightGradientForm);
        float[] product = Product<TForm, TPrecision, TTile>(left, right, rows, columns, inner, innerOfSplit, before, bias, isAdded);
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
            difference = Math.Max(difference, Math.Abs(sum + (isAdded ? before[i] : bias[column]) - product[i]));
        }

        Assert.True(difference <= tolerance * largest, $"{typeof(TForm).Name} {rows} x {columns} x {inner}: {difference} of {largest}");
        return difference / largest;
    }

    private float[] Product<TForm, TPrecision, TTile>(
        float[] left,
        float[] right,
        int rows,
        int columns,
        int inner,
        int innerOfSplit,
        float[] before,
        float[]? bias,
        bool isAdded
    )
        where TForm : struct, IProductForm
        where TPrecision : struct, ITensorPrecision
        where TTile : struct, ITensorTile
    {
        using DeviceMemory<float> leftMemory = Written(left);
        using DeviceMemory<float> rightMemory = Written(right);
        using DeviceMemory<float> product = Written(before);
        using DeviceMemory<float> biasMemory = Written(bias ?? [0]);
        TensorProduct.Run<TForm, TPrecision, TTile, TensorCores>(
            _device,
            Factor(leftMemory.View, rows, inner, TForm.IsLeftInner),
            Factor(rightMemory.View, columns, inner, TForm.IsRightInner),
            new ProductTarget(
                product.View,
                biasMemory.View,
                columns,
                rows,
                columns,
                rows * columns,
                isAdded ? ProductTarget.Product
                    : bias is null ? ProductTarget.Nothing
                    : ProductTarget.Bias,
                columns % 4 == 0 ? 1 : 0
            ),
            inner,
            innerOfSplit,
            before.Length / (rows * columns)
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
            TensorCores.MultiplyAdd(ref sums, left, right, rightBelow);
            (sums.X, sums.Y) = (sums.Y, sums.X);
        }

        public static void MultiplyAddPairs(ref Float4 sums, Float4 left, float right, float rightBelow)
        {
            TensorCores.MultiplyAddPairs(ref sums, left, right, rightBelow);
            (sums.X, sums.Y) = (sums.Y, sums.X);
        }

        public static float Pair(float low, float high) => TensorCores.Pair(low, high);
    }

    private readonly struct ExchangedWords : IMatrixUnit
    {
        public static void MultiplyAdd(ref Float4 sums, Float4 left, float right, float rightBelow) =>
            TensorCores.MultiplyAdd(ref sums, left, rightBelow, right);

        public static void MultiplyAddPairs(ref Float4 sums, Float4 left, float right, float rightBelow) =>
            TensorCores.MultiplyAddPairs(ref sums, left, rightBelow, right);

        public static float Pair(float low, float high) => TensorCores.Pair(low, high);
    }
}
