using Sparsity.Core.Engine;
using Sparsity.Kernels;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Benchmarks;

/// <summary>What the device can do at best: the figures others are set against.</summary>
/// <param name="SgemmGflops">Billions of floating-point operations per second of the engine's dense 2048 x 2048 x 2048 product; the
/// median.</param>
/// <param name="SgemmSpread">Half the distance between the quartiles, in the same unit.</param>
/// <param name="CopyGbps">Billions of bytes per second read and written by a copy of 128 MiB (1 GiB on a GPU, whose cache is large); the
/// median.</param>
/// <param name="CopySpread">Half the distance between the quartiles, in the same unit.</param>
/// <param name="Float32Gflops">Of multiply-adds in registers, on a GPU; null on the CPU, where the product comes near enough.</param>
/// <param name="TensorGflops">Of tf32 products on tensor cores; null where there are none.</param>
internal sealed record Roofs(
    double SgemmGflops,
    double SgemmSpread,
    double CopyGbps,
    double CopySpread,
    double? Float32Gflops,
    double? TensorGflops
)
{
    private const int Side = 2048;
    private const int CopyTokens = 16384;

    /// <summary>What arithmetic is set against.</summary>
    public double ArithmeticGflops => Float32Gflops ?? SgemmGflops;

    public static Roofs Measure(IMeasuredEngine engine)
    {
        (double Float32Gflops, double? TensorGflops)? registers = engine is GpuEngine gpu ? DeviceRoofs.Measure(gpu) : null;
        int copyTokens = registers is null ? CopyTokens : 8 * CopyTokens;
        Measurement product = MeasureProduct(engine);
        Measurement copy = MeasureCopy(engine, copyTokens);
        double operations = 2.0 * Side * Side * Side;
        double bytes = 2.0 * copyTokens * Side * sizeof(float);
        return new Roofs(
            operations / product.Median / 1e6,
            operations / product.Median / 1e6 * (product.Spread / product.Median),
            bytes / copy.Median / 1e6,
            bytes / copy.Median / 1e6 * (copy.Spread / copy.Median),
            registers?.Float32Gflops,
            registers?.TensorGflops
        );
    }

    private static Measurement MeasureProduct(IMeasuredEngine engine)
    {
        using ActivationTensor input = engine.AllocateActivations("input", Side / BenchmarkSize.Context, BenchmarkSize.Context, Side);
        using ActivationTensor output = engine.AllocateActivations("output", Side / BenchmarkSize.Context, BenchmarkSize.Context, Side);
        using WeightTensor weight = engine.AllocateWeights("weight", Side, Side);
        engine.Write(input, RandomNumbers.Normal(input.Length, 1, seed: 1));
        engine.Write(weight, RandomNumbers.Normal(weight.Length, 1, seed: 2));
        return Measurement.Of(engine, 1, 7, () => engine.LinearForward(input, weight, null, output));
    }

    private static Measurement MeasureCopy(IMeasuredEngine engine, int tokens)
    {
        using ActivationTensor source = engine.AllocateActivations("source", tokens / BenchmarkSize.Context, BenchmarkSize.Context, Side);
        using ActivationTensor target = engine.AllocateActivations("target", tokens / BenchmarkSize.Context, BenchmarkSize.Context, Side);
        return Measurement.Of(engine, 1, 7, () => engine.Copy(source, target));
    }
}
