using Sparsity.Core;
using Sparsity.Core.Engine;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>GPU engines against the CPU engine, by the check that <c>devices --check</c> runs on a real device.</summary>
public class GpuParityTests
{
    /// <summary>Shapes that would take slow engines minutes, or more threads to a group than they have.</summary>
    private static readonly string[] TooManyTokens = ["1100 tokens", "40 channels, 70 tokens"];

    public static TheoryData<string> Gpus => Engines.Gpus;

    /// <summary>Where the kernels of a run are among the operations, which slow engines compute too.</summary>
    public static TheoryData<string> QuickGpus => Engines.QuickGpus;

    [Theory]
    [MemberData(nameof(Gpus))]
    public void EveryOperationMatchesTheCpuEngine(string engine) => Require(engine, check => check.Operations(OperationRuns.Odd, "odd"));

    [Theory]
    [MemberData(nameof(Gpus))]
    public void ShapesAtWhichKernelsChangeMatchTheCpuEngine(string engine) =>
        Require(
            engine,
            check =>
                check
                    .ShapesAtWhichKernelsChange()
                    .Where(item =>
                        !(Engines.IsSlow(engine) && TooManyTokens.Any(words => item.Name.Contains(words, StringComparison.Ordinal)))
                    )
        );

    [Theory]
    [MemberData(nameof(Gpus))]
    public void SparseTrainingFollowsTheCpuEngine(string engine) => Require(engine, check => [check.Training(Engines.StepsOf(engine, 60))]);

    [Theory]
    [MemberData(nameof(QuickGpus))]
    public void SparseTrainingInPartsFollowsTheCpuEngine(string engine) => Require(engine, check => [check.TrainingInParts(8)]);

    /// <summary>Slow engines with frozen norm scales only: the one kernel that this takes besides is among the operations.</summary>
    [Theory]
    [MemberData(nameof(Gpus))]
    public void MaskTrainingFollowsTheCpuEngine(string engine) =>
        Require(
            engine,
            check =>
                [
                    .. Engines.IsSlow(engine) ? [] : new[] { check.MaskTraining(25, false) },
                    check.MaskTraining(Engines.StepsOf(engine, 25), true),
                ]
        );

    [Theory]
    [MemberData(nameof(QuickGpus))]
    public void BridgeTrainingFollowsTheCpuEngine(string engine) => Require(engine, check => [check.Bridges(8)]);

    [Theory]
    [MemberData(nameof(Gpus))]
    public void WiderHeadsThanTheKernelsTakeAreRefused(string engine)
    {
        using var bench = new Bench(Engines.Create(engine));
        IComputeEngine device = bench.Engine;
        const int Channels = Kernels.Gpu.Attention.MaximumHeadChannels + 1;
        ActivationTensor[] tensors = [.. Enumerable.Range(0, 4).Select(i => device.AllocateActivations($"tensor {i}", 1, 1, 2 * Channels))];
        using ActivationTensor logSumExp = device.AllocateActivations("log-sum-exp", 1, 1, 2);
        using KeyValueCache cache = device.AllocateKeyValueCache("cache", 1, 1, 2 * Channels);
        foreach (
            Action attend in (Action[])
                [
                    () => device.AttentionForward(tensors[0], tensors[1], tensors[2], 2, null, tensors[3], logSumExp),
                    () => device.CachedAttentionForward(tensors[0], tensors[1], tensors[2], 2, null, cache, 0, tensors[3]),
                ]
        )
        {
            string message = Assert.Throws<BadInputException>(attend).Message;
            Assert.Equal(
                $"Heads of {Channels} channels are too wide for the GPU engine, which takes at most 1024. Use the device cpu.",
                message
            );
        }
    }

    private static void Require(string engine, Func<DeviceCheck, IEnumerable<CheckItem>> items)
    {
        using IComputeEngine device = Engines.Create(engine);
        using var reference = new CpuEngine(1);
        ParityResult[] results =
        [
            .. items(new DeviceCheck(device, reference) { RepeatsRuns = !Engines.IsSlow(engine) }).Select(item => item.Run()),
        ];
        Assert.NotEmpty(results);
        Assert.All(results, result => Assert.True(result.Ok, $"{engine}: {result}"));
    }
}
