extern alias checker;

using checker::ILGPU;
using checker::Sparsity.Kernels.Gpu;
using Sparsity.Core.Model;

namespace Sparsity.Kernels.Tests.Gpu.Checker;

/// <summary>The gradients of a training step whose products are on tensor cores, beside those without.</summary>
public class PrecisionStepTests
{
    /// <summary>
    /// Without AbsTopK, whose choices rounding may change. Errors of single factors, 2^-11 and 2^-8 at most, mostly cancel in sums and add
    /// up over the layers.
    /// </summary>
    [Fact]
    public void GradientsDifferByWhatRoundingGives()
    {
        double[] plain = Gradients(null);
        Assert.InRange(Difference(Gradients(GpuPrecision.Float32), plain), 0, 2e-6);
        double tf32 = Difference(Gradients(GpuPrecision.TensorFloat32), plain);
        Assert.InRange(tf32, 1e-5, 2e-3);
        double bfloat16 = Difference(Gradients(GpuPrecision.BFloat16), plain);
        Assert.InRange(bfloat16, 1e-3, 2e-2);
        Assert.InRange(bfloat16 / tf32, 4, 16); // three bits
    }

    private static double Difference(double[] values, double[] expected) =>
        Math.Sqrt(values.Zip(expected, (x, y) => (x - y) * (x - y)).Sum() / expected.Sum(y => y * y));

    private static double[] Gradients(GpuPrecision? precision)
    {
        ModelConfig config = TinyModels.Config with { Afrac = null };
        Context context = Context.Create(_ => { });
        var device = new GpuDevice(context, context.Devices[0].CreateAccelerator(context), long.MaxValue, warpSize: 1, rowThreads: 2)
        {
            TensorPrecision = precision,
        };
        using var engine = new GpuEngine(device, "gpu", "");
        using ModelParameters parameters = TinyModels.Random(engine, config, 4, isTrained: true);
        var model = new Transformer(parameters);
        using ForwardState forward = model.CreateForwardState(2, 12);
        using BackwardState backward = model.CreateBackwardState(2, 12);
        using var head = new HeadState(engine, config, 2, 12, forward.TokenIds);
        int[] tokens = [.. TinyModels.Tokens(25, 8).Select(token => (int)token)];
        engine.Write(forward.TokenIds, tokens.AsSpan(0, 24));
        engine.Write(head.Targets, tokens.AsSpan(1, 24));
        model.Forward(forward);
        model.Head.Forward(forward.FinalResidual, head);
        head.CrossEntropy(24, withGradient: true);
        model.Head.Backward(forward.FinalResidual, head, backward.Residual);
        model.Backward(forward, backward);
        var gradients = new List<double>();
        foreach (Parameter parameter in parameters.Trained)
        {
            var gradient = new float[parameter.Spec.Length];
            engine.Read(parameter.Gradient!, gradient);
            gradients.AddRange(gradient.Select(value => (double)value));
        }

        return [.. gradients];
    }
}
