using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Causal attention, optionally with a sink. With s_ij = q_i . k_j / sqrt(Dh), p_ij = exp(s_ij - lse_i), y_i = sum_j p_ij v_j, and the backward
/// dv_j = sum_i p_ij dy_i; ds_ij = p_ij (dy_i . v_j - dy_i . y_i); dq_i = sum_j ds_ij k_j / sqrt(Dh); dk_j = sum_i ds_ij q_i / sqrt(Dh);
/// dsink = -sum_i exp(sink - lse_i) (dy_i . y_i). Sixteen queries (or, for dk and dv, sixteen keys) share a vector; scratch memory is linear in T.
/// </summary>
internal static unsafe class Attention
{
    private const int Lanes = CpuActivations.VectorLanes;

    /// <summary>Overwrites output [B,T,H*Dh] and logSumExp [B,T,H].</summary>
    public static void Forward(
        WorkerPool pool, CpuActivations query, CpuActivations key, CpuActivations value, int heads, CpuWeights? sink, CpuActivations output, CpuActivations logSumExp) =>
        pool.Run(query.Sequences * heads, new ForwardJob(pool, query, key, value, heads, sink is null ? null : sink.Data, output, logSumExp));

    /// <summary>Overwrites the gradients of query, key and value; accumulates into sinkGradient [H].</summary>
    public static void Backward(
        WorkerPool pool, CpuActivations query, CpuActivations key, CpuActivations value, int heads, CpuWeights? sink, CpuActivations output, CpuActivations logSumExp,
        CpuActivations outputGradient, CpuActivations queryGradient, CpuActivations keyGradient, CpuActivations valueGradient, CpuWeights? sinkGradient)
    {
        pool.Run(
            query.Sequences * heads,
            new BackwardJob(pool, query, key, value, heads, output, logSumExp, outputGradient, queryGradient, keyGradient, valueGradient));
        if (sink is not null && sinkGradient is not null)
        {
            pool.Run(heads, new SinkGradientJob(query.Channels / heads, sink.Data, output, logSumExp, outputGradient, sinkGradient.Data));
        }
    }

    public static float Scale(int headChannels) => 1f / MathF.Sqrt(headChannels);

    /// <summary>sum over d of a[d] (one token's channels, a broadcast each) * b[d] (16 tokens).</summary>
    private static Vector512<float> Dot(float* a, int aStride, float* b, int bStride, int channels)
    {
        Vector512<float> s0 = default, s1 = default;
        int d = 0;
        for (; d + 2 <= channels; d += 2)
        {
            s0 = Vector512.FusedMultiplyAdd(Vector512.Create(a[d * aStride]), Vector512.Load(b + (d * bStride)), s0);
            s1 = Vector512.FusedMultiplyAdd(Vector512.Create(a[(d + 1) * aStride]), Vector512.Load(b + ((d + 1) * bStride)), s1);
        }

        if (d < channels)
        {
            s0 = Vector512.FusedMultiplyAdd(Vector512.Create(a[d * aStride]), Vector512.Load(b + (d * bStride)), s0);
        }

        return s0 + s1;
    }

    /// <summary>An item is one head of one sequence.</summary>
    private readonly struct ForwardJob(
        WorkerPool pool, CpuActivations query, CpuActivations key, CpuActivations value, int heads, float* sink, CpuActivations output, CpuActivations logSumExp) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int sequence = item / heads;
            int head = item % heads;
            int channels = query.Channels / heads;
            int width = query.Width;
            int firstTile = sequence * query.TilesPerSequence;
            int length = query.TilesPerSequence * width;
            Vector512<float> scale = Vector512.Create(Scale(channels));
            float* scores = pool.Scratch(worker, length * Lanes);
            for (int start = 0; start < length; start += Lanes)
            {
                int tile = firstTile + (start / width);
                int lane = start % width;
                float* q = query.Lanes(tile, head * channels) + lane;
                Vector512<int> position = Vector512.Create(start) + Vector512<int>.Indices;
                Vector512<float> maximum = sink == null ? Vector512.Create(float.NegativeInfinity) : Vector512.Create(sink[head]);
                int keys = start + Lanes;
                for (int j = 0; j < keys; j++)
                {
                    float* k = key.Lanes(firstTile + (j / width), head * channels) + (j % width);
                    Vector512<float> s = Dot(k, width, q, width, channels) * scale;
                    if (j > start)
                    {
                        s = Vector512.ConditionalSelect(Vector512.LessThan(position, Vector512.Create(j)).AsSingle(), Vector512.Create(float.NegativeInfinity), s);
                    }

                    maximum = Vector512.Max(maximum, s);
                    s.Store(scores + (j * Lanes));
                }

                Vector512<float> sum = sink == null ? default : Vector512.Exp(Vector512.Create(sink[head]) - maximum);
                for (int j = 0; j < keys; j++)
                {
                    Vector512<float> p = Vector512.Exp(Vector512.Load(scores + (j * Lanes)) - maximum);
                    sum += p;
                    p.Store(scores + (j * Lanes));
                }

                (maximum + Vector512.Log(sum)).Store(logSumExp.Lanes(tile, head) + lane);
                Vector512<float> reciprocal = Vector512<float>.One / sum;
                for (int d = 0; d < channels; d++)
                {
                    Vector512<float> y = default;
                    for (int j = 0; j < keys; j++)
                    {
                        y = Vector512.FusedMultiplyAdd(
                            Vector512.Load(scores + (j * Lanes)), Vector512.Create(*(value.Lanes(firstTile + (j / width), (head * channels) + d) + (j % width))), y);
                    }

                    (y * reciprocal).Store(output.Lanes(tile, (head * channels) + d) + lane);
                }
            }
        }
    }

    /// <summary>An item is one head of one sequence: first dq with queries in the lanes, then dk and dv with keys in the lanes.</summary>
    private readonly struct BackwardJob(
        WorkerPool pool, CpuActivations query, CpuActivations key, CpuActivations value, int heads, CpuActivations output, CpuActivations logSumExp,
        CpuActivations outputGradient, CpuActivations queryGradient, CpuActivations keyGradient, CpuActivations valueGradient) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int head = item % heads;
            int channels = query.Channels / heads;
            int first = head * channels;
            int width = query.Width;
            int firstTile = item / heads * query.TilesPerSequence;
            int length = query.TilesPerSequence * width;

            // dy_i . y_i for every query, then a row of sums for each channel of dk and dv.
            float* products = pool.Scratch(worker, length + (2 * channels * Lanes));
            float* sums = products + length;
            for (int start = 0; start < length; start += Lanes)
            {
                QueryGradient(start, head, first, channels, width, firstTile, products, sums);
            }

            for (int start = 0; start < length; start += Lanes)
            {
                KeyAndValueGradient(start, head, first, channels, width, firstTile, length, products, sums);
            }
        }

        private void QueryGradient(int start, int head, int first, int channels, int width, int firstTile, float* products, float* sums)
        {
            int tile = firstTile + (start / width);
            int lane = start % width;
            float* q = query.Lanes(tile, first) + lane;
            float* dy = outputGradient.Lanes(tile, first) + lane;
            float* y = output.Lanes(tile, first) + lane;
            Vector512<float> scale = Vector512.Create(Scale(channels));
            Vector512<float> lse = Vector512.Load(logSumExp.Lanes(tile, head) + lane);
            Vector512<int> position = Vector512.Create(start) + Vector512<int>.Indices;
            Vector512<float> product = default;
            for (int d = 0; d < channels; d++)
            {
                product = Vector512.FusedMultiplyAdd(Vector512.Load(dy + (d * width)), Vector512.Load(y + (d * width)), product);
                Vector512<float>.Zero.Store(sums + (d * Lanes));
            }

            product.Store(products + start);
            for (int j = 0; j < start + Lanes; j++)
            {
                float* k = key.Lanes(firstTile + (j / width), first) + (j % width);
                float* v = value.Lanes(firstTile + (j / width), first) + (j % width);
                Vector512<float> p = Vector512.Exp((Dot(k, width, q, width, channels) * scale) - lse);
                Vector512<float> ds = p * (Dot(v, width, dy, width, channels) - product) * scale;
                ds &= Vector512.GreaterThanOrEqual(position, Vector512.Create(j)).AsSingle();
                for (int d = 0; d < channels; d++)
                {
                    Vector512.FusedMultiplyAdd(ds, Vector512.Create(k[d * width]), Vector512.Load(sums + (d * Lanes))).Store(sums + (d * Lanes));
                }
            }

            for (int d = 0; d < channels; d++)
            {
                Vector512.Load(sums + (d * Lanes)).Store(queryGradient.Lanes(tile, first + d) + lane);
            }
        }

        private void KeyAndValueGradient(int start, int head, int first, int channels, int width, int firstTile, int length, float* products, float* sums)
        {
            int tile = firstTile + (start / width);
            int lane = start % width;
            float* k = key.Lanes(tile, first) + lane;
            float* v = value.Lanes(tile, first) + lane;
            float* valueSums = sums + (channels * Lanes);
            Vector512<float> scale = Vector512.Create(Scale(channels));
            Vector512<int> position = Vector512.Create(start) + Vector512<int>.Indices;
            for (int i = 0; i < 2 * channels * Lanes; i += Lanes)
            {
                Vector512<float>.Zero.Store(sums + i);
            }

            for (int i = start; i < length; i++)
            {
                int queryTile = firstTile + (i / width);
                int queryLane = i % width;
                float* q = query.Lanes(queryTile, first) + queryLane;
                float* dy = outputGradient.Lanes(queryTile, first) + queryLane;
                Vector512<float> p = Vector512.Exp((Dot(q, width, k, width, channels) * scale) - Vector512.Create(logSumExp.Lanes(queryTile, head)[queryLane]));
                p &= Vector512.LessThanOrEqual(position, Vector512.Create(i)).AsSingle();
                Vector512<float> ds = p * (Dot(dy, width, v, width, channels) - Vector512.Create(products[i])) * scale;
                for (int d = 0; d < channels; d++)
                {
                    Vector512.FusedMultiplyAdd(ds, Vector512.Create(q[d * width]), Vector512.Load(sums + (d * Lanes))).Store(sums + (d * Lanes));
                    Vector512.FusedMultiplyAdd(p, Vector512.Create(dy[d * width]), Vector512.Load(valueSums + (d * Lanes))).Store(valueSums + (d * Lanes));
                }
            }

            for (int d = 0; d < channels; d++)
            {
                Vector512.Load(sums + (d * Lanes)).Store(keyGradient.Lanes(tile, first + d) + lane);
                Vector512.Load(valueSums + (d * Lanes)).Store(valueGradient.Lanes(tile, first + d) + lane);
            }
        }
    }

    private readonly struct SinkGradientJob(
        int channels, float* sink, CpuActivations output, CpuActivations logSumExp, CpuActivations outputGradient, float* sinkGradient) : IParallelJob
    {
        public void Execute(int head, int worker)
        {
            Vector512<float> total = default;
            for (int tile = 0; tile < output.Tiles; tile++)
            {
                for (int lane = 0; lane < output.Width; lane += Lanes)
                {
                    Vector512<float> product = default;
                    for (int d = head * channels; d < (head + 1) * channels; d++)
                    {
                        product = Vector512.FusedMultiplyAdd(Vector512.Load(outputGradient.Lanes(tile, d) + lane), Vector512.Load(output.Lanes(tile, d) + lane), product);
                    }

                    total += Vector512.Exp(Vector512.Create(sink[head]) - Vector512.Load(logSumExp.Lanes(tile, head) + lane)) * product;
                }
            }

            sinkGradient[head] -= Vector512.Sum(total);
        }
    }
}
