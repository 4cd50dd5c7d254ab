extern alias checker;

using checker::ILGPU;
using checker::ILGPU.Runtime;
using checker::Sparsity.Kernels.Gpu;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Kernels.Tests.Gpu.Checker;

/// <summary>The check of devices finds a wrong kernel and names its operation. A kernel is made wrong by leaving it out.</summary>
public sealed class DeviceCheckTests : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly GpuEngine _device;
    private readonly CpuEngine _reference = new(1);

    public DeviceCheckTests()
    {
        Context context = Context.Create(_ => { });
        _accelerator = context.Devices[0].CreateAccelerator(context);
        _device = new GpuEngine(new GpuDevice(context, _accelerator, context.Devices[0].MemorySize, warpSize: 1, rowThreads: 2), "gpu", "");
    }

    public void Dispose()
    {
        _device.Dispose();
        _reference.Dispose();
    }

    [Theory]
    [InlineData("AdamW.StepKernel", "AdamStep, Scale [odd]")]
    [InlineData("Gate.BackwardKernel", "Gate [odd]")]
    [InlineData("AbsTopK.BackwardKernel", "AbsTopK [odd]", "Activation [odd]")]
    public void AWrongKernelFailsAndIsNamed(string kernel, params string[] operations)
    {
        _accelerator.LeavesOut = type => $"{type.DeclaringType?.Name}.{type.Name}" == kernel;
        Assert.Equal(operations, Failing());
    }

    /// <summary>Right in the first run, wrong in the second: as a race would have it.</summary>
    [Fact]
    public void ASecondRunWithOtherBitsFails()
    {
        int launches = 0;
        _accelerator.LeavesOut = type => type.DeclaringType?.Name == "AdamW" && ++launches % 2 == 0;
        ParityResult result = new DeviceCheck(_device, _reference).Operations(OperationRuns.Odd, "odd").Single(item => item.Name.StartsWith("AdamStep", StringComparison.Ordinal)).Run();
        Assert.False(result.Ok);
        Assert.Contains("a second run changed", result.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void AWrongTrainingStepFails()
    {
        _accelerator.LeavesOut = type => $"{type.DeclaringType?.Name}.{type.Name}" == "AdamW.StepKernel";
        var check = new DeviceCheck(_device, _reference);
        Assert.False(check.Training(3).Run().Ok);
        Assert.All(check.OfficialSteps(OfficialFixture.CarriedSteps), item => Assert.False(item.Run().Ok));
    }

    private string[] Failing() => [.. new DeviceCheck(_device, _reference).Operations(OperationRuns.Odd, "odd").Where(item => !item.Run().Ok).Select(item => item.Name)];
}
