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
        Require(engine, check => check.ShapesAtWhichKernelsChange(name => !(Engines.IsSlow(engine) && name.Contains("1100", StringComparison.Ordinal))));

    [Theory]
    [MemberData(nameof(Gpus))]
    public void SparseTrainingFollowsTheCpuEngine(string engine) => Require(engine, check => [check.Training(Engines.StepsOf(engine, 60))]);

    [Theory]
    [MemberData(nameof(Gpus))]
    public void MaskTrainingFollowsTheCpuEngine(string engine) => Require(
        engine, check => [check.MaskTraining(Engines.StepsOf(engine, 25), false), check.MaskTraining(Engines.IsSlow(engine) ? 2 : 25, true)]);

    [Theory]
    [MemberData(nameof(Gpus))]
    public void BridgeTrainingFollowsTheCpuEngine(string engine) => Require(engine, check => [check.Bridges(Engines.IsSlow(engine) ? 2 : 8)]);

    private static void Require(string engine, Func<DeviceCheck, IEnumerable<ParityResult>> items)
    {
        using IComputeEngine device = Engines.Create(engine);
        using var reference = new CpuEngine(1);
        Assert.All(items(new DeviceCheck(device, reference)), result => Assert.True(result.Ok, $"{engine}: {result}"));
    }
}
