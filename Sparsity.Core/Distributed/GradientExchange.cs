using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Distributed;

/// <summary>
/// Sums gradients over ranks while the backward pass goes on. Gradients leave in buckets, as the sublayers finish them; a thread sends each part of a bucket to the
/// rank that adds it up, in the order of ranks, and collects the sums. So the bits depend on the number of ranks and on nothing else: not on the MPI library, its
/// choice of algorithm, or who comes first. Each rank sends 2 (N-1)/N of the gradient's bytes, as much as the ring algorithm does.
/// </summary>
public sealed class GradientExchange : IDisposable
{
    /// <summary>A bucket is closed at so many numbers, 4 MiB: large enough that the latency of a network does not count, small enough that the first leave early.</summary>
    private const int FullBucket = 1 << 20;

    private readonly IComputeEngine _engine;
    private readonly IProcessGroup _group;
    private readonly Entry[] _entries;
    private readonly float[][] _buckets;
    private readonly float[] _received;
    private readonly SemaphoreSlim _filled = new(0);
    private readonly SemaphoreSlim _summed = new(0);
    private readonly Thread _thread;
    private int _next;
    private int _unfinished;
    private volatile Exception? _failure;
    private volatile bool _stopping;

    /// <param name="engine">Where the gradients are.</param>
    /// <param name="group">Who sums.</param>
    /// <param name="trained">All have gradients; the same on every rank.</param>
    public GradientExchange(IComputeEngine engine, IProcessGroup group, IEnumerable<Parameter> trained)
    {
        _engine = engine;
        _group = group;
        Parameter[] inOrder = [.. trained.OrderByDescending(parameter => parameter.Spec.Sublayer)];
        _entries = new Entry[inOrder.Length];
        var lengths = new List<int>();
        int length = 0;
        for (int i = 0; i < inOrder.Length; i++)
        {
            bool isLast = i == inOrder.Length - 1 || length + inOrder[i].Spec.Length >= FullBucket;
            _entries[i] = new Entry(inOrder[i].Spec.Sublayer, inOrder[i].Gradient!, lengths.Count, length, isLast);
            length += inOrder[i].Spec.Length;
            if (isLast)
            {
                lengths.Add((length + group.Size - 1) / group.Size * group.Size); // an equal part for each rank
                length = 0;
            }
        }

        _buckets = [.. lengths.Select(count => GC.AllocateArray<float>(count, pinned: true))];
        _received = GC.AllocateArray<float>(lengths.Max(), pinned: true);
        _thread = new Thread(Work) { IsBackground = true, Name = "gradient exchange" };
        _thread.Start();
    }

    /// <summary>Time for which <see cref="Complete"/> waited for other ranks and the network.</summary>
    public TimeSpan Waited { get; private set; }

    /// <summary>Says that the gradients of a sublayer, and of those after it, will not change any more in this step.</summary>
    /// <param name="sublayer">As <see cref="ParameterSpec.Sublayer"/>.</param>
    public void Finished(int sublayer)
    {
        for (; _next < _entries.Length && _entries[_next].Sublayer >= sublayer; _next++)
        {
            Entry entry = _entries[_next];
            _engine.Read(entry.Gradient, _buckets[entry.Bucket].AsSpan(entry.Start, entry.Gradient.Length));
            if (entry.IsLast)
            {
                Interlocked.Increment(ref _unfinished);
                _filled.Release();
            }
        }
    }

    /// <summary>Overwrites all gradients with their sums over ranks.</summary>
    public void Complete()
    {
        Finished(int.MinValue);
        foreach (Entry entry in _entries)
        {
            if (entry.Start == 0)
            {
                long started = Stopwatch.GetTimestamp();
                _summed.Wait();
                Waited += Stopwatch.GetElapsedTime(started);
                if (_failure is { } failure)
                {
                    throw new AggregateException(failure);
                }
            }

            _engine.Write(entry.Gradient, _buckets[entry.Bucket].AsSpan(entry.Start, entry.Gradient.Length));
        }

        _next = 0;
    }

    public void Dispose()
    {
        _stopping = true;
        if (Volatile.Read(ref _unfinished) == 0)
        {
            _filled.Release();
            _thread.Join();
            _filled.Dispose();
            _summed.Dispose();
        }

        // Else a step was given up on an error, and the others may never answer: the thread ends with the process.
    }

    private void Work()
    {
        for (int bucket = 0; ; bucket = (bucket + 1) % _buckets.Length)
        {
            _filled.Wait();
            if (_stopping)
            {
                return;
            }

            try
            {
                Sum(_buckets[bucket]);
            }
#pragma warning disable CA1031 // Complete throws it again.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                _failure = failure;
            }

            Interlocked.Decrement(ref _unfinished);
            _summed.Release();
        }
    }

    private void Sum(float[] bucket)
    {
        Span<float> received = _received.AsSpan(0, bucket.Length);
        _group.AllToAll(MemoryMarshal.AsBytes<float>(bucket), MemoryMarshal.AsBytes(received));
        int part = bucket.Length / _group.Size;
        Span<float> sum = received[..part];
        for (int rank = 1; rank < _group.Size; rank++)
        {
            Add(sum, received.Slice(rank * part, part));
        }

        _group.AllGather(MemoryMarshal.AsBytes(sum), MemoryMarshal.AsBytes(bucket.AsSpan()));
    }

    private static void Add(Span<float> sum, ReadOnlySpan<float> values)
    {
        int i = 0;
        for (; i <= sum.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            (new Vector<float>(sum[i..]) + new Vector<float>(values[i..])).CopyTo(sum[i..]);
        }

        for (; i < sum.Length; i++)
        {
            sum[i] += values[i];
        }
    }

    /// <param name="Bucket">Its place in the buckets, whose numbers from <paramref name="Start"/> on are its own.</param>
    /// <param name="IsLast">Whether the bucket is full with it.</param>
    private sealed record Entry(int Sublayer, WeightTensor Gradient, int Bucket, int Start, bool IsLast);
}
