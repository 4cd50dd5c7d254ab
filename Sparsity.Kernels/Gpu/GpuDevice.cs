using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using Sparsity.Core;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// One accelerator: memory, kernels loaded when first launched, one stream. Launches and writes of memory run in the order of the calls and
/// do not wait; reading does. Memory that is given back is freed when the host next waits: what was started before may still use it, and
/// nothing says that every driver keeps it until then. Without an accelerator it only counts: it takes no memory, runs no kernels, and
/// zeros are read from it.
/// </summary>
internal sealed class GpuDevice : IDisposable
{
    /// <summary>Page-locked host memory through which writes go that do not wait; longer ones wait.</summary>
    private const int StagingBytes = 4 << 20;

    private readonly IDisposable? _context;
    private readonly Accelerator? _accelerator;
    private readonly Dictionary<Type, Delegate> _kernels = [];
    private readonly Dictionary<(Type Element, string Use), (IDisposable Memory, int Length)> _workspaces = [];
    private readonly List<MemoryBuffer> _givenBack = [];
    private readonly int _rowThreads;
    private readonly int _elementThreads;
    private readonly long _memorySize;
    private readonly Func<long>? _freeMemory;
    private PageLockedArray1D<byte>? _staging;
    private int _staged;
    private IHeldLaunch? _held;

    /// <param name="context">Disposed with the device.</param>
    /// <param name="accelerator">Disposed with the device; null for a device that only counts.</param>
    /// <param name="memorySize">Bytes there are.</param>
    /// <param name="warpSize">Threads that run in step.</param>
    /// <param name="rowThreads">Threads for each row or line; 0 to choose by its width.</param>
    /// <param name="elementThreads">Threads of a group that works on single entries.</param>
    /// <param name="freeMemory">Asks the device for the bytes that nobody uses; null if it cannot tell.</param>
    public GpuDevice(
        IDisposable? context,
        Accelerator? accelerator,
        long memorySize,
        int warpSize,
        int rowThreads,
        int elementThreads = 256,
        Func<long>? freeMemory = null
    )
    {
        _context = context;
        _accelerator = accelerator;
        _memorySize = memorySize;
        _rowThreads = rowThreads;
        _elementThreads = elementThreads;
        _freeMemory = freeMemory;
        WarpSize = Math.Max(1, warpSize); // some OpenCL devices report 0
    }

    public int WarpSize { get; }

    /// <exception cref="InvalidOperationException">The device only counts.</exception>
    public Accelerator Accelerator => _accelerator ?? throw new InvalidOperationException("A device that only counts has no accelerator.");

    /// <summary>Where the time of each kernel is added up, its launch included; the host then waits for every one.</summary>
    public KernelTimes? KernelTimes { get; set; }

    /// <summary>Bytes of device memory there are.</summary>
    public long MemorySize => _memorySize;

    /// <summary>Bytes of memory that nobody uses, as far as the device can tell.</summary>
    public long FreeMemory => _freeMemory?.Invoke() ?? (_memorySize - AllocatedBytes);

    /// <summary>Bytes of device memory in use, without what was given back.</summary>
    public long AllocatedBytes { get; private set; }

    /// <summary>The most that <see cref="AllocatedBytes"/> ever was.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>
    /// Whether a test for zero saves the multiply-adds behind it. NVIDIA's compiler turns the test into predicates, and every instruction
    /// is issued all the same (docs/kernels.md).
    /// </summary>
    public bool SkipsZeros { get; init; } = true;

    /// <summary>How dense products are computed on tensor cores; null on a device without them.</summary>
    public GpuPrecision? TensorPrecision { get; set; }

    /// <summary>Threads of a group that works on single entries.</summary>
    public int ElementThreads => _elementThreads;

    /// <summary>Whether it takes no memory and runs no kernels: what would be written to it need not be made.</summary>
    public bool OnlyCounts => _accelerator is null;

    /// <summary>A device that works the same way, but only counts.</summary>
    public GpuDevice CreateCounter() =>
        new(null, null, _memorySize, WarpSize, _rowThreads, _elementThreads) { SkipsZeros = SkipsZeros, TensorPrecision = TensorPrecision };

    /// <summary>False for a device that counts for an engine that is no GPU: whatever that engine takes is counted.</summary>
    public bool HasLimits { get; init; } = true;

    /// <param name="limit">The most that the kernels are made for.</param>
    /// <param name="actual">What is asked of them.</param>
    /// <param name="what">The beginning of a sentence, with {0} for <paramref name="actual"/>.</param>
    /// <exception cref="BadInputException">It is more.</exception>
    public void RequireAtMost(int limit, int actual, string what)
    {
        if (HasLimits && actual > limit)
        {
            throw new BadInputException(
                string.Format(
                    System.Globalization.CultureInfo.InvariantCulture,
                    what + " too wide for the GPU engine, which takes at most {1}. Use the device cpu.",
                    actual,
                    limit
                )
            );
        }
    }

    /// <summary>Threads of a group that works on one row of so many entries: a power of two.</summary>
    /// <param name="width">Entries of the row.</param>
    /// <param name="entriesOfThread">How many a thread should have, as long as there are no more than the maximum of threads.</param>
    /// <param name="maximum">Threads at most, from the device's own number of threads that run in step.</param>
    public int RowThreads(int width, int entriesOfThread = 4, int maximum = GroupReduction.MaximumThreads)
    {
        if (_rowThreads > 0)
        {
            return _rowThreads;
        }

        int threads = Math.Clamp(WarpSize, 1, maximum);
        while (threads < maximum && threads * entriesOfThread < width)
        {
            threads *= 2;
        }

        return threads;
    }

    /// <summary>Puts a launch off until anything else is handed to the device.</summary>
    public void Hold(IHeldLaunch launch)
    {
        RunHeld();
        _held = launch;
    }

    /// <summary>Hands over the launch that is held, if it is of this kind and the operation at hand can take it on; else null.</summary>
    public T? TakeHeld<T>(Predicate<T> fits)
        where T : class, IHeldLaunch
    {
        if (_held is not T held || !fits(held))
        {
            return null;
        }

        _held = null;
        return held;
    }

    /// <summary>Starts the launch that is held.</summary>
    public void RunHeld()
    {
        if (_held is { } held)
        {
            _held = null;
            held.Launch(this);
        }
    }

    /// <summary>Zeroed memory. Waits if memory was given back, so that its place can be taken.</summary>
    /// <param name="name">What it holds, for the message when there is no room.</param>
    /// <exception cref="BadInputException">It does not fit.</exception>
    public unsafe DeviceMemory<T> Allocate<T>(string name, long length)
        where T : unmanaged
    {
        RunHeld();
        long bytes = length * sizeof(T);
        if (_givenBack.Count > 0)
        {
            Wait();
        }

        MemoryBuffer? buffer;
        try
        {
            buffer = _accelerator?.AllocateRaw(Math.Max(length, 1), sizeof(T));
        }
        catch (Exception exception) when (exception is not OutOfMemoryException || bytes > 0)
        {
            throw new BadInputException(
                $"The device has no room for {name}: {NumberText.Megabytes(bytes)} more are needed, "
                    + $"{NumberText.Megabytes(AllocatedBytes)} of {NumberText.Megabytes(_memorySize)} are in use "
                    + $"({DeviceError.Describe(exception)}). Use more batch parts, or a smaller batch, context or model."
            );
        }

        long taken = buffer?.LengthInBytes ?? (Math.Max(length, 1) * sizeof(T));
        AllocatedBytes += taken;
        PeakBytes = Math.Max(PeakBytes, AllocatedBytes);
        var memory = new DeviceMemory<T>(this, buffer, length, taken);
        Clear(memory.View);
        return memory;
    }

    /// <summary>Memory for use within one operation: what it holds is undefined. Grows when more is asked for, and is kept.</summary>
    /// <param name="use">Names workspaces that are in use at the same time.</param>
    public ArrayView<T> Workspace<T>(string use, int length)
        where T : unmanaged
    {
        (Type, string) key = (typeof(T), use);
        if (_workspaces.TryGetValue(key, out (IDisposable Memory, int Length) workspace) && workspace.Length >= length)
        {
            return ((DeviceMemory<T>)workspace.Memory).View;
        }

        workspace.Memory?.Dispose();
        _workspaces.Remove(key);
        DeviceMemory<T> memory = Allocate<T>("workspace of " + use, length);
        _workspaces[key] = (memory, length);
        return memory.View;
    }

    /// <summary>Overwrites device memory with zeros.</summary>
    public void Clear<T>(ArrayView<T> target)
        where T : unmanaged
    {
        RunHeld();
        if (_accelerator is not null && target.Length > 0)
        {
            target.MemSetToZero();
        }
    }

    /// <summary>Copies device memory to device memory of the same length.</summary>
    public void Copy<T>(ArrayView<T> source, ArrayView<T> target)
        where T : unmanaged
    {
        RunHeld();
        if (_accelerator is not null)
        {
            source.CopyTo(target);
        }
    }

    /// <summary>
    /// Overwrites the beginning of device memory; the values are taken before this returns, but it waits only if many are on their way.
    /// </summary>
    public unsafe void Write<T>(ArrayView<T> target, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        const int Alignment = 16;
        RunHeld();
        if (_accelerator is null)
        {
            return;
        }

        long bytes = (long)values.Length * sizeof(T);
        if (values.IsEmpty || bytes > StagingBytes)
        {
            target.CopyFromCPU(values);
            HasWaited();
            return;
        }

        if (_staged + bytes > StagingBytes)
        {
            Wait();
        }

        _staging ??= _accelerator.AllocatePageLocked1D<byte>(StagingBytes, true);
        Span<byte> place = _staging.Span.Slice(_staged, (int)bytes);
        MemoryMarshal.AsBytes(values).CopyTo(place);
        target.CopyFromCPUUnsafeAsync(ref Unsafe.As<byte, T>(ref MemoryMarshal.GetReference(place)), values.Length);
        _staged += ((int)bytes + Alignment - 1) / Alignment * Alignment;
    }

    /// <summary>Reads the beginning of device memory; waits for all that was started before.</summary>
    public void Read<T>(ArrayView<T> source, Span<T> values)
        where T : unmanaged
    {
        RunHeld();
        if (_accelerator is null)
        {
            values.Clear();
            return;
        }

        source.CopyToCPU(values);
        HasWaited();
    }

    /// <summary>One thread for each entry; the kernel must check that it is inside.</summary>
    /// <param name="entries">Of each part.</param>
    /// <param name="kernel">The kernel.</param>
    /// <param name="parts">Which it finds in Grid.IdxY.</param>
    public void LaunchForEach<TKernel>(int entries, TKernel kernel, int parts = 1)
        where TKernel : struct, IKernel => Launch((entries + _elementThreads - 1) / _elementThreads, parts, _elementThreads, kernel);

    /// <summary>Starts a kernel behind those started before.</summary>
    public void Launch<TKernel>(int gridX, int gridY, int threads, TKernel kernel)
        where TKernel : struct, IKernel
    {
        RunHeld();
        if (_accelerator is null)
        {
            return;
        }

        if (!_kernels.TryGetValue(typeof(TKernel), out Delegate? launcher))
        {
            launcher = Load<TKernel>(_accelerator);
            _kernels.Add(typeof(TKernel), launcher);
        }

        var launch = (Action<KernelConfig, TKernel>)launcher;
        var config = new KernelConfig(gridX, gridY, 1, threads, 1, 1);
        if (KernelTimes is null)
        {
            launch(config, kernel);
            return;
        }

        Wait();
        long started = Stopwatch.GetTimestamp();
        launch(config, kernel);
        Wait();
        KernelTimes.Add(typeof(TKernel), Stopwatch.GetTimestamp() - started);
    }

    /// <summary>Waits until all that was started is done.</summary>
    public void Wait()
    {
        RunHeld();
        _accelerator?.Synchronize();
        HasWaited();
    }

    public void Dispose()
    {
        _held = null;
        foreach ((IDisposable memory, _) in _workspaces.Values)
        {
            memory.Dispose();
        }

        Wait();
        _staging?.Dispose();
        _accelerator?.Dispose();
        _context?.Dispose();
    }

    internal void Free(MemoryBuffer? buffer, long bytes)
    {
        AllocatedBytes -= bytes;
        if (buffer is not null)
        {
            _givenBack.Add(buffer);
        }
    }

    /// <exception cref="BadInputException">The device's compiler refuses the kernel.</exception>
    private static Action<KernelConfig, TKernel> Load<TKernel>(Accelerator accelerator)
        where TKernel : struct, IKernel
    {
        using var log = new TraceLog();
        try
        {
            return accelerator.LoadStreamKernel<TKernel>(KernelEntry.Run);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            throw new BadInputException(
                $"Kernel {NameOf(typeof(TKernel))} cannot be compiled for this device: {log.Explain(exception)}. Use another device, "
                    + $"or cpu."
            );
        }
    }

    /// <summary>A kernel as it stands in the sources: its operation and its own name.</summary>
    private static string NameOf(Type kernel) => $"{kernel.DeclaringType?.Name}.{kernel.Name.Split('`')[0]}";

    private void HasWaited()
    {
        _staged = 0;
        _givenBack.ForEach(buffer => buffer.Dispose());
        _givenBack.Clear();
    }
}
