using Sparsity.Core.Engine;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>GPU engines against the CPU engine, by the check that <c>devices --check</c> runs on a real device.</summary>
public class GpuParityTests
{
    public static TheoryData<string> Gpus => Engines.Gpus;

    [Theory]
    [MemberData(nameof(Gpus))]
    public void EveryOperationMatchesTheCpuEngine(string engine) => Require(engine, check => check.Operations(OperationRuns.Odd, "odd"));

    [Theory]
    [MemberData(nameof(Gpus))]
    public void ShapesAtWhichKernelsChangeMatchTheCpuEngine(string engine) =>
        Require(engine, check => check.ShapesAtWhichKernelsChange().Where(item => !(Engines.IsSlow(engine) && item.Name.Contains("1100", StringComparison.Ordinal))));

    [Theory]
    [MemberData(nameof(Gpus))]
    public void SparseTrainingFollowsTheCpuEngine(string engine) => Require(engine, check => [check.Training(Engines.StepsOf(engine, 60))]);

    [Theory]
    [MemberData(nameof(Gpus))]
    public void MaskTrainingFollowsTheCpuEngine(string engine) => Require(
        engine, check => [check.MaskTraining(Engines.StepsOf(engine, 25), false), check.MaskTraining(Engines.StepsOf(engine, 25), true)]);

    [Theory]
    [MemberData(nameof(Gpus))]
    public void BridgeTrainingFollowsTheCpuEngine(string engine) => Require(engine, check => [check.Bridges(Engines.StepsOf(engine, 8))]);

    private static void Require(string engine, Func<DeviceCheck, IEnumerable<CheckItem>> items)
    {
        using IComputeEngine device = Engines.Create(engine);
        using var reference = new CpuEngine(1);
        ParityResult[] results = [.. items(new DeviceCheck(device, reference)).Select(item => item.Run())];
        Assert.NotEmpty(results);
        Assert.All(results, result => Assert.True(result.Ok, $"{engine}: {result}"));
    }
}
