using ILGPU;

namespace Sparsity.Kernels.Gpu;

/// <summary>Small products on tensor cores against those of the kernel without: at each start of a device, and in its check.</summary>
internal static class TensorProductCheck
{
    /// <summary>
    /// How far small products of all forms differ from those of the kernel without tensor cores, as a share of the largest number.
    /// </summary>
    public static double Difference<TUnit>(GpuDevice device, GpuPrecision precision)
        where TUnit : struct, IMatrixUnit =>
        Math.Max(
            Difference<ForwardForm, TUnit>(device, precision),
            Math.Max(Difference<InputGradientForm, TUnit>(device, precision), Difference<WeightGradientForm, TUnit>(device, precision))
        );

    /// <summary>What <see cref="Difference{TUnit}"/> may be: eight times the error of a factor, in float32 about a hundred times.</summary>
    public static double Tolerance(GpuPrecision precision) =>
        precision switch
        {
            GpuPrecision.Float32 => 1e-5,
            GpuPrecision.TensorFloat32 => 1.0 / 256,
            _ => 1.0 / 32,
        };

    private static double Difference<TForm, TUnit>(GpuDevice device, GpuPrecision precision)
        where TForm : struct, IProductForm
        where TUnit : struct, IMatrixUnit
    {
        const int Rows = 40;
        const int Columns = 24;
        const int Inner = 36;
        const int Length = Rows * Columns;
        const string Use = "comparison of products";
        using DeviceMemory<float> factors = device.Allocate<float>(Use, (Rows + Columns) * Inner);
        using DeviceMemory<float> products = device.Allocate<float>(Use, 3 * Length);
        device.Write(factors.View, [.. Enumerable.Range(0, (Rows + Columns) * Inner).Select(i => MathF.Sin(i * i))]);
        ArrayView<float> rightView = factors.View.SubView(Rows * Inner, Columns * Inner);
        Operand left = TForm.IsLeftInner ? new Operand(factors.View, Inner, 1) : new Operand(factors.View, 1, Rows);
        Operand right = TForm.IsRightInner ? new Operand(rightView, Inner, 1) : new Operand(rightView, 1, Columns);
        DenseProduct.RunPlain<TForm, LoadAtOnce>(device, left, right, Target(0), Inner, Inner, splits: 1);
        TensorProduct.Run<TForm, LargeTile, TUnit>(device, precision, left, right, Target(1), Inner, Inner, splits: 1);
        TensorProduct.Run<TForm, SmallTile, TUnit>(device, precision, left, right, Target(2), Inner, Inner, splits: 1);
        var found = new float[3 * Length];
        device.Read(products.View, found);
        double largest = 0;
        double difference = 0;
        for (int i = 0; i < Length; i++)
        {
            largest = Math.Max(largest, Math.Abs(found[i]));
            difference = Math.Max(difference, Math.Abs(found[i] - found[i + Length])); // NaN stays
            difference = Math.Max(difference, Math.Abs(found[i] - found[i + (2 * Length)]));
        }

        return difference / largest;

        ProductTarget Target(int place)
        {
            ArrayView<float> view = products.View.SubView(place * Length, Length);
            return new(view, view, Columns, Rows, Columns, 0, ProductTarget.Nothing, 1);
        }
    }
}
