using System.Reflection;
using ILGPU;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Sparsity.Core.Files;

namespace Sparsity.Kernels.Gpu;

/// <summary>One kernel, as the compiler of a device is given it.</summary>
/// <param name="Name">Fit for a file's name: Attention.ForwardKernel-Channels16.</param>
/// <param name="Text">PTX or OpenCL C.</param>
internal sealed record KernelSource(string Name, string Text);

/// <summary>Every kernel of the GPU engine as PTX and as OpenCL C, made without a device.</summary>
internal static class KernelSources
{
    private static readonly Type[] Structs = [.. typeof(IKernel).Assembly.GetTypes().Where(type => type.IsValueType)];

    /// <summary>The SM architectures that <see cref="Write"/> writes PTX for: A100 and H100.</summary>
    public static IReadOnlyList<int> Architectures { get; } = [80, 90];

    /// <summary>Every kernel; generic ones with every argument that fits.</summary>
    internal static IReadOnlyList<Type> Kernels { get; } =
    [
        .. Structs
            .Where(type => type.IsAssignableTo(typeof(IKernel)))
            .OrderBy(type => type.FullName, StringComparer.Ordinal)
            .SelectMany(Closed),
    ];

    /// <summary>Every kernel in PTX 7.8, the first that has sm_90.</summary>
    /// <param name="architecture">The SM version, major and minor: 90 for sm_90.</param>
    public static IReadOnlyList<KernelSource> Ptx(int architecture) => Ptx(architecture, Kernels);

    /// <summary>Every kernel in OpenCL C 2.0, without the generic address space.</summary>
    public static IReadOnlyList<KernelSource> OpenCl() => OpenCl(Kernels);

    /// <summary>Writes every kernel: sm_80/NAME.ptx, sm_90/NAME.ptx and opencl/NAME.cl.</summary>
    /// <param name="directory">Made if it is not there.</param>
    /// <returns>How many kernels there are, and how many of them are for other devices than NVIDIA's too.</returns>
    public static (int Ptx, int OpenCl) Write(string directory)
    {
        foreach (int architecture in Architectures)
        {
            WriteAll(Path.Combine(directory, $"sm_{architecture}"), ".ptx", Ptx(architecture));
        }

        IReadOnlyList<KernelSource> openCl = OpenCl();
        WriteAll(Path.Combine(directory, "opencl"), ".cl", openCl);
        return (Kernels.Count, openCl.Count);
    }

    internal static IReadOnlyList<KernelSource> Ptx(int architecture, IEnumerable<Type> kernels)
    {
        var cuda = new CudaArchitecture(architecture / 10, architecture % 10);
        return Compile(kernels, context => new PTXBackend(context, new CudaCapabilityContext(cuda), cuda, CudaInstructionSet.ISA_78, null));
    }

    internal static IReadOnlyList<KernelSource> OpenCl(IEnumerable<Type> kernels)
    {
        kernels = kernels.Where(kernel => !kernel.IsAssignableTo(typeof(ICudaKernel)));
        var capabilities = new CLCapabilityContext(
            float16: false,
            float64: false,
            genericAddressSpace: false,
            int64_Atomics: false,
            subGroups: false
        );
        return Compile(kernels, context => new CLBackend(context, capabilities, CLDeviceVendor.Other, CLCVersion.CL20));
    }

    internal static string NameOf(Type kernel)
    {
        string name = kernel.Name.Split('`')[0];
        string arguments = string.Concat(kernel.GetGenericArguments().Select(argument => "-" + NameOf(argument)));
        return (kernel.DeclaringType is null ? "" : kernel.DeclaringType.Name + ".") + name + arguments;
    }

    private static List<KernelSource> Compile(IEnumerable<Type> kernels, Func<Context, Backend> makeBackend)
    {
        using Context context = GpuDevices.CreateContext(_ => { });
        using Backend backend = makeBackend(context);
        CodeGeneration.Repair(backend);
        return [.. kernels.Select(kernel => new KernelSource(NameOf(kernel), Text(backend, kernel)))];
    }

    private static string Text(Backend backend, Type kernel)
    {
        MethodInfo entry = typeof(KernelEntry).GetMethod(nameof(KernelEntry.Run))!.MakeGenericMethod(kernel);
        CompiledKernel compiled = backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(entry), KernelSpecialization.Empty);
        return compiled is PTXCompiledKernel ptx ? ptx.PTXAssembly : ((CLCompiledKernel)compiled).Source;
    }

    private static void WriteAll(string directory, string extension, IReadOnlyList<KernelSource> sources)
    {
        AtomicFile.CreateDirectory(directory);
        foreach (KernelSource source in sources)
        {
            AtomicFile.WriteText(Path.Combine(directory, source.Name + extension), source.Text);
        }
    }

    private static IEnumerable<Type> Closed(Type type) =>
        type.IsGenericTypeDefinition
            ? Combinations(type.GetGenericArguments().Select(ArgumentsOf)).Select(arguments => type.MakeGenericType(arguments))
            : [type];

    /// <summary>The first constraint that is an interface of this assembly says what fits.</summary>
    private static Type[] ArgumentsOf(Type parameter)
    {
        Type constraint = parameter.GetGenericParameterConstraints().Single(candidate => candidate.IsInterface);
        return constraint.IsGenericType
            ? [typeof(Channels16), typeof(Pair<Channels16>)]
            : [.. Structs.Where(candidate => candidate.IsAssignableTo(constraint))];
    }

    private static IEnumerable<Type[]> Combinations(IEnumerable<Type[]> choices) =>
        choices.Aggregate<Type[], IEnumerable<Type[]>>(
            [
                [],
            ],
            (all, next) => all.SelectMany(some => next.Select(one => (Type[])[.. some, one]))
        );
}
