using System.Reflection;
using ILGPU;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>Every kernel compiles to PTX and OpenCL C without a device, and the text has nothing that a device could lack or run slowly.</summary>
public class CompilationTests
{
    public static TheoryData<string> Architectures => ["SM_80", "SM_90"];

    [Theory]
    [MemberData(nameof(Architectures))]
    public void PtxHasNoExternalFunctionsLocalMemoryDoublesOrGenericLoads(string architecture)
    {
        string[] forbidden = [".extern", ".local", ".f64", "ld.f32", "st.f32", "ld.v", "st.v", "ld.b", "st.b", "ld.u", "st.u", "ld.s32", "st.s32", "atom.", "shfl", "call"];
        RequireNone(context => Ptx(context, architecture), forbidden);
    }

    [Fact]
    public void OpenClHasNoDoublesAtomicsOrGenericPointers()
    {
        string[] forbidden = ["double", "atomic_", "sub_group", "generic ", "_f64", "barrier ( CLK_GLOBAL"];
        RequireNone(OpenCl, forbidden);
    }

    /// <summary>ILGPU 1.5.3 by itself reads behind the barrier what stands before it (<see cref="CodeGeneration"/>).</summary>
    [Theory]
    [MemberData(nameof(Architectures))]
    public void ReadsStayBeforeTheBarrierInPtx(string architecture)
    {
        using Context context = GpuDevices.CreateContext(_ => { });
        using Backend backend = Ptx(context, architecture);
        RequireOrder(Text(backend, typeof(ReadThenBarrierKernel)), "st.shared", "bar.sync", "ld.shared", "bar.sync", "st.shared", "st.global");
        RequireOrder(Text(backend, typeof(ReadThenWriteKernel)), "ld.global", "st.global", "st.global");
    }

    [Fact]
    public void ReadsStayBeforeTheBarrierInOpenCl()
    {
        using Context context = GpuDevices.CreateContext(_ => { });
        using Backend backend = OpenCl(context);
        const string Barrier = "work_group_barrier ( CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE )";
        RequireOrder(Text(backend, typeof(ReadThenBarrierKernel)), Barrier, "=  *  var", Barrier, " *  var");
        RequireOrder(Text(backend, typeof(ReadThenWriteKernel)), "=  *  var", " *  var", " *  var");
    }

    private static PTXBackend Ptx(Context context, string name)
    {
        CudaArchitecture architecture = name == "SM_80" ? CudaArchitecture.SM_80 : CudaArchitecture.SM_90;
        var backend = new PTXBackend(context, new CudaCapabilityContext(architecture), architecture, CudaInstructionSet.ISA_80, null);
        CodeGeneration.Repair(backend);
        return backend;
    }

    private static CLBackend OpenCl(Context context)
    {
        var capabilities = new CLCapabilityContext(float16: false, float64: false, genericAddressSpace: false, int64_Atomics: false, subGroups: false);
        var backend = new CLBackend(context, capabilities, CLDeviceVendor.Other, CLCVersion.CL20);
        CodeGeneration.Repair(backend);
        return backend;
    }

    private static string Text(Backend backend, Type kernel)
    {
        MethodInfo entry = typeof(KernelEntry).GetMethod(nameof(KernelEntry.Run))!.MakeGenericMethod(kernel);
        CompiledKernel compiled = backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(entry), KernelSpecialization.Empty);
        return compiled is PTXCompiledKernel ptx ? ptx.PTXAssembly : ((CLCompiledKernel)compiled).Source;
    }

    private static void RequireNone(Func<Context, Backend> makeBackend, string[] forbidden)
    {
        Assert.True(KernelTypes.All.Count >= 50, $"Only {KernelTypes.All.Count} kernels were found.");
        var found = new List<string>();
        using Context context = GpuDevices.CreateContext(_ => { });
        using Backend backend = makeBackend(context);
        foreach (Type type in KernelTypes.All)
        {
            string code = Text(backend, type);
            Assert.NotEmpty(code);
            found.AddRange(
                code.Split('\n').Where(line => forbidden.Any(word => line.Contains(word, StringComparison.Ordinal))).Take(3)
                    .Select(line => $"{KernelTypes.NameOf(type)}: {line.Trim()}"));
        }

        Assert.True(found.Count == 0, string.Join('\n', found));
    }

    /// <summary>The accesses to memory and the barriers, one behind the other.</summary>
    private static void RequireOrder(string code, params string[] expected)
    {
        int at = 0;
        foreach (string word in expected)
        {
            int next = code.IndexOf(word, at, StringComparison.Ordinal);
            Assert.True(next >= 0, $"No '{word}' is left after {at} of 0..{code.Length}:\n{code}");
            at = next + word.Length;
        }
    }

    /// <summary>In one block: another thread's number is read, and after a barrier its place is overwritten, and only then is the number used.</summary>
    private readonly struct ReadThenBarrierKernel(ArrayView<float> values) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> shared = SharedMemory.Allocate<float>(GroupReduction.MaximumThreads);
            shared[Group.IdxX] = values[Group.IdxX];
            Group.Barrier();
            float read = shared[0];
            Group.Barrier();
            shared[Group.IdxX] = 1f;
            values[Group.IdxX] = read;
        }
    }

    private readonly struct ReadThenWriteKernel(ArrayView<float> values, ArrayView<float> other) : IKernel
    {
        public void Execute()
        {
            float read = values[Group.IdxX];
            values[Group.IdxX] = 1f;
            other[Group.IdxX] = read;
        }
    }
}
