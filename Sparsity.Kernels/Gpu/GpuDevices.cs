using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using Sparsity.Core;

namespace Sparsity.Kernels.Gpu;

/// <summary>A GPU that ILGPU sees.</summary>
/// <param name="Id">What --device takes: cuda:0, opencl:1.</param>
/// <param name="Name">The device's own.</param>
/// <param name="MemoryBytes">All of its memory.</param>
/// <param name="Version">The interface it is driven by, such as "CUDA 12.4, SM_90" or "OpenCL 3.0".</param>
/// <param name="IsProcessor">Whether an OpenCL device is the CPU: never taken by auto.</param>
/// <param name="WhyNot">Why it cannot be used; null if it can.</param>
public sealed record GpuDeviceInfo(string Id, string Name, long MemoryBytes, string Version, bool IsProcessor, string? WhyNot);

/// <summary>Finds GPUs, and makes engines for them.</summary>
public static class GpuDevices
{
    /// <summary>
    /// Set to 1, it lets OpenCL devices be used that do not report the generic address space (PoCL, some drivers of OpenCL 3.0): ILGPU refuses them, but
    /// the kernels here never need it.
    /// </summary>
    public const string OpenClOptIn = "SPARSITY_OPENCL_ANY";

    private static readonly Lock ResolverLock = new();
    private static bool isResolverSet;

    /// <summary>All of them, CUDA before OpenCL; none with the stand-in.</summary>
    /// <param name="problem">Why the search itself failed, if it did.</param>
    public static IReadOnlyList<GpuDeviceInfo> Find(out string? problem)
    {
        problem = null;
        if (!GpuLibrary.IsReal)
        {
            return [];
        }

        try
        {
            using Context context = CreateContext();
            return [.. Numbered(context).Select(found => Describe(found.Id, found.Device))];
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            problem = DeviceError.Describe(exception);
            return [];
        }
    }

    /// <param name="id">As <see cref="GpuDeviceInfo.Id"/>.</param>
    /// <exception cref="BadInputException">There is no such device, or it cannot be used.</exception>
    public static GpuEngine Create(string id)
    {
        if (!GpuLibrary.IsReal)
        {
            throw new BadInputException($"--device {id}: this build has no GPU library ({GpuLibrary.Description}). Build with ILGPU, or use --device cpu.");
        }

        Context context = CreateContext();
        try
        {
            (string Id, Device Device)[] all = [.. Numbered(context)];
            Device device = all.FirstOrDefault(found => found.Id == id).Device ?? throw new BadInputException(
                $"--device {id}: there is no such device. {(all.Length == 0 ? "No GPU was found" : "Found: " + string.Join(", ", all.Select(found => found.Id)))}; see 'sparsity devices'.");
            GpuDeviceInfo info = Describe(id, device);
            if (info.WhyNot is not null)
            {
                throw new BadInputException($"--device {id}: {info.Name} cannot be used: {info.WhyNot}.");
            }

            return Create(context, device, info);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    internal static Context CreateContext(Action<Context.Builder>? more = null)
    {
        ResolveNativeLibraries();

        // O2 inlines everything: that is what keeps generic pointers out of OpenCL code.
        return Context.Create(builder =>
        {
            builder.Optimize(OptimizationLevel.O2).EnableAlgorithms();
            (more ?? AddGpus)(builder);
        });
    }

    private static void AddGpus(Context.Builder builder)
    {
        // By name, so that this file compiles with the stand-in, which has no GPUs.
        Invoke("ILGPU.Runtime.Cuda.CudaContextExtensions", "Cuda", builder);
        Type devices = typeof(Context).Assembly.GetType("ILGPU.Runtime.OpenCL.CLDevice")!;
        MethodInfo any = typeof(GpuDevices).GetMethod(nameof(Any), BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(devices);
        Invoke("ILGPU.Runtime.OpenCL.CLContextExtensions", "OpenCL", builder, any.CreateDelegate(typeof(Predicate<>).MakeGenericType(devices)));
    }

    private static bool Any<T>(T device) => true;

    private static void Invoke(string type, string method, params object[] arguments) =>
        typeof(Context).Assembly.GetType(type)!.GetMethods().Single(m => m.Name == method && m.GetParameters().Length == arguments.Length).Invoke(null, arguments);

    private static IEnumerable<(string Id, Device Device)> Numbered(Context context)
    {
        foreach ((AcceleratorType type, string kind) in new[] { (AcceleratorType.Cuda, "cuda"), (AcceleratorType.OpenCL, "opencl") })
        {
            int number = 0;
            foreach (Device device in context.Devices)
            {
                if (device.AcceleratorType == type)
                {
                    yield return ($"{kind}:{number++}", device);
                }
            }
        }
    }

    private static GpuDeviceInfo Describe(string id, Device device)
    {
        object? Property(object? of, string name) => of is null ? null : PropertyOf(of, name)?.GetValue(of);
        bool isCuda = device.AcceleratorType == AcceleratorType.Cuda;
        string version = isCuda ? $"CUDA {Property(device, "DriverVersion")}, {Property(device, "Architecture")}" : $"OpenCL {Property(device, "DeviceVersion")}";
        string? whyNot = device.MaxNumThreadsPerGroup < GroupReduction.MaximumThreads
            ? $"it runs groups of at most {device.MaxNumThreadsPerGroup} threads, and {GroupReduction.MaximumThreads} are needed"
            : null;
        if (!isCuda && Property(Property(device, "Capabilities"), "GenericAddressSpace") is false && Environment.GetEnvironmentVariable(OpenClOptIn) != "1")
        {
            whyNot = $"it does not report OpenCL's generic address space; to try it all the same, set the environment variable {OpenClOptIn}=1";
        }

        bool isProcessor = !isCuda && $"{Property(device, "DeviceType")}".Contains("CPU", StringComparison.Ordinal);
        return new GpuDeviceInfo(id, device.Name, device.MemorySize, version.Trim(), isProcessor, whyNot);
    }

    /// <summary>The most derived property of a name, which may hide another.</summary>
    private static PropertyInfo? PropertyOf(object of, string name)
    {
        for (Type? type = of.GetType(); type is not null; type = type.BaseType)
        {
            if (type.GetProperty(name, BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly) is { } property)
            {
                return property;
            }
        }

        return null;
    }

    private static GpuEngine Create(Context context, Device device, GpuDeviceInfo info)
    {
        if (device.AcceleratorType == AcceleratorType.OpenCL)
        {
            // ILGPU has no public way to say that the generic address space is not needed.
            object capabilities = PropertyOf(device, "Capabilities")!.GetValue(device)!;
            PropertyOf(capabilities, "GenericAddressSpace")!.SetValue(capabilities, true);
        }

        Accelerator accelerator;
        try
        {
            accelerator = device.CreateAccelerator(context);
            CodeGeneration.Repair(accelerator);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            throw new BadInputException($"--device {info.Id}: {info.Name} could not be started: {DeviceError.Describe(exception)}.");
        }

        string kind = info.Id.Split(':')[0];
        string description = string.Create(
            System.Globalization.CultureInfo.InvariantCulture, $"{info.Name} ({info.Version}, {info.MemoryBytes / 1073741824.0:0.#} GiB), {GpuLibrary.Description}");
        return new GpuEngine(new GpuDevice(context, accelerator, device.MemorySize, device.WarpSize, rowThreads: 0), kind, description);
    }

    /// <summary>ILGPU asks for "cuda" and "OpenCL"; Linux distributions have libcuda.so.1 and libOpenCL.so.1 only.</summary>
    private static void ResolveNativeLibraries()
    {
        lock (ResolverLock)
        {
            if (isResolverSet || !GpuLibrary.IsReal)
            {
                return;
            }

            NativeLibrary.SetDllImportResolver(typeof(Context).Assembly, (name, assembly, path) =>
            {
                string[] candidates = name switch
                {
                    "cuda" or "nvcuda" => ["libcuda.so.1", "nvcuda.dll"],
                    "OpenCL" or "OpenCL.dll" => ["libOpenCL.so.1", "OpenCL.dll"],
                    _ => [],
                };
                foreach (string candidate in candidates)
                {
                    if (NativeLibrary.TryLoad(candidate, assembly, path, out nint handle))
                    {
                        return handle;
                    }
                }

                return 0; // the usual search
            });
            isResolverSet = true;
        }
    }
}
