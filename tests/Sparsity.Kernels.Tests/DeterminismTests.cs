using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

/// <summary>Every operation gives the same bits with 1, 2, 3 and 8 threads, and every time.</summary>
public class DeterminismTests
{
    private static readonly OperationRuns Large = new(3, 130, 24);
    private static readonly OperationRuns Small = new(2, 17, 8);

    public static TheoryData<string> OperationNames => [.. OperationRuns.Names];

    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(OperationNames))]
    public void ThreadsDoNotChangeABit(string operation)
    {
        using var one = new Bench(new CpuEngine(1));
        float[] expected = Large.Run(one, operation);
        foreach (int threads in new[] { 2, 3, 8 })
        {
            using var several = new Bench(new CpuEngine(threads));
            Comparison.SameBits(expected, Large.Run(several, operation), $"{operation} with {threads} threads");
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void TwoRunsAgreeBitForBit(string engine)
    {
        OperationRuns size = engine.StartsWith("cpu", StringComparison.Ordinal) ? Large : Small;
        using var bench = Engines.Bench(engine);
        using var other = Engines.Bench(engine);
        foreach (string operation in OperationRuns.Names)
        {
            Comparison.SameBits(size.Run(bench, operation), size.Run(other, operation), $"{engine}: {operation}, second run");
        }

        const string Wide = "heads of 100 channels";
        Comparison.SameBits(
            SpecialShapes.All[Wide](bench, new RandomArrays(1)), SpecialShapes.All[Wide](other, new RandomArrays(1)), $"{engine}: {Wide}, second run");
    }
}
