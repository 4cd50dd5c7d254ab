using ILGPU;
using ILGPU.Algorithms;
using Sparsity.Core;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// Causal attention, optionally with a sink. With s_ij = q_i . k_j / sqrt(Dh), p_ij = exp(s_ij - lse_i), y_i = sum_j p_ij v_j, and the
/// backward dv_j = sum_i p_ij dy_i; ds_ij = p_ij (dy_i . v_j - dy_i . y_i); dq_i = sum_j ds_ij k_j / sqrt(Dh); dk_j = sum_i ds_ij q_i /
/// sqrt(Dh); dsink = -sum_i exp(sink - lse_i) (dy_i . y_i). A thread holds one query (or, for dk and dv, one key) in registers; the others
/// pass by in tiles of shared memory, and the softmax is taken as they do: nothing of size T * T is stored. Heads of more than 32 channels
/// are <see cref="WideAttention"/>'s.
/// </summary>
internal static class Attention
{
    private const int MaximumThreads = 64;
    private const int TileFloats = 1024;
    private const int MinimumWidth = 16;

    /// <summary>The widest head that the kernels are made for.</summary>
    internal const int MaximumHeadChannels = 1024;

    /// <summary>Overwrites output [B,T,H*Dh] and logSumExp [B,T,H].</summary>
    public static void Forward(
        GpuDevice device,
        GpuActivations query,
        GpuActivations key,
        GpuActivations value,
        int heads,
        GpuWeights? sink,
        GpuActivations output,
        GpuActivations logSumExp
    )
    {
        HeadShape shape = ShapeOf(device, query, heads);
        var q = new HeadRows(query.View, query.Stride);
        var k = new HeadRows(key.View, key.Stride);
        var v = new HeadRows(value.View, value.Stride);
        var y = new HeadRows(output.View, output.Stride);
        var lse = new HeadRows(logSumExp.View, logSumExp.Stride);
        ArrayView<float> sinks = sink?.View ?? query.View;
        int hasSink = sink is null ? 0 : 1;
        switch (shape.Channels)
        {
            case <= 16:
                LaunchPerToken(device, query, heads, new ForwardKernel<Channels16>(shape, q, k, v, sinks, hasSink, y, lse));
                break;
            case <= 32:
                LaunchPerToken(device, query, heads, new ForwardKernel<Pair<Channels16>>(shape, q, k, v, sinks, hasSink, y, lse));
                break;
            default:
                var lanes = WideAttention.LaneShape.Of(shape);
                WideAttention.Launch(device, query, heads, lanes, new WideAttention.ForwardKernel(lanes, q, k, v, sinks, hasSink, y, lse));
                break;
        }
    }

    /// <summary>Overwrites the gradients of query, key and value; accumulates into sinkGradient [H].</summary>
    public static void Backward(
        GpuDevice device,
        GpuActivations query,
        GpuActivations key,
        GpuActivations value,
        int heads,
        GpuWeights? sink,
        GpuActivations output,
        GpuActivations logSumExp,
        GpuActivations outputGradient,
        GpuActivations queryGradient,
        GpuActivations keyGradient,
        GpuActivations valueGradient,
        GpuWeights? sinkGradient
    )
    {
        // dy_i . y_i for every query and head.
        ArrayView<float> products = device.Workspace<float>("attention", query.Rows * heads);
        HeadShape shape = ShapeOf(device, query, heads);
        var q = new HeadRows(query.View, query.Stride);
        var k = new HeadRows(key.View, key.Stride);
        var v = new HeadRows(value.View, value.Stride);
        var dy = new HeadRows(outputGradient.View, outputGradient.Stride);
        var dq = new HeadRows(queryGradient.View, queryGradient.Stride);
        var dk = new HeadRows(keyGradient.View, keyGradient.Stride);
        var dv = new HeadRows(valueGradient.View, valueGradient.Stride);
        var y = new HeadRows(output.View, output.Stride);
        var lse = new HeadRows(logSumExp.View, logSumExp.Stride);
        switch (shape.Channels)
        {
            case <= 16:
                LaunchPerToken(device, query, heads, new QueryGradientKernel<Channels16>(shape, q, k, v, y, lse, dy, dq, products));
                LaunchPerToken(device, query, heads, new KeyGradientKernel<Channels16>(shape, q, k, v, lse, dy, dk, dv, products));
                break;
            case <= 32:
                LaunchPerToken(device, query, heads, new QueryGradientKernel<Pair<Channels16>>(shape, q, k, v, y, lse, dy, dq, products));
                LaunchPerToken(device, query, heads, new KeyGradientKernel<Pair<Channels16>>(shape, q, k, v, lse, dy, dk, dv, products));
                break;
            default:
                var lanes = WideAttention.LaneShape.Of(shape);
                WideAttention.Launch(
                    device,
                    query,
                    heads,
                    lanes,
                    new WideAttention.QueryGradientKernel(lanes, q, k, v, y, lse, dy, dq, products)
                );
                WideAttention.Launch(
                    device,
                    query,
                    heads,
                    lanes,
                    new WideAttention.KeyGradientKernel(lanes, q, k, v, lse, dy, dk, dv, products)
                );
                break;
        }

        if (sink is not null && sinkGradient is not null)
        {
            ChannelReduction.Accumulate(
                device,
                query.Rows,
                new SinkTerm(sink.View, logSumExp.View, logSumExp.Stride, products, heads),
                sinkGradient,
                -1f
            );
        }
    }

    /// <summary>How many channels a head has.</summary>
    /// <exception cref="BadInputException">More than the kernels are made for.</exception>
    internal static int HeadChannels(GpuDevice device, GpuActivations query, int heads)
    {
        int channels = query.Channels / heads;
        device.RequireAtMost(MaximumHeadChannels, channels, "Heads of {0} channels are");
        return channels;
    }

    private static HeadShape ShapeOf(GpuDevice device, GpuActivations query, int heads) =>
        new(query.Tokens, heads, HeadChannels(device, query, heads));

    /// <summary>Groups of up to 64 neighbouring tokens of one sequence and head.</summary>
    private static void LaunchPerToken<TKernel>(GpuDevice device, GpuActivations query, int heads, TKernel kernel)
        where TKernel : struct, IKernel
    {
        int warps = (query.Tokens + device.WarpSize - 1) / device.WarpSize;
        int threads = Math.Min(MaximumThreads, warps * device.WarpSize);
        device.Launch(query.Sequences * heads, (query.Tokens + threads - 1) / threads, threads, kernel);
    }

    /// <summary>T, H and Dh.</summary>
    internal readonly struct HeadShape(int tokens, int heads, int channels)
    {
        public readonly int Tokens = tokens;
        public readonly int Heads = heads;
        public readonly int Channels = channels;

        public float Scale => 1f / XMath.Sqrt(Channels);

        /// <summary>The row of the first token of this group's sequence.</summary>
        public int FirstRow => Grid.IdxX / Heads * Tokens;

        public int Head => Grid.IdxX % Heads;

        /// <summary>This thread's token; may lie beyond the last.</summary>
        public int Token => (Grid.IdxY * Group.DimX) + Group.IdxX;
    }

    /// <summary>A tensor whose rows are tokens.</summary>
    internal readonly struct HeadRows(ArrayView<float> view, int stride)
    {
        public readonly ArrayView<float> View = view;
        public readonly int Stride = stride;

        public THead Load<THead>(int row, int channel, int count)
            where THead : struct, IHeadVector<THead> => THead.Load(View, (row * Stride) + channel, count);

        public void Store<THead>(int row, int channel, int count, in THead vector)
            where THead : struct, IHeadVector<THead> => THead.Store(View, (row * Stride) + channel, count, in vector);

        public void Stage<THead>(HeadShape shape, int first, ArrayView<float> tile)
            where THead : struct, IHeadVector<THead> => Stage(shape, first, tile, THead.WidthBits, TileFloats);

        /// <summary>
        /// Copies the head's channels of the tokens from <paramref name="first"/> on into a tile; zero beyond tokens and channels.
        /// </summary>
        /// <param name="widthBits">The logarithm to base 2 of the tile's channels.</param>
        /// <param name="floats">How many the tile has.</param>
        public void Stage(HeadShape shape, int first, ArrayView<float> tile, int widthBits, int floats)
        {
            for (int i = Group.IdxX; i < floats; i += Group.DimX)
            {
                int token = first + (i >> widthBits);
                int channel = i & ((1 << widthBits) - 1);
                float value = 0f;
                if (token < shape.Tokens && channel < shape.Channels)
                {
                    value = View[((shape.FirstRow + token) * Stride) + (shape.Head * shape.Channels) + channel];
                }

                tile[i] = value;
            }
        }
    }

    internal readonly struct ForwardKernel<THead>(
        HeadShape shape,
        HeadRows query,
        HeadRows key,
        HeadRows value,
        ArrayView<float> sink,
        int hasSink,
        HeadRows output,
        HeadRows logSumExp
    ) : IKernel
        where THead : struct, IHeadVector<THead>
    {
        public void Execute()
        {
            ArrayView<float> keys = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> values = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<Float4> keyFours = keys.Cast<Float4>();
            ArrayView<Float4> valueFours = values.Cast<Float4>();
            int tileTokens = TileFloats >> THead.WidthBits;
            int foursBits = THead.WidthBits - 2;
            int token = shape.Token;
            int row = shape.FirstRow + (token < shape.Tokens ? token : shape.Tokens - 1);
            int channel = shape.Head * shape.Channels;
            float scale = shape.Scale;
            // The thread's own query, and the softmax over the keys so far: their maximum, the sum of exponentials relative to it, and
            // the sum of values so weighted. A sink is a key without a value.
            THead q = query.Load<THead>(row, channel, shape.Channels);
            THead sum = default;
            float maximum = float.NegativeInfinity;
            float denominator = 0f;
            if (hasSink != 0)
            {
                maximum = sink[shape.Head];
                denominator = 1f;
            }

            // Keys and values pass by in tiles, up to the last token of the group; each thread stops at its own.
            int end = (Grid.IdxY + 1) * Group.DimX;
            end = end < shape.Tokens ? end : shape.Tokens;
            for (int first = 0; first < end; first += tileTokens)
            {
                key.Stage<THead>(shape, first, keys);
                value.Stage<THead>(shape, first, values);
                Group.Barrier();
                int count = token - first + 1 < tileTokens ? token - first + 1 : tileTokens;
                for (int j = 0; j < count; j++)
                {
                    THead k = THead.Load(keyFours, j << foursBits);
                    THead v = THead.Load(valueFours, j << foursBits);
                    float score = THead.Dot(in q, in k) * scale;
                    if (score > maximum)
                    {
                        // A new maximum: what was summed so far shrinks.
                        float shrink = XMath.Exp(maximum - score);
                        denominator = (denominator * shrink) + 1f;
                        THead.MultiplyAdd(ref v, shrink, in sum);
                        sum = v;
                        maximum = score;
                    }
                    else
                    {
                        float p = XMath.Exp(score - maximum);
                        denominator += p;
                        THead.MultiplyAdd(ref sum, p, in v);
                    }
                }

                Group.Barrier();
            }

            if (token < shape.Tokens)
            {
                THead y = default;
                THead.MultiplyAdd(ref y, 1f / denominator, in sum);
                output.Store(row, channel, shape.Channels, in y);
                logSumExp.View[(row * logSumExp.Stride) + shape.Head] = maximum + XMath.Log(denominator);
            }
        }
    }

    /// <summary>Overwrites dq and the products dy . y.</summary>
    internal readonly struct QueryGradientKernel<THead>(
        HeadShape shape,
        HeadRows query,
        HeadRows key,
        HeadRows value,
        HeadRows output,
        HeadRows logSumExp,
        HeadRows outputGradient,
        HeadRows queryGradient,
        ArrayView<float> products
    ) : IKernel
        where THead : struct, IHeadVector<THead>
    {
        public void Execute()
        {
            ArrayView<float> keys = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> values = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<Float4> keyFours = keys.Cast<Float4>();
            ArrayView<Float4> valueFours = values.Cast<Float4>();
            int tileTokens = TileFloats >> THead.WidthBits;
            int foursBits = THead.WidthBits - 2;
            int token = shape.Token;
            int row = shape.FirstRow + (token < shape.Tokens ? token : shape.Tokens - 1);
            int channel = shape.Head * shape.Channels;
            float scale = shape.Scale;
            // p = exp(q . k * scale - lse); dq = sum over keys of p * (dy . v - dy . y) * scale * k.
            THead q = query.Load<THead>(row, channel, shape.Channels);
            THead dy = outputGradient.Load<THead>(row, channel, shape.Channels);
            THead y = output.Load<THead>(row, channel, shape.Channels);
            float product = THead.Dot(in dy, in y);
            float lse = logSumExp.View[(row * logSumExp.Stride) + shape.Head];
            THead dq = default;
            int end = (Grid.IdxY + 1) * Group.DimX;
            end = end < shape.Tokens ? end : shape.Tokens;
            for (int first = 0; first < end; first += tileTokens)
            {
                key.Stage<THead>(shape, first, keys);
                value.Stage<THead>(shape, first, values);
                Group.Barrier();
                int count = token - first + 1 < tileTokens ? token - first + 1 : tileTokens;
                for (int j = 0; j < count; j++)
                {
                    THead k = THead.Load(keyFours, j << foursBits);
                    THead v = THead.Load(valueFours, j << foursBits);
                    float p = XMath.Exp((THead.Dot(in q, in k) * scale) - lse);
                    THead.MultiplyAdd(ref dq, p * (THead.Dot(in dy, in v) - product) * scale, in k);
                }

                Group.Barrier();
            }

            if (token < shape.Tokens)
            {
                queryGradient.Store(row, channel, shape.Channels, in dq);
                products[(row * shape.Heads) + shape.Head] = product;
            }
        }
    }

    /// <summary>Overwrites dk and dv.</summary>
    internal readonly struct KeyGradientKernel<THead>(
        HeadShape shape,
        HeadRows query,
        HeadRows key,
        HeadRows value,
        HeadRows logSumExp,
        HeadRows outputGradient,
        HeadRows keyGradient,
        HeadRows valueGradient,
        ArrayView<float> products
    ) : IKernel
        where THead : struct, IHeadVector<THead>
    {
        public void Execute()
        {
            ArrayView<float> queries = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> gradients = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> logSums = SharedMemory.Allocate<float>(TileFloats / MinimumWidth);
            ArrayView<float> tileProducts = SharedMemory.Allocate<float>(TileFloats / MinimumWidth);
            ArrayView<Float4> queryFours = queries.Cast<Float4>();
            ArrayView<Float4> gradientFours = gradients.Cast<Float4>();
            int tileTokens = TileFloats >> THead.WidthBits;
            int foursBits = THead.WidthBits - 2;
            int token = shape.Token;
            int row = shape.FirstRow + (token < shape.Tokens ? token : shape.Tokens - 1);
            int channel = shape.Head * shape.Channels;
            float scale = shape.Scale;
            // dk = sum over queries of p * (dy . v - dy . y) * scale * q; dv = sum of p * dy. The products dy . y are the query kernel's.
            THead k = key.Load<THead>(row, channel, shape.Channels);
            THead v = value.Load<THead>(row, channel, shape.Channels);
            THead dk = default;
            THead dv = default;
            // Queries pass by in tiles, from the group's first token to the last of the sequence; each thread begins at its own.
            int begin = Grid.IdxY * Group.DimX;
            for (int first = begin - (begin % tileTokens); first < shape.Tokens; first += tileTokens)
            {
                query.Stage<THead>(shape, first, queries);
                outputGradient.Stage<THead>(shape, first, gradients);
                for (int j = Group.IdxX; j < tileTokens; j += Group.DimX)
                {
                    int other = shape.FirstRow + (first + j < shape.Tokens ? first + j : shape.Tokens - 1);
                    logSums[j] = logSumExp.View[(other * logSumExp.Stride) + shape.Head];
                    tileProducts[j] = products[(other * shape.Heads) + shape.Head];
                }

                Group.Barrier();
                int count = shape.Tokens - first < tileTokens ? shape.Tokens - first : tileTokens;
                for (int j = token > first ? token - first : 0; j < count; j++)
                {
                    THead q = THead.Load(queryFours, j << foursBits);
                    THead dy = THead.Load(gradientFours, j << foursBits);
                    float p = XMath.Exp((THead.Dot(in q, in k) * scale) - logSums[j]);
                    THead.MultiplyAdd(ref dk, p * (THead.Dot(in dy, in v) - tileProducts[j]) * scale, in q);
                    THead.MultiplyAdd(ref dv, p, in dy);
                }

                Group.Barrier();
            }

            if (token < shape.Tokens)
            {
                keyGradient.Store(row, channel, shape.Channels, in dk);
                valueGradient.Store(row, channel, shape.Channels, in dv);
            }
        }
    }

    internal readonly struct SinkTerm(ArrayView<float> sink, ArrayView<float> logSumExp, int stride, ArrayView<float> products, int heads)
        : IChannelTerm
    {
        public float Of(int row, int channel) =>
            XMath.Exp(sink[channel] - logSumExp[(row * stride) + channel]) * products[(row * heads) + channel];
    }
}
