using System.Reflection;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu.Ilgpu;

/// <summary>Every kernel compiles to PTX and OpenCL C without a device, and the text has nothing that a device could lack or run slowly.</summary>
public class CompilationTests
{
    public static TheoryData<string> Architectures => ["SM_80", "SM_90"];

    [Theory]
    [MemberData(nameof(Architectures))]
    public void PtxHasNoExternalFunctionsLocalMemoryDoublesOrGenericLoads(string name)
    {
        CudaArchitecture architecture = name == "SM_80" ? CudaArchitecture.SM_80 : CudaArchitecture.SM_90;
        string[] forbidden = [".extern", ".local", ".f64", "ld.f32", "st.f32", "ld.v", "st.v", "ld.b", "st.b", "ld.u", "st.u", "ld.s32", "st.s32", "atom.", "shfl", "call"];
        RequireNone(
            context => new PTXBackend(context, new CudaCapabilityContext(architecture), architecture, CudaInstructionSet.ISA_80, null),
            kernel => ((PTXCompiledKernel)kernel).PTXAssembly, forbidden);
    }

    [Fact]
    public void OpenClHasNoDoublesAtomicsOrGenericPointers()
    {
        string[] forbidden = ["double", "atomic_", "sub_group", "generic ", "_f64"];
        RequireNone(
            context => new CLBackend(
                context, new CLCapabilityContext(float16: false, float64: false, genericAddressSpace: false, int64_Atomics: false, subGroups: false), CLDeviceVendor.Other, CLCVersion.CL20),
            kernel => ((CLCompiledKernel)kernel).Source, forbidden);
    }

    private static void RequireNone(Func<Context, ILGPU.Backends.Backend> makeBackend, Func<ILGPU.Backends.CompiledKernel, string> text, string[] forbidden)
    {
        Assert.True(KernelTypes.All.Count >= 50, $"Only {KernelTypes.All.Count} kernels were found.");
        var found = new List<string>();
        MethodInfo entry = typeof(KernelEntry).GetMethod(nameof(KernelEntry.Run))!;
        using Context context = GpuDevices.CreateContext(_ => { });
        using ILGPU.Backends.Backend backend = makeBackend(context);
        foreach (Type type in KernelTypes.All)
        {
            string name = KernelTypes.NameOf(type);
            string code = text(backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(entry.MakeGenericMethod(type)), KernelSpecialization.Empty));
            Assert.NotEmpty(code);
            found.AddRange(
                code.Split('\n').Where(line => forbidden.Any(word => line.Contains(word, StringComparison.Ordinal))).Take(3).Select(line => $"{name}: {line.Trim()}"));
        }

        Assert.True(found.Count == 0, string.Join('\n', found));
    }
}
