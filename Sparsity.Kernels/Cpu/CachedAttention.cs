using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// <see cref="Attention"/> for the tokens of generation, whose predecessors' keys and values are remembered. A query is one token, so
/// sixteen keys share a vector in the scores and sixteen channels in the sum of values. Sums run in the order of <see cref="Attention"/>:
/// both give the same bits.
/// </summary>
internal static unsafe class CachedAttention
{
    private const int Lanes = CpuActivations.VectorLanes;
    private const int HeadsOfItem = 4;
    private const int Chains = 4;

    /// <summary>Scores times channels below which waking the other threads costs more than they save.</summary>
    private const long WorthThreads = 1 << 18;

    /// <summary>Overwrites the cache's places position .. position + T - 1, and output [B,T,H*Dh].</summary>
    public static void Forward(
        WorkerPool pool,
        CpuActivations query,
        CpuActivations key,
        CpuActivations value,
        int heads,
        CpuWeights? sink,
        CpuKeyValueCache cache,
        int position,
        CpuActivations output
    )
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position + query.Tokens, cache.Tokens);
        var job = new ForwardJob(pool, query, key, value, heads, sink is null ? null : sink.Data, cache, position, output);
        foreach (CpuActivations activations in (ReadOnlySpan<CpuActivations>)[query, key, value, output])
        {
            activations.Token(0, 0, out _); // where the numbers are is settled before the threads share them
        }

        int items = query.Sequences * ((heads + HeadsOfItem - 1) / HeadsOfItem);
        if ((long)query.Channels * query.Tokens * (position + query.Tokens) >= WorthThreads)
        {
            pool.Run(items, job);
            return;
        }

        for (int item = 0; item < items; item++)
        {
            job.Execute(item, 0);
        }
    }

    /// <summary>An item is four heads of one sequence.</summary>
    private readonly struct ForwardJob(
        WorkerPool pool,
        CpuActivations query,
        CpuActivations key,
        CpuActivations value,
        int heads,
        float* sink,
        CpuKeyValueCache cache,
        int position,
        CpuActivations output
    ) : IParallelJob
    {
        /// <summary>Scores of one head.</summary>
        private readonly int _room = (cache.Tokens + Lanes - 1) / Lanes * Lanes;

        public void Execute(int item, int worker)
        {
            int groups = (heads + HeadsOfItem - 1) / HeadsOfItem;
            int sequence = item / groups;
            int firstHead = item % groups * HeadsOfItem;
            int count = Math.Min(HeadsOfItem, heads - firstHead);
            int channels = query.Channels / heads;
            int rounded = (channels + Lanes - 1) / Lanes * Lanes;
            float* scores = pool.Scratch(worker, (HeadsOfItem * _room) + (2 * rounded));
            float* q = scores + (HeadsOfItem * _room);
            int* channelOf = (int*)(q + rounded);
            float* sums = stackalloc float[HeadsOfItem];
            for (int t = 0; t < query.Tokens; t++)
            {
                int tile = (sequence * query.TilesPerSequence) + (t / query.Width);
                int lane = t % query.Width;
                int place = position + t;
                Remember(sequence, place, tile, lane, firstHead * channels, (firstHead + count) * channels);
                float* queries = query.Token(tile, lane, out int stride);
                for (int head = 0; head < count; head++)
                {
                    // AbsTopK leaves most of a query zero: only its other channels take part.
                    int first = (firstHead + head) * channels;
                    int taking = 0;
                    for (int d = first; d < first + channels; d++)
                    {
                        float entry = queries[(long)d * stride];
                        if (entry != 0)
                        {
                            q[taking] = entry;
                            channelOf[taking++] = d;
                        }
                    }

                    sums[head] = Exponentials(
                        sequence,
                        firstHead + head,
                        channels,
                        place + 1,
                        scores + (head * _room),
                        q,
                        channelOf,
                        taking
                    );
                }

                AddUp(scores, place + 1, sums);
                int chunks = (channels + Lanes - 1) / Lanes;
                for (int chain = 0; chain < count * chunks; chain += Chains)
                {
                    WeighValues(
                        sequence,
                        firstHead,
                        chain,
                        count * chunks,
                        channels,
                        place + 1,
                        scores,
                        sums,
                        output.Token(tile, lane, out _),
                        stride
                    );
                }
            }
        }

        private void Remember(int sequence, int place, int tile, int lane, int first, int end)
        {
            float* keys = key.Token(tile, lane, out int stride);
            float* values = value.Token(tile, lane, out _);
            float* cachedKey = cache.Keys(sequence, place / Lanes, 0) + (place % Lanes);
            float* cachedValue = cache.Value(sequence, place);
            for (int d = first; d < end; d++)
            {
                cachedKey[(long)d * Lanes] = keys[(long)d * stride];
                cachedValue[d] = values[(long)d * stride];
            }
        }

        /// <summary>Overwrites scores with exp(score - maximum), 0 beyond the keys; returns the sink's.</summary>
        private float Exponentials(int sequence, int head, int channels, int keys, float* scores, float* q, int* channelOf, int count)
        {
            Vector512<float> scale = Vector512.Create(Attention.Scale(channels));
            Vector512<float> maxima = Vector512.Create(sink == null ? float.NegativeInfinity : sink[head]);
            for (int j = 0; j < keys; j += Lanes)
            {
                float* k = cache.Keys(sequence, j / Lanes, 0);
                Vector512<float> s = default;
                for (int i = 0; i < count; i++)
                {
                    s = Vector512.MultiplyAddEstimate(Vector512.Create(q[i]), Vector512.Load(k + ((long)channelOf[i] * Lanes)), s);
                }

                s *= scale;
                if (j + Lanes > keys)
                {
                    Vector512<int> place = Vector512.Create(j) + Vector512<int>.Indices;
                    s = Vector512.ConditionalSelect(
                        Vector512.LessThan(place, Vector512.Create(keys)).AsSingle(),
                        s,
                        Vector512.Create(float.NegativeInfinity)
                    );
                }

                maxima = Vector512.Max(maxima, s);
                s.Store(scores + j);
            }

            float maximum = float.NegativeInfinity;
            for (int lane = 0; lane < Lanes; lane++)
            {
                maximum = MathF.Max(maximum, maxima[lane]);
            }

            for (int j = 0; j < keys; j += Lanes)
            {
                VectorMath.Exp(Vector512.Load(scores + j) - Vector512.Create(maximum)).Store(scores + j);
            }

            return sink == null ? 0 : VectorMath.Exp(Vector512.Create(sink[head]) - Vector512.Create(maximum))[0];
        }

        /// <summary>
        /// Adds the keys' exponentials of each head, in order, to its sum; heads side by side, as each addition waits for the one before.
        /// </summary>
        private void AddUp(float* scores, int keys, float* sums)
        {
            (float s0, float s1, float s2, float s3) = (sums[0], sums[1], sums[2], sums[3]);
            for (int j = 0; j < keys; j++, scores++)
            {
                s0 += scores[0];
                s1 += scores[_room];
                s2 += scores[2 * _room];
                s3 += scores[3 * _room];
            }

            (sums[0], sums[1], sums[2], sums[3]) = (s0, s1, s2, s3);
        }

        /// <summary>
        /// Overwrites up to four vectors of the token's output, each of a head, side by side; keys come in blocks of 16, the even and the
        /// odd ones of a block in sums of their own.
        /// </summary>
        private void WeighValues(
            int sequence,
            int firstHead,
            int firstChain,
            int chains,
            int channels,
            int keys,
            float* scores,
            float* sums,
            float* outputs,
            int stride
        )
        {
            // A missing chain repeats the last. The last vector of a head reads into what follows it, or the padding behind the last: lanes
            // that are not stored.
            int chunks = (channels + Lanes - 1) / Lanes;
            float** v = stackalloc float*[Chains];
            float** weights = stackalloc float*[Chains];
            for (int i = 0; i < Chains; i++)
            {
                int chain = Math.Min(firstChain + i, chains - 1);
                v[i] = cache.Value(sequence, 0) + ((firstHead + (chain / chunks)) * channels) + (chain % chunks * Lanes);
                weights[i] = scores + (chain / chunks * _room);
            }

            float* v0 = v[0],
                v1 = v[1],
                v2 = v[2],
                v3 = v[3];
            float* w0 = weights[0],
                w1 = weights[1],
                w2 = weights[2],
                w3 = weights[3];
            Vector512<float> y0 = default,
                y1 = default,
                y2 = default,
                y3 = default;
            for (int block = 0; block < keys; block += Lanes)
            {
                Vector512<float> odd0 = default,
                    odd1 = default,
                    odd2 = default,
                    odd3 = default;
                int end = Math.Min(block + Lanes, keys);
                for (int j = block; j < end; j += 2)
                {
                    long even = (long)j * cache.Channels;
                    y0 = Vector512.MultiplyAddEstimate(Vector512.Create(w0[j]), Vector512.Load(v0 + even), y0);
                    y1 = Vector512.MultiplyAddEstimate(Vector512.Create(w1[j]), Vector512.Load(v1 + even), y1);
                    y2 = Vector512.MultiplyAddEstimate(Vector512.Create(w2[j]), Vector512.Load(v2 + even), y2);
                    y3 = Vector512.MultiplyAddEstimate(Vector512.Create(w3[j]), Vector512.Load(v3 + even), y3);
                    if (j + 1 < end)
                    {
                        long next = even + cache.Channels;
                        odd0 = Vector512.MultiplyAddEstimate(Vector512.Create(w0[j + 1]), Vector512.Load(v0 + next), odd0);
                        odd1 = Vector512.MultiplyAddEstimate(Vector512.Create(w1[j + 1]), Vector512.Load(v1 + next), odd1);
                        odd2 = Vector512.MultiplyAddEstimate(Vector512.Create(w2[j + 1]), Vector512.Load(v2 + next), odd2);
                        odd3 = Vector512.MultiplyAddEstimate(Vector512.Create(w3[j + 1]), Vector512.Load(v3 + next), odd3);
                    }
                }

                y0 += odd0;
                y1 += odd1;
                y2 += odd2;
                y3 += odd3;
            }

            for (int i = 0; i < Math.Min(Chains, chains - firstChain); i++)
            {
                int head = (firstChain + i) / chunks;
                int start = (firstChain + i) % chunks * Lanes;
                Vector512<float> y =
                    (
                        i switch
                        {
                            0 => y0,
                            1 => y1,
                            2 => y2,
                            _ => y3,
                        }
                    ) * Vector512.Create(1f / sums[head]);
                float* target = outputs + ((long)(((firstHead + head) * channels) + start) * stride);
                for (int d = 0; d < Math.Min(Lanes, channels - start); d++)
                {
                    target[(long)d * stride] = y[d];
                }
            }
        }
    }
}

/// <summary>
/// Keys in tiles of 16 tokens, [sequence][tile][channel][lane], for the scores; values in rows, [sequence][token][channel], for their
/// weighted sum.
/// </summary>
internal sealed unsafe class CpuKeyValueCache : KeyValueCache
{
    private const int Lanes = CpuActivations.VectorLanes;

    private readonly AlignedMemory _keys;
    private readonly AlignedMemory _values;
    private readonly int _tiles;

    public CpuKeyValueCache(string name, int sequences, int tokens, int channels)
        : base(name, sequences, tokens, channels)
    {
        _tiles = (tokens + Lanes - 1) / Lanes;
        _keys = new AlignedMemory((long)sequences * _tiles * Lanes * channels * sizeof(float));
        _values = new AlignedMemory((((long)sequences * tokens * channels) + Lanes) * sizeof(float));
    }

    /// <summary>A channel's keys of 16 tokens.</summary>
    public float* Keys(int sequence, int tile, int channel) =>
        (float*)_keys.Pointer + (((((long)sequence * _tiles) + tile) * Channels) + channel) * Lanes;

    /// <summary>A token's values, channel by channel.</summary>
    public float* Value(int sequence, int token) => (float*)_values.Pointer + ((((long)sequence * Tokens) + token) * Channels);

    protected override void Dispose(bool disposing)
    {
        _keys.Dispose();
        _values.Dispose();
    }
}
