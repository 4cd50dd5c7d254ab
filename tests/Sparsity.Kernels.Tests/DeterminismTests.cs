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
        ComputedTensor[] expected = Large.Run(one, operation);
        foreach (int threads in new[] { 2, 3, 8 })
        {
            using var several = new Bench(new CpuEngine(threads));
            RequireSameBits(expected, Large.Run(several, operation), $"{operation} with {threads} threads");
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
            RequireSameBits(size.Run(bench, operation), size.Run(other, operation), $"{engine}: {operation}, second run");
        }

        const string Wide = "heads of 100 channels";
        RequireSameBits(
            SpecialShapes.All[Wide](bench, new RandomArrays(1)),
            SpecialShapes.All[Wide](other, new RandomArrays(1)),
            $"{engine}: {Wide}, second run"
        );
    }

    private static void RequireSameBits(ComputedTensor[] expected, ComputedTensor[] actual, string what)
    {
        foreach ((ComputedTensor first, ComputedTensor second) in expected.Zip(actual))
        {
            Comparison.SameBits(first.Values, second.Values, $"{what}, {first.Name}");
        }
    }
}
