using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Algorithms.ScanReduceOperations;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>What ILGPU offers and some devices lack is found by the lint.</summary>
public class DeviceMemberLintTests
{
    [Theory]
    [InlineData(nameof(Faulty.Shuffles), "Warp.Shuffle")]
    [InlineData(nameof(Faulty.AsksForItsLane), "Warp.get_LaneIdx")]
    [InlineData(nameof(Faulty.AddsAtomically), "Atomic.Add")]
    [InlineData(nameof(Faulty.AddsHalves), "Half.")]
    [InlineData(nameof(Faulty.Reduces), "GroupExtensions.Reduce")]
    [InlineData(nameof(Faulty.CountsAtABarrier), "Group.BarrierPopCount")]
    [InlineData(nameof(Faulty.SharesDynamically), "SharedMemory.GetDynamic")]
    [InlineData(nameof(Faulty.TakesLocalMemory), "LocalMemory.Allocate")]
    [InlineData(nameof(Faulty.TakesALogarithm), "XMath.Log2")]
    public void EachFaultIsFound(string method, string expected) =>
        Assert.Contains(
            KernelLintTests.FaultsOf(typeof(Faulty).GetMethod(method)!),
            fault => fault.Contains(expected, StringComparison.Ordinal)
        );

    /// <summary>One fault each.</summary>
    private static class Faulty
    {
        public static float Shuffles(float x) => Warp.Shuffle(x, 0);

        public static int AsksForItsLane() => Warp.LaneIdx;

        public static void AddsAtomically(ArrayView<int> x) => Atomic.Add(ref x[0], 1);

        public static float AddsHalves(float x) => (ILGPU.Half)x + (ILGPU.Half)x;

        public static float Reduces(float x) => GroupExtensions.Reduce<float, AddFloat>(x);

        public static int CountsAtABarrier(int x) => Group.BarrierPopCount(x > 0);

        public static float SharesDynamically() => SharedMemory.GetDynamic<float>()[0];

        public static float TakesLocalMemory() => LocalMemory.Allocate<float>(4)[0];

        public static float TakesALogarithm(float x) => XMath.Log2(x);
    }
}
