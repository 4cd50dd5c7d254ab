using ILGPU;
using Sparsity.Kernels.Gpu;

namespace Sparsity.Kernels.Tests.Gpu;

/// <summary>
/// Every kernel compiles to PTX and OpenCL C without a device, and the text has nothing that a device could lack or run slowly.
/// </summary>
public class CompilationTests
{
    public static TheoryData<int> Architectures => [.. KernelSources.Architectures];

    [Theory]
    [MemberData(nameof(Architectures))]
    public void PtxHasNoExternalFunctionsLocalMemoryDoublesOrGenericLoads(int architecture)
    {
        string[] forbidden =
        [
            ".extern",
            ".local",
            ".f64",
            "ld.f32",
            "st.f32",
            "ld.v",
            "st.v",
            "ld.b",
            "st.b",
            "ld.u",
            "st.u",
            "ld.s32",
            "st.s32",
            "atom.",
            "shfl",
            "call",
        ];
        ILookup<bool, Type> kernels = KernelSources.Kernels.ToLookup(kernel => kernel.IsAssignableTo(typeof(ICudaKernel)));
        RequireNone(KernelSources.Ptx(architecture, kernels[false]), forbidden);

        // ILGPU hands numbers to NVIDIA's own instructions through local memory, which NVIDIA's compiler takes out (DeviceCompilerTests).
        IReadOnlyList<KernelSource> own = KernelSources.Ptx(architecture, kernels[true]);
        Assert.Equal(18, own.Count); // three forms, three precisions, two tiles
        ILookup<bool, KernelSource> paired = own.ToLookup(source => source.Name.Contains(nameof(BFloat16), StringComparison.Ordinal));
        Assert.Equal(6, paired[true].Count());
        Assert.All(paired[true], source => Assert.Contains(TensorCores.ProductOfPairs, source.Text, StringComparison.Ordinal));
        Assert.All(paired[true], source => Assert.Contains(TensorCores.Conversion, source.Text, StringComparison.Ordinal));
        Assert.All(paired[false], source => Assert.Contains(TensorCores.Product, source.Text, StringComparison.Ordinal));
    }

    [Fact]
    public void OpenClHasNoDoublesAtomicsOrGenericPointers()
    {
        string[] forbidden = ["double", "atomic_", "sub_group", "generic ", "_f64", "barrier ( CLK_GLOBAL"];
        RequireNone(KernelSources.OpenCl(), forbidden);
    }

    /// <summary>ILGPU 1.5.3 by itself reads behind the barrier what stands before it (<see cref="CodeGeneration"/>).</summary>
    [Theory]
    [MemberData(nameof(Architectures))]
    public void ReadsStayBeforeTheBarrierInPtx(int architecture)
    {
        IReadOnlyList<KernelSource> sources = KernelSources.Ptx(architecture, [typeof(ReadThenBarrierKernel), typeof(ReadThenWriteKernel)]);
        RequireOrder(sources[0].Text, "st.shared", "bar.sync", "ld.shared", "bar.sync", "st.shared", "st.global");
        RequireOrder(sources[1].Text, "ld.global", "st.global", "st.global");
    }

    [Fact]
    public void ReadsStayBeforeTheBarrierInOpenCl()
    {
        IReadOnlyList<KernelSource> sources = KernelSources.OpenCl([typeof(ReadThenBarrierKernel), typeof(ReadThenWriteKernel)]);
        const string Barrier = "work_group_barrier ( CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE )";
        RequireOrder(sources[0].Text, Barrier, "=  *  var", Barrier, " *  var");
        RequireOrder(sources[1].Text, "=  *  var", " *  var", " *  var");
    }

    /// <summary>Times are added up by name.</summary>
    [Fact]
    public void EveryKernelHasANameOfItsOwn() =>
        Assert.Equal(KernelSources.Kernels.Count, KernelSources.Kernels.Select(KernelTimes.Name).Distinct().Count());

    private static void RequireNone(IReadOnlyList<KernelSource> sources, string[] forbidden)
    {
        Assert.True(sources.Count >= 50, $"Only {sources.Count} kernels were found.");
        Assert.Equal(sources.Count, sources.Select(source => source.Name).Distinct().Count());
        Assert.All(sources, source => Assert.NotEmpty(source.Text));
        IEnumerable<string> found = sources.SelectMany(source =>
            source
                .Text.Split('\n')
                .Where(line => forbidden.Any(word => line.Contains(word, StringComparison.Ordinal)))
                .Take(3)
                .Select(line => $"{source.Name}: {line.Trim()}")
        );
        Assert.True(!found.Any(), string.Join('\n', found));
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

    /// <summary>
    /// In one block: another thread's number is read, and after a barrier its place is overwritten, and only then is the number used.
    /// </summary>
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
