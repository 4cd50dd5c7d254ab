using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Sparsity.Kernels.Cpu;

/// <summary>
/// Causal attention, optionally with a sink. With s_ij = q_i . k_j / sqrt(Dh), p_ij = exp(s_ij - lse_i), y_i = sum_j p_ij v_j, and the
/// backward dv_j = sum_i p_ij dy_i; ds_ij = p_ij (dy_i . v_j - dy_i . y_i); dq_i = sum_j ds_ij k_j / sqrt(Dh); dk_j = sum_i ds_ij q_i /
/// sqrt(Dh); dsink = -sum_i exp(sink - lse_i) (dy_i . y_i). The work goes in blocks of 16 queries by 16 keys, the queries in the lanes;
/// memory is linear in T.
/// </summary>
internal static unsafe class Attention
{
    private const int Lanes = CpuActivations.VectorLanes;
    private const int Block = Lanes * Lanes;

    /// <summary>Overwrites output [B,T,H*Dh] and logSumExp [B,T,H].</summary>
    public static void Forward(
        WorkerPool pool,
        CpuActivations query,
        CpuActivations key,
        CpuActivations value,
        int heads,
        CpuWeights? sink,
        CpuActivations output,
        CpuActivations logSumExp
    ) =>
        pool.Run(
            query.Sequences * heads,
            new ForwardJob(pool, query, key, value, heads, sink is null ? null : sink.Data, output, logSumExp)
        );

    /// <summary>Overwrites the gradients of query, key and value; accumulates into sinkGradient [H].</summary>
    public static void Backward(
        WorkerPool pool,
        CpuActivations query,
        CpuActivations key,
        CpuActivations value,
        int heads,
        CpuWeights? sink,
        CpuActivations output,
        CpuActivations logSumExp,
        CpuActivations outputGradient,
        CpuActivations queryGradient,
        CpuActivations keyGradient,
        CpuActivations valueGradient,
        CpuWeights? sinkGradient
    )
    {
        pool.Run(
            query.Sequences * heads,
            new BackwardJob(pool, query, key, value, heads, output, logSumExp, outputGradient, queryGradient, keyGradient, valueGradient)
        );
        if (sink is not null && sinkGradient is not null)
        {
            pool.Run(heads, new SinkGradientJob(query.Channels / heads, sink.Data, output, logSumExp, outputGradient, sinkGradient.Data));
        }
    }

    public static float Scale(int headChannels) => 1f / MathF.Sqrt(headChannels);

    /// <summary>
    /// Overwrites products[j] with the sum over d of rows[d][j] * columns[d], for 16 j: 16 rows' scores against 16 lanes.
    /// </summary>
    /// <param name="rows">Lane j of channel d is the j-th row's number.</param>
    /// <param name="columns">Sixteen lanes of each channel.</param>
    /// <param name="stride">Numbers from one channel to the next, of both.</param>
    /// <param name="channels">Channels of a head.</param>
    /// <param name="products">16 vectors.</param>
    private static void Products(float* rows, float* columns, int stride, int channels, float* products)
    {
        Vector512<float> s0 = default,
            s1 = default,
            s2 = default,
            s3 = default,
            s4 = default,
            s5 = default,
            s6 = default,
            s7 = default;
        Vector512<float> s8 = default,
            s9 = default,
            s10 = default,
            s11 = default,
            s12 = default,
            s13 = default,
            s14 = default,
            s15 = default;
        for (int d = 0; d < channels; d++, rows += stride, columns += stride)
        {
            Vector512<float> column = Vector512.Load(columns);
            s0 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[0]), column, s0);
            s1 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[1]), column, s1);
            s2 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[2]), column, s2);
            s3 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[3]), column, s3);
            s4 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[4]), column, s4);
            s5 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[5]), column, s5);
            s6 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[6]), column, s6);
            s7 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[7]), column, s7);
            s8 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[8]), column, s8);
            s9 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[9]), column, s9);
            s10 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[10]), column, s10);
            s11 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[11]), column, s11);
            s12 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[12]), column, s12);
            s13 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[13]), column, s13);
            s14 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[14]), column, s14);
            s15 = Vector512.MultiplyAddEstimate(Vector512.Create(rows[15]), column, s15);
        }

        s0.Store(products);
        s1.Store(products + 16);
        s2.Store(products + 32);
        s3.Store(products + 48);
        s4.Store(products + 64);
        s5.Store(products + 80);
        s6.Store(products + 96);
        s7.Store(products + 112);
        s8.Store(products + 128);
        s9.Store(products + 144);
        s10.Store(products + 160);
        s11.Store(products + 176);
        s12.Store(products + 192);
        s13.Store(products + 208);
        s14.Store(products + 224);
        s15.Store(products + 240);
    }

    /// <summary>Accumulates into sums[d] the sum over 16 j of weights[j] * rows[d][j].</summary>
    /// <param name="weights">16 vectors.</param>
    /// <param name="rows">Lane j of channel d is the j-th row's number.</param>
    /// <param name="rowStride">Numbers from one channel of the rows to the next.</param>
    /// <param name="channels">Channels of a head.</param>
    /// <param name="sums">A vector for each channel.</param>
    /// <param name="sumStride">Numbers from one of them to the next.</param>
    private static void Combine(float* weights, float* rows, int rowStride, int channels, float* sums, int sumStride)
    {
        Vector512<float> w0 = Vector512.Load(weights),
            w1 = Vector512.Load(weights + 16),
            w2 = Vector512.Load(weights + 32),
            w3 = Vector512.Load(weights + 48);
        Vector512<float> w4 = Vector512.Load(weights + 64),
            w5 = Vector512.Load(weights + 80),
            w6 = Vector512.Load(weights + 96),
            w7 = Vector512.Load(weights + 112);
        Vector512<float> w8 = Vector512.Load(weights + 128),
            w9 = Vector512.Load(weights + 144),
            w10 = Vector512.Load(weights + 160),
            w11 = Vector512.Load(weights + 176);
        Vector512<float> w12 = Vector512.Load(weights + 192),
            w13 = Vector512.Load(weights + 208),
            w14 = Vector512.Load(weights + 224),
            w15 = Vector512.Load(weights + 240);
        for (int d = 0; d < channels; d++, rows += rowStride, sums += sumStride)
        {
            Vector512<float> a = Vector512.MultiplyAddEstimate(Vector512.Create(rows[0]), w0, Vector512.Load(sums));
            Vector512<float> b = Vector512.Create(rows[1]) * w1;
            a = Vector512.MultiplyAddEstimate(Vector512.Create(rows[2]), w2, a);
            b = Vector512.MultiplyAddEstimate(Vector512.Create(rows[3]), w3, b);
            a = Vector512.MultiplyAddEstimate(Vector512.Create(rows[4]), w4, a);
            b = Vector512.MultiplyAddEstimate(Vector512.Create(rows[5]), w5, b);
            a = Vector512.MultiplyAddEstimate(Vector512.Create(rows[6]), w6, a);
            b = Vector512.MultiplyAddEstimate(Vector512.Create(rows[7]), w7, b);
            a = Vector512.MultiplyAddEstimate(Vector512.Create(rows[8]), w8, a);
            b = Vector512.MultiplyAddEstimate(Vector512.Create(rows[9]), w9, b);
            a = Vector512.MultiplyAddEstimate(Vector512.Create(rows[10]), w10, a);
            b = Vector512.MultiplyAddEstimate(Vector512.Create(rows[11]), w11, b);
            a = Vector512.MultiplyAddEstimate(Vector512.Create(rows[12]), w12, a);
            b = Vector512.MultiplyAddEstimate(Vector512.Create(rows[13]), w13, b);
            a = Vector512.MultiplyAddEstimate(Vector512.Create(rows[14]), w14, a);
            b = Vector512.MultiplyAddEstimate(Vector512.Create(rows[15]), w15, b);
            (a + b).Store(sums);
        }
    }

    /// <summary>All bits set where key j of the block on the diagonal may be seen by the query of the lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Causal(int j) => Vector512.GreaterThanOrEqual(Vector512<int>.Indices, Vector512.Create(j)).AsSingle();

    /// <summary>An item is one head of one sequence.</summary>
    private readonly struct ForwardJob(
        WorkerPool pool,
        CpuActivations query,
        CpuActivations key,
        CpuActivations value,
        int heads,
        float* sink,
        CpuActivations output,
        CpuActivations logSumExp
    ) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int sequence = item / heads;
            int head = item % heads;
            int channels = query.Channels / heads;
            int first = head * channels;
            int width = query.Width;
            int firstTile = sequence * query.TilesPerSequence;
            int length = query.TilesPerSequence * width;
            Vector512<float> scale = Vector512.Create(Scale(channels));
            float* scores = pool.Scratch(worker, (length + channels) * Lanes);
            float* sums = scores + (length * Lanes);
            for (int start = 0; start < length; start += Lanes)
            {
                int tile = firstTile + (start / width);
                int lane = start % width;
                float* q = query.Lanes(tile, first) + lane;
                Vector512<float> maximum = sink == null ? Vector512.Create(float.NegativeInfinity) : Vector512.Create(sink[head]);
                for (int keys = 0; keys <= start; keys += Lanes)
                {
                    float* block = scores + (keys * Lanes);
                    Products(key.Lanes(firstTile + (keys / width), first) + (keys % width), q, width, channels, block);
                    for (int j = 0; j < Lanes; j++)
                    {
                        Vector512<float> s = Vector512.Load(block + (j * Lanes)) * scale;
                        if (keys == start)
                        {
                            s = Vector512.ConditionalSelect(Causal(j), s, Vector512.Create(float.NegativeInfinity));
                        }

                        maximum = Vector512.Max(maximum, s);
                        s.Store(block + (j * Lanes));
                    }
                }

                Vector512<float> sum = sink == null ? default : VectorMath.Exp(Vector512.Create(sink[head]) - maximum);
                new Span<float>(sums, channels * Lanes).Clear();
                for (int keys = 0; keys <= start; keys += Lanes)
                {
                    float* block = scores + (keys * Lanes);
                    for (int j = 0; j < Block; j += Lanes)
                    {
                        Vector512<float> p = VectorMath.Exp(Vector512.Load(block + j) - maximum);
                        sum += p;
                        p.Store(block + j);
                    }

                    Combine(block, value.Lanes(firstTile + (keys / width), first) + (keys % width), width, channels, sums, Lanes);
                }

                (maximum + Vector512.Log(sum)).Store(logSumExp.Lanes(tile, head) + lane);
                Vector512<float> reciprocal = Vector512<float>.One / sum;
                float* y = output.Lanes(tile, first) + lane;
                for (int d = 0; d < channels; d++)
                {
                    (Vector512.Load(sums + (d * Lanes)) * reciprocal).Store(y + (d * width));
                }
            }
        }
    }

    /// <summary>
    /// An item is one head of one sequence. A block's p and ds are computed once, with queries in the lanes as dq needs them; turned, they
    /// have the keys in the lanes, as dk and dv need them.
    /// </summary>
    private readonly struct BackwardJob(
        WorkerPool pool,
        CpuActivations query,
        CpuActivations key,
        CpuActivations value,
        int heads,
        CpuActivations output,
        CpuActivations logSumExp,
        CpuActivations outputGradient,
        CpuActivations queryGradient,
        CpuActivations keyGradient,
        CpuActivations valueGradient
    ) : IParallelJob
    {
        public void Execute(int item, int worker)
        {
            int head = item % heads;
            int channels = query.Channels / heads;
            int first = head * channels;
            int width = query.Width;
            int firstTile = item / heads * query.TilesPerSequence;
            for (int tile = firstTile; tile < firstTile + query.TilesPerSequence; tile++)
            {
                new Span<float>(queryGradient.Lanes(tile, first), channels * width).Clear();
                new Span<float>(keyGradient.Lanes(tile, first), channels * width).Clear();
                new Span<float>(valueGradient.Lanes(tile, first), channels * width).Clear();
            }

            float* p = pool.Scratch(worker, 3 * Block);
            float* ds = p + Block;
            float* turned = ds + Block;
            for (int start = 0; start < query.TilesPerSequence * width; start += Lanes)
            {
                int tile = firstTile + (start / width);
                int lane = start % width;
                float* q = query.Lanes(tile, first) + lane;
                float* dy = outputGradient.Lanes(tile, first) + lane;
                float* y = output.Lanes(tile, first) + lane;
                Vector512<float> lse = Vector512.Load(logSumExp.Lanes(tile, head) + lane);
                Vector512<float> product = default;
                Vector512<int> any = default;
                for (int d = 0; d < channels; d++)
                {
                    Vector512<float> incoming = Vector512.Load(dy + (d * width));
                    product = Vector512.MultiplyAddEstimate(incoming, Vector512.Load(y + (d * width)), product);
                    any |= incoming.AsInt32();
                }

                if (any == Vector512<int>.Zero)
                {
                    // As in a last layer of which only last tokens are used.
                    continue;
                }

                for (int keys = 0; keys <= start; keys += Lanes)
                {
                    int keyTile = firstTile + (keys / width);
                    int keyLane = keys % width;
                    float* k = key.Lanes(keyTile, first) + keyLane;
                    Products(k, q, width, channels, p);
                    Products(value.Lanes(keyTile, first) + keyLane, dy, width, channels, ds);
                    Probabilities(p, ds, lse, product, Scale(channels), keys == start);
                    Combine(ds, k, width, channels, queryGradient.Lanes(tile, first) + lane, width);
                    Transposition.Sixteen(p, Lanes, turned, Lanes);
                    Combine(turned, dy, width, channels, valueGradient.Lanes(keyTile, first) + keyLane, width);
                    Transposition.Sixteen(ds, Lanes, turned, Lanes);
                    Combine(turned, q, width, channels, keyGradient.Lanes(keyTile, first) + keyLane, width);
                }
            }
        }

        /// <summary>Turns q.k into p and dy.v into ds, both scaled for what follows.</summary>
        private static void Probabilities(
            float* p,
            float* ds,
            Vector512<float> lse,
            Vector512<float> product,
            float scaleFactor,
            bool diagonal
        )
        {
            Vector512<float> scale = Vector512.Create(scaleFactor);
            for (int j = 0; j < Lanes; j++)
            {
                Vector512<float> probability = VectorMath.Exp((Vector512.Load(p + (j * Lanes)) * scale) - lse);
                if (diagonal)
                {
                    probability &= Causal(j);
                }

                probability.Store(p + (j * Lanes));
                (probability * (Vector512.Load(ds + (j * Lanes)) - product) * scale).Store(ds + (j * Lanes));
            }
        }
    }

    private readonly struct SinkGradientJob(
        int channels,
        float* sink,
        CpuActivations output,
        CpuActivations logSumExp,
        CpuActivations outputGradient,
        float* sinkGradient
    ) : IParallelJob
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
                        product = Vector512.MultiplyAddEstimate(
                            Vector512.Load(outputGradient.Lanes(tile, d) + lane),
                            Vector512.Load(output.Lanes(tile, d) + lane),
                            product
                        );
                    }

                    total += VectorMath.Exp(Vector512.Create(sink[head]) - Vector512.Load(logSumExp.Lanes(tile, head) + lane)) * product;
                }
            }

            sinkGradient[head] -= Vector512.Sum(total);
        }
    }
}
