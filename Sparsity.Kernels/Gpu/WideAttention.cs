using ILGPU;
using ILGPU.Algorithms;

namespace Sparsity.Kernels.Gpu;

/// <summary>
/// <see cref="Attention"/> for heads of more than 32 channels, whose registers one thread does not have. Neighbouring threads, the lanes,
/// share a query's (for dk and dv, a key's) channels: each takes 16. For a few tokens of a tile at a time they leave their parts of the dot
/// products in shared memory, and then each adds up all parts, always in the same order.
/// </summary>
internal static class WideAttention
{
    private const int LaneChannels = 16;
    private const int TileFloats = 1024;
    private const int TileTokens = 8;
    private const int PartialFloats = TileTokens * GroupReduction.MaximumThreads;

    /// <summary>Groups of neighbouring tokens of one sequence and head, with all lanes of each.</summary>
    public static void Launch<TKernel>(GpuDevice device, GpuActivations query, int heads, LaneShape shape, TKernel kernel)
        where TKernel : struct, IKernel
    {
        int threads = Math.Max(shape.Lanes, device.WarpSize);
        while (threads < GroupReduction.MaximumThreads && threads < query.Tokens * shape.Lanes)
        {
            threads *= 2;
        }

        int tokens = threads / shape.Lanes;
        device.Launch(query.Sequences * heads, (query.Tokens + tokens - 1) / tokens, threads, kernel);
    }

    /// <summary>
    /// T, H, Dh, and over how many lanes Dh is split. A lane has every <see cref="Lanes"/>-th four channels, so that lanes read side by
    /// side.
    /// </summary>
    internal readonly struct LaneShape(Attention.HeadShape head, int laneBits)
    {
        public readonly Attention.HeadShape Head = head;
        public readonly int LaneBits = laneBits;

        public static LaneShape Of(Attention.HeadShape head)
        {
            int laneBits = 2;
            while (LaneChannels << laneBits < head.Channels)
            {
                laneBits++;
            }

            return new LaneShape(head, laneBits);
        }

        public int Lanes => 1 << LaneBits;

        public int Lane => Group.IdxX & (Lanes - 1);

        public int WidthBits => LaneBits + 4;

        /// <summary>How many tokens a tile has: no more than there is room for.</summary>
        public int TokensOfTile => TileFloats >> WidthBits < TileTokens ? TileFloats >> WidthBits : TileTokens;

        public int FirstToken => Grid.IdxY * (Group.DimX >> LaneBits);

        /// <summary>The token behind the group's last.</summary>
        public int EndToken
        {
            get
            {
                int end = FirstToken + (Group.DimX >> LaneBits);
                return end < Head.Tokens ? end : Head.Tokens;
            }
        }

        /// <summary>This thread's token; may lie beyond the last.</summary>
        public int Token => FirstToken + (Group.IdxX >> LaneBits);

        /// <summary>The row of a token, of the last one if it lies beyond.</summary>
        public int Row(int token) => Head.FirstRow + (token < Head.Tokens ? token : Head.Tokens - 1);

        /// <summary>This lane's channels of a row.</summary>
        public Channels16 Load(Attention.HeadRows rows, int row) =>
            Channels16.LoadEvery(
                rows.View,
                (row * rows.Stride) + (Head.Head * Head.Channels) + (4 * Lane),
                Head.Channels - (4 * Lane),
                Lanes
            );

        public void Store(Attention.HeadRows rows, int row, in Channels16 vector) =>
            Channels16.StoreEvery(
                rows.View,
                (row * rows.Stride) + (Head.Head * Head.Channels) + (4 * Lane),
                Head.Channels - (4 * Lane),
                Lanes,
                in vector
            );

        public void Stage(Attention.HeadRows rows, int first, ArrayView<float> tile) =>
            rows.Stage(Head, first, tile, WidthBits, TokensOfTile << WidthBits);

        /// <summary>This lane's channels of a token of a tile.</summary>
        public Channels16 OfTile(ArrayView<Float4> tile, int token) => Channels16.LoadEvery(tile, (token << (WidthBits - 2)) + Lane, Lanes);

        /// <summary>Leaves this lane's part of a dot product with a token of the tile.</summary>
        public void Leave(ArrayView<float> partials, int token, float part) => partials[(token * Group.DimX) + Group.IdxX] = part;

        /// <summary>The whole of it, once all lanes have left theirs.</summary>
        public float Total(ArrayView<Float4> partials, int token)
        {
            int first = ((token * Group.DimX) + Group.IdxX - Lane) >> 2;
            float total = 0f;
            for (int i = 0; i < Lanes >> 2; i++)
            {
                Float4 four = partials[first + i];
                total += four.X + four.Y + (four.Z + four.W);
            }

            return total;
        }
    }

    internal readonly struct ForwardKernel(
        LaneShape shape,
        Attention.HeadRows query,
        Attention.HeadRows key,
        Attention.HeadRows value,
        ArrayView<float> sink,
        int hasSink,
        Attention.HeadRows output,
        Attention.HeadRows logSumExp
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> keys = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> values = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> partials = SharedMemory.Allocate<float>(PartialFloats);
            ArrayView<Float4> keyFours = keys.Cast<Float4>();
            ArrayView<Float4> valueFours = values.Cast<Float4>();
            ArrayView<Float4> partialFours = partials.Cast<Float4>();
            int tileTokens = shape.TokensOfTile;
            int token = shape.Token;
            int row = shape.Row(token);
            float scale = shape.Head.Scale;
            Channels16 q = shape.Load(query, row);
            Channels16 sum = default;
            float maximum = float.NegativeInfinity;
            float denominator = 0f;
            if (hasSink != 0)
            {
                maximum = sink[shape.Head.Head];
                denominator = 1f;
            }

            int end = shape.EndToken;
            for (int first = 0; first < end; first += tileTokens)
            {
                shape.Stage(key, first, keys);
                shape.Stage(value, first, values);
                Group.Barrier();
                int count = token - first + 1 < tileTokens ? token - first + 1 : tileTokens;
                for (int j = 0; j < count; j++)
                {
                    Channels16 k = shape.OfTile(keyFours, j);
                    shape.Leave(partials, j, Channels16.Dot(in q, in k));
                }

                Group.Barrier();
                float largest = maximum;
                for (int j = 0; j < count; j++)
                {
                    float score = shape.Total(partialFours, j) * scale;
                    largest = score > largest ? score : largest;
                }

                // A new maximum: what was summed so far shrinks. The first tile has a key for every thread, so that the maximum is a number
                // from then on.
                float shrink = XMath.Exp(maximum - largest);
                maximum = largest;
                denominator *= shrink;
                Channels16 shrunk = default;
                Channels16.MultiplyAdd(ref shrunk, shrink, in sum);
                sum = shrunk;
                for (int j = 0; j < count; j++)
                {
                    float p = XMath.Exp((shape.Total(partialFours, j) * scale) - maximum);
                    Channels16 v = shape.OfTile(valueFours, j);
                    denominator += p;
                    Channels16.MultiplyAdd(ref sum, p, in v);
                }

                Group.Barrier();
            }

            if (token < shape.Head.Tokens)
            {
                Channels16 y = default;
                Channels16.MultiplyAdd(ref y, 1f / denominator, in sum);
                shape.Store(output, row, in y);
                if (shape.Lane == 0)
                {
                    logSumExp.View[(row * logSumExp.Stride) + shape.Head.Head] = maximum + XMath.Log(denominator);
                }
            }
        }
    }

    /// <summary>Overwrites dq and the products dy . y.</summary>
    internal readonly struct QueryGradientKernel(
        LaneShape shape,
        Attention.HeadRows query,
        Attention.HeadRows key,
        Attention.HeadRows value,
        Attention.HeadRows output,
        Attention.HeadRows logSumExp,
        Attention.HeadRows outputGradient,
        Attention.HeadRows queryGradient,
        ArrayView<float> products
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> keys = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> values = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> scores = SharedMemory.Allocate<float>(PartialFloats);
            ArrayView<float> slopes = SharedMemory.Allocate<float>(PartialFloats);
            ArrayView<Float4> keyFours = keys.Cast<Float4>();
            ArrayView<Float4> valueFours = values.Cast<Float4>();
            ArrayView<Float4> scoreFours = scores.Cast<Float4>();
            ArrayView<Float4> slopeFours = slopes.Cast<Float4>();
            int tileTokens = shape.TokensOfTile;
            int token = shape.Token;
            int row = shape.Row(token);
            float scale = shape.Head.Scale;
            Channels16 q = shape.Load(query, row);
            Channels16 dy = shape.Load(outputGradient, row);
            Channels16 y = shape.Load(output, row);
            shape.Leave(scores, 0, Channels16.Dot(in dy, in y));
            Group.Barrier();
            float product = shape.Total(scoreFours, 0);
            float lse = logSumExp.View[(row * logSumExp.Stride) + shape.Head.Head];
            Channels16 dq = default;
            int end = shape.EndToken;
            for (int first = 0; first < end; first += tileTokens)
            {
                shape.Stage(key, first, keys);
                shape.Stage(value, first, values);
                Group.Barrier();
                int count = token - first + 1 < tileTokens ? token - first + 1 : tileTokens;
                for (int j = 0; j < count; j++)
                {
                    Channels16 k = shape.OfTile(keyFours, j);
                    Channels16 v = shape.OfTile(valueFours, j);
                    shape.Leave(scores, j, Channels16.Dot(in q, in k));
                    shape.Leave(slopes, j, Channels16.Dot(in dy, in v));
                }

                Group.Barrier();
                for (int j = 0; j < count; j++)
                {
                    float p = XMath.Exp((shape.Total(scoreFours, j) * scale) - lse);
                    Channels16 k = shape.OfTile(keyFours, j);
                    Channels16.MultiplyAdd(ref dq, p * (shape.Total(slopeFours, j) - product) * scale, in k);
                }

                Group.Barrier();
            }

            if (token < shape.Head.Tokens)
            {
                shape.Store(queryGradient, row, in dq);
                if (shape.Lane == 0)
                {
                    products[(row * shape.Head.Heads) + shape.Head.Head] = product;
                }
            }
        }
    }

    /// <summary>Overwrites dk and dv.</summary>
    internal readonly struct KeyGradientKernel(
        LaneShape shape,
        Attention.HeadRows query,
        Attention.HeadRows key,
        Attention.HeadRows value,
        Attention.HeadRows logSumExp,
        Attention.HeadRows outputGradient,
        Attention.HeadRows keyGradient,
        Attention.HeadRows valueGradient,
        ArrayView<float> products
    ) : IKernel
    {
        public void Execute()
        {
            ArrayView<float> queries = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> gradients = SharedMemory.Allocate<float>(TileFloats);
            ArrayView<float> scores = SharedMemory.Allocate<float>(PartialFloats);
            ArrayView<float> slopes = SharedMemory.Allocate<float>(PartialFloats);
            ArrayView<float> logSums = SharedMemory.Allocate<float>(TileTokens);
            ArrayView<float> tileProducts = SharedMemory.Allocate<float>(TileTokens);
            ArrayView<Float4> queryFours = queries.Cast<Float4>();
            ArrayView<Float4> gradientFours = gradients.Cast<Float4>();
            ArrayView<Float4> scoreFours = scores.Cast<Float4>();
            ArrayView<Float4> slopeFours = slopes.Cast<Float4>();
            int tileTokens = shape.TokensOfTile;
            int token = shape.Token;
            int row = shape.Row(token);
            float scale = shape.Head.Scale;
            Channels16 k = shape.Load(key, row);
            Channels16 v = shape.Load(value, row);
            Channels16 dk = default;
            Channels16 dv = default;
            int begin = shape.FirstToken;
            for (int first = begin - (begin % tileTokens); first < shape.Head.Tokens; first += tileTokens)
            {
                shape.Stage(query, first, queries);
                shape.Stage(outputGradient, first, gradients);
                for (int j = Group.IdxX; j < tileTokens; j += Group.DimX)
                {
                    int other = shape.Row(first + j);
                    logSums[j] = logSumExp.View[(other * logSumExp.Stride) + shape.Head.Head];
                    tileProducts[j] = products[(other * shape.Head.Heads) + shape.Head.Head];
                }

                Group.Barrier();
                int start = token > first ? token - first : 0;
                int count = shape.Head.Tokens - first < tileTokens ? shape.Head.Tokens - first : tileTokens;
                for (int j = start; j < count; j++)
                {
                    Channels16 q = shape.OfTile(queryFours, j);
                    Channels16 dy = shape.OfTile(gradientFours, j);
                    shape.Leave(scores, j, Channels16.Dot(in q, in k));
                    shape.Leave(slopes, j, Channels16.Dot(in dy, in v));
                }

                Group.Barrier();
                for (int j = start; j < count; j++)
                {
                    Channels16 q = shape.OfTile(queryFours, j);
                    Channels16 dy = shape.OfTile(gradientFours, j);
                    float p = XMath.Exp((shape.Total(scoreFours, j) * scale) - logSums[j]);
                    Channels16.MultiplyAdd(ref dk, p * (shape.Total(slopeFours, j) - tileProducts[j]) * scale, in q);
                    Channels16.MultiplyAdd(ref dv, p, in dy);
                }

                Group.Barrier();
            }

            if (token < shape.Head.Tokens)
            {
                shape.Store(keyGradient, row, in dk);
                shape.Store(valueGradient, row, in dv);
            }
        }
    }
}
