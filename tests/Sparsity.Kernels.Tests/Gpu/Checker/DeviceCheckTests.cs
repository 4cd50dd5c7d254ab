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
    [InlineData("AdamW.StepKernel", "AdamStep, Scale [odd]", "optimiser, many tensors at once [odd]")]
    [InlineData("Gate.BackwardKernel", "Gate [odd]")]
    [InlineData("AbsTopK.BackwardKernel", "AbsTopK [odd]", "Activation [odd]", "operations that follow each other [odd]")]
    [InlineData("NormalisedError.BackwardKernel", "KullbackLeibler, NormalisedError, Sum [odd]")]
    public void AWrongKernelFailsAndIsNamed(string kernel, params string[] operations)
    {
        _accelerator.LeavesOut = type => $"{type.DeclaringType?.Name}.{type.Name}" == kernel;
        Assert.Equal(operations, Failing());
    }

    /// <summary>
    /// Whichever kernel does nothing, an item that launches it fails: none computes what nobody compares, or what counts for nothing beside
    /// larger numbers.
    /// </summary>
    [Fact]
    public void NoKernelCanBeLeftOutUnnoticed()
    {
        CheckItem[] items = Items(_device);
        var launching = new Dictionary<Type, List<int>>();
        for (int item = 0; item < items.Length; item++)
        {
            _accelerator.Kernels.Clear();
            Assert.True(items[item].Run().Ok, items[item].Name);
            foreach (Type kernel in _accelerator.Kernels)
            {
                (launching.TryGetValue(kernel, out List<int>? with) ? with : launching[kernel] = []).Add(item);
            }
        }

        Assert.Empty(EveryKernel().Except(launching.Keys.Select(Definition)));
        string[] unnoticed =
        [
            .. launching
                .Where(entry => !entry.Value.Any(item => FailsWithout(entry.Key, item)))
                .Select(entry => $"{entry.Key}, in {items[entry.Value[0]].Name}"),
        ];
        Assert.True(unnoticed.Length == 0, string.Join('\n', unnoticed));

        static Type Definition(Type kernel) => kernel.IsGenericType ? kernel.GetGenericTypeDefinition() : kernel;
    }

    /// <summary>Right in the first run, wrong in the second: as a race would have it.</summary>
    [Fact]
    public void ASecondRunWithOtherBitsFails()
    {
        int launches = 0;
        _accelerator.LeavesOut = type => type.DeclaringType?.Name == "AdamW" && ++launches % 2 == 0;
        ParityResult result = new DeviceCheck(_device, _reference)
            .Operations(OperationRuns.Odd, "odd")
            .Single(item => item.Name.StartsWith("AdamStep", StringComparison.Ordinal))
            .Run();
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

    /// <summary>But those for NVIDIA alone, which nothing here can run (<see cref="TensorProductTests"/>).</summary>
    private static IEnumerable<Type> EveryKernel() =>
        typeof(GpuEngine)
            .Assembly.GetTypes()
            .Where(type => type.IsValueType && type.IsAssignableTo(typeof(IKernel)) && !type.IsAssignableTo(typeof(ICudaKernel)));

    private CheckItem[] Items(GpuEngine device)
    {
        var check = new DeviceCheck(device, _reference);
        return
        [
            .. check.Operations(OperationRuns.Odd, "odd"),
            .. check.ShapesAtWhichKernelsChange().Where(item => !item.Name.Contains("1100 tokens", StringComparison.Ordinal)),
            check.Training(2),
            check.TrainingInParts(2),
            check.MaskTraining(1, false),
            check.Bridges(1),
        ];
    }

    /// <summary>
    /// On a new device, whose workspaces do not hold the right numbers from before. What the kernel should have written may be used as an
    /// index.
    /// </summary>
    private bool FailsWithout(Type kernel, int item)
    {
        Context context = Context.Create(_ => { });
        Accelerator accelerator = context.Devices[0].CreateAccelerator(context);
        accelerator.LeavesOut = type => type == kernel;
        using var device = new GpuEngine(
            new GpuDevice(context, accelerator, context.Devices[0].MemorySize, warpSize: 1, rowThreads: 2),
            "gpu",
            ""
        );
        try
        {
            return !Items(device)[item].Run().Ok;
        }
        catch (Exception exception) when (exception is IndexOutOfRangeException or ComparisonException or ArithmeticException)
        {
            return true;
        }
    }

    private string[] Failing() =>
        [
            .. new DeviceCheck(_device, _reference)
                .Operations(OperationRuns.Odd, "odd")
                .Where(item => !item.Run().Ok)
                .Select(item => item.Name),
        ];
}
