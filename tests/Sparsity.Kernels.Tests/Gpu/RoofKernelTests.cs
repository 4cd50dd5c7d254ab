using System.Reflection;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using Sparsity.Benchmarks;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>The kernels that measure what a device can do at best hold the instructions that they are to measure.</summary>
public class RoofKernelTests
{
    [Theory]
    [InlineData(nameof(DeviceRoofs.MultiplyAdd), "mul.f32", 8)]
    [InlineData(nameof(DeviceRoofs.TensorMultiplyAdd), "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", 4)]
    public void EachStepHasItsInstructions(string kernel, string instruction, int count)
    {
        using Context context = GpuDevices.CreateContext(_ => { });
        var backend = new PTXBackend(
            context,
            new CudaCapabilityContext(CudaArchitecture.SM_80),
            CudaArchitecture.SM_80,
            CudaInstructionSet.ISA_78,
            null
        );
        using (backend)
        {
            MethodInfo method = typeof(DeviceRoofs).GetMethod(kernel, BindingFlags.NonPublic | BindingFlags.Static)!;
            var compiled = (PTXCompiledKernel)
                backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(method), KernelSpecialization.Empty);
            Assert.Equal(count, compiled.PTXAssembly.Split(instruction).Length - 1);
        }
    }
}
