using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Sparsity.Core;

namespace Sparsity.Kernels.Gpu;

/// <summary>Finds GPUs, and makes engines for them.</summary>
public static class GpuDevices
{
    /// <summary>
    /// Set to 1, it lets OpenCL devices be used that do not report the generic address space (PoCL, some drivers of OpenCL 3.0): ILGPU
    /// refuses them, but the kernels here never need it.
    /// </summary>
    public const string OpenClOptIn = "SPARSITY_OPENCL_ANY";

    /// <summary>The first compute capability whose tensor cores multiply tf32 and bfloat16.</summary>
    private const int FirstMajorWithTensorCores = 8;

    /// <summary>The library that drives GPUs, with its version.</summary>
    public static string Library { get; } = $"ILGPU {typeof(Context).Assembly.GetName().Version!.ToString(3)}";

    static GpuDevices()
    {
        // ILGPU asks for "cuda" and "OpenCL"; Linux distributions have libcuda.so.1 and libOpenCL.so.1 only, and WSL has CUDA's in a folder
        // of its own. This is asked where the usual search, or whatever resolver others have set for ILGPU, found nothing.
        AssemblyLoadContext.GetLoadContext(typeof(Context).Assembly)!.ResolvingUnmanagedDll += static (_, name) =>
        {
            string[] files = name switch
            {
                "cuda" => ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"],
                "OpenCL" => ["libOpenCL.so.1"],
                _ => [],
            };
            foreach (string file in files)
            {
                if (NativeLibrary.TryLoad(file, out nint handle))
                {
                    return handle;
                }
            }

            return 0;
        };
    }

    /// <summary>
    /// Drivers are looked for and started by one thread at a time: two at once ended in a crash in native code (seen with PoCL 3.1).
    /// </summary>
    private static readonly Lock Drivers = new();

    /// <summary>All of them, CUDA before OpenCL.</summary>
    /// <param name="problem">Why the search itself failed, if it did.</param>
    public static IReadOnlyList<GpuDeviceInfo> Find(out string? problem)
    {
        problem = null;
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
    /// <param name="precision">Of dense products.</param>
    /// <exception cref="BadInputException">There is no such device, it cannot be used, or it has no such precision.</exception>
    internal static GpuEngine Create(string id, GpuPrecision precision = GpuPrecision.Float32)
    {
        Context context = CreateContext();
        try
        {
            (string Id, Device Device)[] all = [.. Numbered(context)];
            Device device =
                all.FirstOrDefault(found => found.Id == id).Device
                ?? throw new BadInputException(
                    $"{id}: there is no such device. "
                        + $"{(all.Length == 0 ? "No GPU was found" : "Found: " + string.Join(", ", all.Select(found => found.Id)))}; "
                        + $"see 'sparsity devices'."
                );
            GpuDeviceInfo info = Describe(id, device);
            if (info.WhyNot is not null)
            {
                throw new BadInputException($"{id}: {info.Name} cannot be used: {info.WhyNot}.");
            }

            return Create(context, device, info, precision);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <param name="add">Adds devices; all GPUs if null.</param>
    internal static Context CreateContext(Action<Context.Builder>? add = null)
    {
        // O2 inlines everything: that is what keeps generic pointers out of OpenCL code.
        lock (Drivers)
        {
            return Context.Create(builder =>
            {
                builder.Optimize(OptimizationLevel.O2).EnableAlgorithms();
                (add ?? AddGpus)(builder);
            });
        }
    }

    private static void AddGpus(Context.Builder builder)
    {
        AddCuda(builder);
        builder.OpenCL(_ => true);
    }

    /// <summary>
    /// Does what ILGPU's own <c>builder.Cuda()</c> does, but under WSL: there that sets a resolver for libraries each time it is called,
    /// which .NET lets nobody do twice, so a second context would fail.
    /// </summary>
    private static void AddCuda(Context.Builder builder)
    {
        const BindingFlags Any = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance;
        PropertyInfo registry = CodeGeneration.Found(typeof(Context.Builder).GetProperty("DeviceRegistry", Any));
        MethodInfo add = CodeGeneration.Found(
            typeof(CudaDevice).GetMethod(
                "GetDevices",
                Any,
                [typeof(Action<CudaDeviceOverride>), typeof(Predicate<CudaDevice>), registry.PropertyType]
            )
        );
        add.Invoke(
            null,
            BindingFlags.DoNotWrapExceptions,
            null,
            [new Action<CudaDeviceOverride>(_ => { }), new Predicate<CudaDevice>(IsSupported), registry.GetValue(builder)],
            null
        );

        static bool IsSupported(CudaDevice device) =>
            device.Architecture is not null
            && device.InstructionSet is { } instructions
            && PTXCodeGenerator.SupportedInstructionSets.Contains(instructions);
    }

    /// <summary>Tries the products on tensor cores; null if they are as they should be.</summary>
    private static string? WhyNotTensorCores(GpuDevice device, GpuPrecision precision)
    {
        try
        {
            return TensorProductCheck.Difference<TensorCores>(device, precision) <= TensorProductCheck.Tolerance(precision)
                ? null
                : "products on them differ from those without.";
        }
        catch (BadInputException exception)
        {
            return exception.Message; // the driver's compiler refuses them
        }
    }

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
        string version = device switch
        {
            CudaDevice cuda => $"CUDA {cuda.DriverVersion}, {cuda.Architecture}",
            CLDevice cl => $"OpenCL {cl.DeviceVersion}",
            _ => "",
        };
        string? whyNot =
            device.MaxNumThreadsPerGroup < GroupReduction.MaximumThreads
                ? $"it runs groups of at most {device.MaxNumThreadsPerGroup} threads, and {GroupReduction.MaximumThreads} are needed"
                : null;
        if (device is CLDevice { Capabilities.GenericAddressSpace: false } && Environment.GetEnvironmentVariable(OpenClOptIn) != "1")
        {
            whyNot =
                $"it does not report OpenCL's generic address space; to try it all the same, set the environment variable {OpenClOptIn}=1";
        }

        bool isProcessor = device is CLDevice { DeviceType: CLDeviceType.CL_DEVICE_TYPE_CPU };
        return new GpuDeviceInfo(id, device.Name, device.MemorySize, version.Trim(), isProcessor, whyNot);
    }

    private static GpuEngine Create(Context context, Device device, GpuDeviceInfo info, GpuPrecision precision)
    {
        if (device is CLDevice { Capabilities: var capabilities })
        {
            // ILGPU has no public way to say that the generic address space is not needed.
            typeof(CLCapabilityContext).GetProperty(nameof(CLCapabilityContext.GenericAddressSpace))!.SetValue(capabilities, true);
        }

        Accelerator accelerator;
        using (var log = new TraceLog())
        {
            try
            {
                lock (Drivers)
                {
                    accelerator = device.CreateAccelerator(context);
                }

                CodeGeneration.Repair(accelerator);
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                throw new BadInputException($"{info.Id}: {info.Name} could not be started: {log.Explain(exception)}.");
            }
        }

        string kind = info.Id.Split(':')[0];
        string description = string.Create(
            System.Globalization.CultureInfo.InvariantCulture,
            $"{info.Name} ({info.Version}, {info.MemoryBytes / 1073741824.0:0.#} GiB), {Library}"
        );
        Func<long>? freeMemory = accelerator is CudaAccelerator cuda ? cuda.GetFreeMemory : null;
        var gpu = new GpuDevice(context, accelerator, device.MemorySize, accelerator.WarpSize, rowThreads: 0, freeMemory: freeMemory)
        {
            SkipsZeros = accelerator is not CudaAccelerator,
        };
        string? warning = null;
        if (accelerator is CudaAccelerator { Architecture.Major: >= FirstMajorWithTensorCores })
        {
            string? why = WhyNotTensorCores(gpu, precision);
            gpu.TensorPrecision = why is null ? precision : null;
            warning = why is null ? null : $"{info.Id}: its tensor cores are not used, which is slower: {why}";
        }

        if (precision != GpuPrecision.Float32 && gpu.TensorPrecision is null)
        {
            throw new BadInputException(
                warning
                    ?? $"{info.Id}: {info.Name} computes in float32 only; tf32 and bf16 need an NVIDIA GPU of compute capability 8.0 or "
                        + "later."
            );
        }

        string products = precision == GpuPrecision.Float32 ? "" : $", {GpuPrecisionName.Of(precision)} products";
        return new GpuEngine(gpu, kind, description + products) { Warning = warning };
    }
}
