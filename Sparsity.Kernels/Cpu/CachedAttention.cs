using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// <see cref="Attention"/> for the tokens of generation, whose predecessors' keys and values are remembered. A query is one token, so sixteen keys share a
/// vector in the scores and sixteen channels in the sum of values. Sums run in the order of <see cref="Attention"/>: both give the same bits.
/// </summary>
internal static unsafe class CachedAttention
{
    private const int Lanes = CpuActivations.VectorLanes;

    /// <summary>Scores times channels below which waking the other threads costs more than they save.</summary>
    private const long WorthThreads = 1 << 18;

    /// <summary>Overwrites the cache's places position .. position + T - 1, and output [B,T,H*Dh].</summary>
    public static void Forward(
        WorkerPool pool, CpuActivations query, CpuActivations key, CpuActivations value, int heads, CpuWeights? sink, CpuKeyValueCache cache, int position, CpuActivations output)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position + query.Tokens, cache.Tokens);
        var job = new ForwardJob(pool, query, key, value, heads, sink is null ? null : sink.Data, cache, position, output);
        foreach (CpuActivations activations in (ReadOnlySpan<CpuActivations>)[query, key, value, output])
        {
            activations.Token(0, 0, out _); // where the numbers are is settled before the threads share them
        }

        if ((long)query.Channels * query.Tokens * (position + query.Tokens) >= WorthThreads)
        {
            pool.Run(query.Sequences * heads, job);
            return;
        }

        for (int item = 0; item < query.Sequences * heads; item++)
        {
            job.Execute(item, 0);
        }
    }

    /// <summary>An item is one head of one sequence.</summary>
    private readonly struct ForwardJob(
        WorkerPool pool, CpuActivations query, CpuActivations key, CpuActivations value, int heads, float* sink, CpuKeyValueCache cache, int position, CpuActivations output)
        : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int sequence = item / heads;
            int head = item % heads;
            int channels = query.Channels / heads;
            int first = head * channels;
            int width = query.Width;
            int rounded = (channels + Lanes - 1) / Lanes * Lanes;
            float* scores = pool.Scratch(worker, ((cache.Tokens + Lanes - 1) / Lanes * Lanes) + (2 * rounded));
            float* q = scores + ((cache.Tokens + Lanes - 1) / Lanes * Lanes);
            int* channelOf = (int*)(q + rounded);
            for (int t = 0; t < query.Tokens; t++)
            {
                int tile = (sequence * query.TilesPerSequence) + (t / width);
                int lane = t % width;
                int place = position + t;
                float* queries = query.Token(tile, lane, out int stride);
                float* keys = key.Token(tile, lane, out _);
                float* values = value.Token(tile, lane, out _);
                float* cachedValue = cache.Value(sequence, place);
                for (int d = first; d < first + channels; d++)
                {
                    cache.Keys(sequence, place / Lanes, d)[place % Lanes] = keys[(long)d * stride];
                    cachedValue[d] = values[(long)d * stride];
                }

                // AbsTopK leaves most of a query zero: only its other channels take part.
                int count = 0;
                for (int d = first; d < first + channels; d++)
                {
                    float entry = queries[(long)d * stride];
                    if (entry != 0)
                    {
                        q[count] = entry;
                        channelOf[count++] = d;
                    }
                }

                float reciprocal = Softmax(sequence, head, channels, place + 1, scores, q, channelOf, count);
                WeighValues(sequence, first, channels, place + 1, scores, reciprocal, output.Token(tile, lane, out _), stride);
            }
        }

        /// <summary>Overwrites scores with exp(score - maximum); returns one over their sum.</summary>
        private float Softmax(int sequence, int head, int channels, int keys, float* scores, float* q, int* channelOf, int count)
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
                    s = Vector512.ConditionalSelect(Vector512.LessThan(place, Vector512.Create(keys)).AsSingle(), s, Vector512.Create(float.NegativeInfinity));
                }

                maxima = Vector512.Max(maxima, s);
                s.Store(scores + j);
            }

            float maximum = float.NegativeInfinity;
            for (int lane = 0; lane < Lanes; lane++)
            {
                maximum = MathF.Max(maximum, maxima[lane]);
            }

            float sum = sink == null ? 0 : VectorMath.Exp(Vector512.Create(sink[head]) - Vector512.Create(maximum))[0];
            for (int j = 0; j < keys; j += Lanes)
            {
                VectorMath.Exp(Vector512.Load(scores + j) - Vector512.Create(maximum)).Store(scores + j);
                int end = Math.Min(j + Lanes, keys);
                for (int i = j; i < end; i++)
                {
                    sum += scores[i];
                }
            }

            return 1f / sum;
        }

        /// <summary>Overwrites the token's output; keys come in blocks of 16, the even and the odd ones of a block in sums of their own.</summary>
        private void WeighValues(int sequence, int first, int channels, int keys, float* scores, float reciprocal, float* outputs, int stride)
        {
            float* values = cache.Value(sequence, 0) + first;
            for (int start = 0; start < channels; start += Lanes)
            {
                // The last vector of a row reads into the next row, or the padding behind the last: lanes that are not stored.
                float* v = values + start;
                Vector512<float> y = default;
                for (int block = 0; block < keys; block += Lanes)
                {
                    Vector512<float> odd = default;
                    int end = Math.Min(block + Lanes, keys);
                    for (int j = block; j < end; j += 2)
                    {
                        y = Vector512.MultiplyAddEstimate(Vector512.Create(scores[j]), Vector512.Load(v + ((long)j * cache.Channels)), y);
                        if (j + 1 < end)
                        {
                            odd = Vector512.MultiplyAddEstimate(Vector512.Create(scores[j + 1]), Vector512.Load(v + ((j + 1L) * cache.Channels)), odd);
                        }
                    }

                    y += odd;
                }

                y *= Vector512.Create(reciprocal);
                for (int d = 0; d < Math.Min(Lanes, channels - start); d++)
                {
                    outputs[(long)(first + start + d) * stride] = y[d];
                }
            }
        }
    }
}

/// <summary>Keys in tiles of 16 tokens, [sequence][tile][channel][lane], for the scores; values in rows, [sequence][token][channel], for their weighted sum.</summary>
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
    public float* Keys(int sequence, int tile, int channel) => (float*)_keys.Pointer + (((((long)sequence * _tiles) + tile) * Channels) + channel) * Lanes;

    /// <summary>A token's values, channel by channel.</summary>
    public float* Value(int sequence, int token) => (float*)_values.Pointer + ((((long)sequence * Tokens) + token) * Channels);

    protected override void Dispose(bool disposing)
    {
        _keys.Dispose();
        _values.Dispose();
    }
}
