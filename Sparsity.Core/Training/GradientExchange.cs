using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using Sparsity.Core.Distributed;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>
/// Sums gradients over the parts of a batch that several ranks compute, while the backward passes go on. Gradients leave in buckets, as the
/// sublayers finish them; a thread sends each piece of a bucket to the rank that adds it up, and after the last part collects the sums. So
/// the bits depend on nothing but the parts: not on the number of ranks, the MPI library, its choice of algorithm, or who comes first. Each
/// rank sends (N-1)/N of the gradient's bytes for each of its parts and once more for the sums: with one part, as much as the ring
/// algorithm does.
/// </summary>
internal sealed class GradientExchange : IGradientSum
{
    /// <summary>
    /// A bucket is closed at so many numbers, 4 MiB: large enough that the latency of a network does not count, small enough that the first
    /// leave early.
    /// </summary>
    private const int FullBucket = 1 << 20;

    private readonly IComputeEngine _engine;
    private readonly IProcessGroup _group;
    private readonly int _parts;
    private readonly Entry[] _entries;
    private readonly float[][] _buckets;
    private readonly float[][] _sums;
    private readonly float[] _received;
    private readonly SemaphoreSlim _filled = new(0);
    private readonly SemaphoreSlim _summed = new(0);
    private readonly Thread _thread;
    private int _part;
    private int _next;
    private int _unfinished;
    private volatile Exception? _failure;
    private volatile bool _stopping;

    /// <param name="engine">Where the gradients are.</param>
    /// <param name="group">Who sums.</param>
    /// <param name="parts">Of each rank.</param>
    /// <param name="trained">All have gradients; the same on every rank.</param>
    public GradientExchange(IComputeEngine engine, IProcessGroup group, int parts, IEnumerable<Parameter> trained)
    {
        _engine = engine;
        _group = group;
        _parts = parts;
        int ranks = group.Size;
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
                lengths.Add((length + ranks - 1) / ranks * ranks); // an equal piece for each rank
                length = 0;
            }
        }

        _buckets = [.. lengths.Select(count => GC.AllocateArray<float>(count, pinned: true))];
        _sums = [.. lengths.Select(count => GC.AllocateArray<float>(count / ranks, pinned: true))];
        _received = GC.AllocateArray<float>(lengths.Max(), pinned: true);
        _thread = new Thread(Work) { IsBackground = true, Name = "gradient exchange" };
        _thread.Start();
    }

    public TimeSpan Waited { get; private set; }

    public void Finished(int sublayer)
    {
        for (; _next < _entries.Length && _entries[_next].Sublayer >= sublayer; _next++)
        {
            Entry entry = _entries[_next];
            if (entry.Start == 0 && _part > 0)
            {
                Await(); // the part before still lies there
            }

            _engine.Read(entry.Gradient, _buckets[entry.Bucket].AsSpan(entry.Start, entry.Gradient.Length));
            if (_part < _parts - 1)
            {
                _engine.Zero(entry.Gradient);
            }

            if (entry.IsLast)
            {
                Interlocked.Increment(ref _unfinished);
                _filled.Release();
            }
        }

        if (_next == _entries.Length)
        {
            _next = 0;
            _part++;
        }
    }

    public void Complete()
    {
        foreach (Entry entry in _entries)
        {
            if (entry.Start == 0)
            {
                Await();
            }

            _engine.Write(entry.Gradient, _buckets[entry.Bucket].AsSpan(entry.Start, entry.Gradient.Length));
        }

        _part = 0;
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

    /// <summary>Waits for the next bucket, in the order in which they were filled.</summary>
    private void Await()
    {
        long started = Stopwatch.GetTimestamp();
        _summed.Wait();
        Waited += Stopwatch.GetElapsedTime(started);
        if (_failure is { } failure)
        {
            throw new AggregateException(failure);
        }
    }

    private void Work()
    {
        for (int i = 0; ; i = (i + 1) % (_parts * _buckets.Length))
        {
            _filled.Wait();
            if (_stopping)
            {
                return;
            }

            try
            {
                Sum(i / _buckets.Length, i % _buckets.Length);
            }
#pragma warning disable CA1031 // Await throws it again.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                _failure = failure;
            }

            Interlocked.Decrement(ref _unfinished);
            _summed.Release();
        }
    }

    private void Sum(int part, int bucket)
    {
        float[] own = _buckets[bucket];
        float[] sum = _sums[bucket];
        Span<float> received = _received.AsSpan(0, own.Length);
        _group.AllToAll(MemoryMarshal.AsBytes<float>(own), MemoryMarshal.AsBytes(received));
        if (part == 0)
        {
            sum.AsSpan().Clear(); // 0 + x, as in PartSums, even where x is -0
        }

        for (int piece = 0; piece < received.Length; piece += sum.Length)
        {
            Add(sum, received.Slice(piece, sum.Length));
        }

        if (part == _parts - 1)
        {
            _group.AllGather(MemoryMarshal.AsBytes<float>(sum), MemoryMarshal.AsBytes(own.AsSpan()));
        }
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
