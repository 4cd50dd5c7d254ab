extern alias checker;

using checker::ILGPU;
using checker::ILGPU.Runtime;
using checker::Sparsity.Kernels.Gpu;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Tests.Gpu.Checker;

/// <summary>
/// Weight gradients behind AbsTopK: by the kernel that tests for zeros only on devices where a zero saves time, and the same numbers either
/// way.
/// </summary>
public class ZeroSkippingTests
{
    [Fact]
    public void WhereZerosSaveNothingTheDenseProductIsTaken()
    {
        (float[] skipping, HashSet<Type> kernels) = Gradient(skipsZeros: true);
        Assert.Contains(typeof(MaskedProduct.Kernel), kernels);
        (float[] dense, kernels) = Gradient(skipsZeros: false);
        Assert.DoesNotContain(typeof(MaskedProduct.Kernel), kernels);
        Assert.Contains(typeof(DenseProduct.Kernel<WeightGradientForm, LoadOneByOne>), kernels);
        Comparison.Close([.. dense.Select(value => (double)value)], skipping, 1e-6, "weight gradient");
        Assert.Contains(dense, value => value != 0);
    }

    private static (float[] Gradient, HashSet<Type> Kernels) Gradient(bool skipsZeros)
    {
        const int Tokens = 3;
        const int Inputs = MaskedProduct.LeastColumns;
        const int Outputs = 6;
        Context context = Context.Create(_ => { });
        Accelerator accelerator = context.Devices[0].CreateAccelerator(context);
        using var engine = new GpuEngine(new GpuDevice(context, accelerator, long.MaxValue, 1, 2) { SkipsZeros = skipsZeros }, "gpu", "");
        using ActivationTensor input = engine.AllocateActivations("input", 1, Tokens, Inputs);
        using ActivationTensor outputGradient = engine.AllocateActivations("output gradient", 1, Tokens, Outputs);
        using SelectionTensor selection = engine.AllocateSelection("selection", 1, Tokens, Outputs);
        using WeightTensor weightGradient = engine.AllocateWeights("gradient", Outputs, Inputs);
        engine.Write(input, [.. Enumerable.Range(0, Tokens * Inputs).Select(i => MathF.Sin(i))]);
        float[] values = [.. Enumerable.Range(0, Tokens * Outputs).Select(i => MathF.Cos(i))];
        engine.Write(outputGradient, values);
        engine.AbsTopKForward(outputGradient, 2, selection);
        engine.Write(outputGradient, values);
        engine.AbsTopKBackward(selection, outputGradient);
        engine.LinearBackwardWeight(input, outputGradient, weightGradient, null);
        var gradient = new float[Outputs * Inputs];
        engine.Read(weightGradient, gradient);
        return (gradient, accelerator.Kernels);
    }
}
