using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Work that splits into items, each computed wholly by one thread, so that the result does not depend on how many threads there are.
/// </summary>
internal interface IParallelJob
{
    /// <param name="item">Which item, from 0.</param>
    /// <param name="worker">Which worker runs it, from 0: for scratch memory of its own, never for results.</param>
    void Execute(int item, int worker);
}

/// <summary>
/// A fixed set of threads with a static partition: worker w takes the items w*n/W .. (w+1)*n/W - 1. Jobs are structs on the caller's stack,
/// so running one allocates nothing. The caller is worker 0.
/// </summary>
internal sealed unsafe class WorkerPool : IDisposable
{
    private const int SpinsBeforeSleep = 100;

    private readonly Thread[] _threads;
    private readonly object _gate = new();
    private readonly void*[] _scratch;
    private readonly nuint[] _scratchBytes;
    private delegate* <void*, int, int, int, void> _body;
    private void* _job;
    private int _items;
    private int _generation;
    private int _running;
    private int _sleeping;
    private bool _stopping;
    private Exception? _failure;

    public WorkerPool(int workers)
    {
        Workers = workers;
        _scratch = new void*[workers + 1];
        _scratchBytes = new nuint[workers + 1];
        _threads = new Thread[workers - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            int worker = i + 1;
            _threads[i] = new Thread(() => Work(worker)) { IsBackground = true, Name = $"engine worker {worker}" };
            _threads[i].Start();
        }
    }

    public int Workers { get; }

    /// <summary>Where the time of each kind of job is added up; null for not measuring.</summary>
    public KernelTimes? Times { get; set; }

    /// <summary>Runs every item and returns when all are done.</summary>
    public void Run<TJob>(int items, TJob job)
        where TJob : struct, IParallelJob
    {
        long started = Times is null ? 0 : Stopwatch.GetTimestamp();
        RunAll(items, ref job);
        Times?.Add(typeof(TJob), Stopwatch.GetTimestamp() - started);
    }

    private void RunAll<TJob>(int items, ref TJob job)
        where TJob : struct, IParallelJob
    {
        if (Workers == 1 || items <= 1)
        {
            for (int item = 0; item < items; item++)
            {
                job.Execute(item, 0);
            }

            return;
        }

        _body = &RunItems<TJob>;
        _job = Unsafe.AsPointer(ref job);
        _items = items;
        Volatile.Write(ref _running, _threads.Length);
        Interlocked.Increment(ref _generation);
        if (Volatile.Read(ref _sleeping) > 0)
        {
            lock (_gate)
            {
                Monitor.PulseAll(_gate);
            }
        }

        try
        {
            RunItems<TJob>(_job, 0, items / Workers, 0);
        }
        finally
        {
            var spin = new SpinWait();
            while (Volatile.Read(ref _running) > 0)
            {
                spin.SpinOnce(sleep1Threshold: -1);
            }
        }

        if (Interlocked.Exchange(ref _failure, null) is { } failure)
        {
            throw new AggregateException(failure);
        }
    }

    /// <summary>
    /// At least <paramref name="count"/> floats, 64-byte aligned, that belong to this worker until its item ends; contents undefined.
    /// </summary>
    public float* Scratch(int worker, int count) => Reserve(worker, count);

    /// <summary>
    /// At least <paramref name="count"/> floats, 64-byte aligned, for the caller of <see cref="Run"/> and all items of its job; contents
    /// undefined.
    /// </summary>
    public float* Shared(int count) => Reserve(Workers, count);

    private float* Reserve(int worker, int count)
    {
        nuint bytes = (nuint)count * sizeof(float);
        if (_scratchBytes[worker] < bytes)
        {
            NativeMemory.AlignedFree(_scratch[worker]);
            _scratch[worker] = NativeMemory.AlignedAlloc(bytes, 64);
            _scratchBytes[worker] = bytes;
        }

        return (float*)_scratch[worker];
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
            Interlocked.Increment(ref _generation);
            Monitor.PulseAll(_gate);
        }

        foreach (Thread thread in _threads)
        {
            thread.Join();
        }

        for (int worker = 0; worker < _scratch.Length; worker++)
        {
            NativeMemory.AlignedFree(_scratch[worker]);
            _scratch[worker] = null;
            _scratchBytes[worker] = 0;
        }
    }

    private static void RunItems<TJob>(void* job, int first, int end, int worker)
        where TJob : struct, IParallelJob
    {
        ref TJob typed = ref Unsafe.AsRef<TJob>(job);
        for (int item = first; item < end; item++)
        {
            typed.Execute(item, worker);
        }
    }

    private void Work(int worker)
    {
        int seen = 0;
        while (true)
        {
            Await(seen);
            seen = Volatile.Read(ref _generation);
            if (_stopping)
            {
                return;
            }

            try
            {
                _body(_job, (int)((long)worker * _items / Workers), (int)((worker + 1L) * _items / Workers), worker);
            }
#pragma warning disable CA1031 // It is thrown again by the thread that called Run.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                Interlocked.CompareExchange(ref _failure, failure, null);
            }

            Interlocked.Decrement(ref _running);
        }
    }

    /// <summary>
    /// Waits until the generation differs from <paramref name="seen"/>: briefly by spinning, as jobs follow each other closely, then
    /// asleep.
    /// </summary>
    private void Await(int seen)
    {
        for (int spin = 0; spin < SpinsBeforeSleep; spin++)
        {
            if (Volatile.Read(ref _generation) != seen)
            {
                return;
            }

            Thread.SpinWait(20);
        }

        lock (_gate)
        {
            Interlocked.Increment(ref _sleeping);
            while (Volatile.Read(ref _generation) == seen)
            {
                Monitor.Wait(_gate);
            }

            Interlocked.Decrement(ref _sleeping);
        }
    }
}
