using Sparsity.Core.Engine;

namespace Sparsity.Benchmarks;

/// <summary>What the machine can do at best with this engine's threads: the figures others are set against.</summary>
/// <param name="SgemmGflops">Billions of floating-point operations per second of a dense 2048 x 2048 x 2048 product; the median.</param>
/// <param name="SgemmSpread">Half the distance between the quartiles, in the same unit.</param>
/// <param name="CopyGbps">Billions of bytes per second read and written by a copy of 128 MiB; the median.</param>
/// <param name="CopySpread">Half the distance between the quartiles, in the same unit.</param>
public sealed record Roofs(double SgemmGflops, double SgemmSpread, double CopyGbps, double CopySpread)
{
    private const int Side = 2048;
    private const int CopyTokens = 16384;

    public static Roofs Measure(IComputeEngine engine)
    {
        Measurement product = MeasureProduct(engine);
        Measurement copy = MeasureCopy(engine);
        double operations = 2.0 * Side * Side * Side;
        double bytes = 2.0 * CopyTokens * Side * sizeof(float);
        return new Roofs(
            operations / product.Median / 1e6, operations / product.Median / 1e6 * (product.Spread / product.Median),
            bytes / copy.Median / 1e6, bytes / copy.Median / 1e6 * (copy.Spread / copy.Median));
    }

    private static Measurement MeasureProduct(IComputeEngine engine)
    {
        using ActivationTensor input = engine.AllocateActivations("input", Side / BenchmarkSize.Context, BenchmarkSize.Context, Side);
        using ActivationTensor output = engine.AllocateActivations("output", Side / BenchmarkSize.Context, BenchmarkSize.Context, Side);
        using WeightTensor weight = engine.AllocateWeights("weight", Side, Side);
        engine.Write(input, RandomNumbers.Normal(input.Length, 1, seed: 1));
        engine.Write(weight, RandomNumbers.Normal(weight.Length, 1, seed: 2));
        return Measurement.Of(1, 7, () => engine.LinearForward(input, weight, null, output));
    }

    private static Measurement MeasureCopy(IComputeEngine engine)
    {
        using ActivationTensor source = engine.AllocateActivations("source", CopyTokens / BenchmarkSize.Context, BenchmarkSize.Context, Side);
        using ActivationTensor target = engine.AllocateActivations("target", CopyTokens / BenchmarkSize.Context, BenchmarkSize.Context, Side);
        return Measurement.Of(1, 7, () => engine.Copy(source, target));
    }
}
