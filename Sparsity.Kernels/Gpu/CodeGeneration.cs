using System.Collections.Immutable;
using System.Reflection;
using ILGPU.Backends;
using ILGPU.Backends.OpenCL;
using ILGPU.IR.Transformations;
using ILGPU.Runtime;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Two faults of the code that ILGPU 1.5.3 generates, put right before a device's first kernel is compiled. No public member leads there,
/// so this holds for the version that Directory.Packages.props names; a test looks at the code.
/// </summary>
internal static class CodeGeneration
{
    private const BindingFlags Hidden = BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static;

    public static void Repair(Accelerator accelerator) =>
        Repair((Backend)Found(typeof(Accelerator).GetProperty("Backend", Hidden)).GetValue(accelerator)!);

    public static void Repair(Backend backend)
    {
        KeepReadsInPlace(backend);
        LetBarriersOrderSharedMemory();
    }

    /// <summary>
    /// The last pass moves a read down to where its value is used, past barriers and past writes to the same place in between: threads then
    /// read what others wrote after the barrier. It was to save registers, which the compilers of the devices see to themselves.
    /// </summary>
    private static void KeepReadsInPlace(Backend backend)
    {
        PropertyInfo property = Found(typeof(Backend).GetProperty("KernelTransformers", Hidden));
        var transformers = (ImmutableArray<Transformer>)property.GetValue(backend)!;
        property.SetValue(backend, transformers.Select(WithoutPlacement).ToImmutableArray());

        static Transformer WithoutPlacement(Transformer transformer) =>
            Transformer.Create(transformer.Configuration, [.. transformer.Transformations.Where(pass => pass is not CodePlacement)]);
    }

    /// <summary>In OpenCL every barrier is given the flag of global memory alone.</summary>
    private static void LetBarriersOrderSharedMemory()
    {
        FieldInfo field = Found(
            Found(typeof(CLBackend).Assembly.GetType("ILGPU.Backends.OpenCL.CLInstructions")).GetField("MemoryFenceFlags", Hidden)
        );
        ((string[])field.GetValue(null)!)[0] = "CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE";
    }

    /// <exception cref="MissingMemberException">It is null: this is another version.</exception>
    internal static T Found<T>(T? member)
        where T : class =>
        member
        ?? throw new MissingMemberException(
            "ILGPU is not version 1.5.3, whose inner members are used here: see CodeGeneration and GpuDevices."
        );
}
