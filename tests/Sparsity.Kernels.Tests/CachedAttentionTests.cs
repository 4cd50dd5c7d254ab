using Sparsity.Core.Engine;
using Sparsity.Kernels.Cpu;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

public class CachedAttentionTests
{
    // As attention without a cache: scores of order 4 known to 16 * 6e-8 * 4.
    private const double Tolerance = 4e-6;

    public static TheoryData<string> AllEngines => Engines.All;

    /// <summary>Tokens fed in pieces of any size give what attention over the whole sequence gives.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void PiecesMatchTheWholeSequence(string engine)
    {
        foreach (
            (int sequences, int heads, int width, int[] pieces, bool withSink) in new (int, int, int, int[], bool)[]
            {
                (1, 1, 1, [1, 1, 1], false),
                (1, 2, 3, [1, 4, 1, 1], true),
                (3, 1, 5, [16, 1, 1], true),
                (2, 3, 16, [15, 2, 17, 1], false),
                (2, 2, 20, [65, 1, 1, 3], true),
            }
        )
        {
            using var bench = Engines.Bench(engine);
            var random = new RandomArrays((ulong)pieces.Length);
            int tokens = pieces.Sum();
            int channels = heads * width;
            double[,,] query = random.Activations(sequences, tokens, channels);
            double[,,] key = random.Activations(sequences, tokens, channels);
            double[,,] value = random.Activations(sequences, tokens, channels);
            ClearSome(query, random);
            double[]? sink = withSink ? random.Vector(heads) : null;
            double[,,] expected = Reference.Attention(query, key, value, heads, sink).Output;
            using KeyValueCache cache = bench.Engine.AllocateKeyValueCache("cache", sequences, tokens + 1, channels);
            WeightTensor? sinks = sink is null ? null : bench.Weights(sink);
            for (int pass = 0; pass < 2; pass++)
            {
                // The second pass finds the first one's keys and values, and must not look at those still to come.
                int position = 0;
                foreach (int piece in pieces)
                {
                    bool slice = pass == 1;
                    ActivationTensor output = bench.Output(sequences, piece, channels, slice);
                    bench.Engine.CachedAttentionForward(
                        bench.Input(Part(query, position, piece), slice),
                        bench.Input(Part(key, position, piece), slice),
                        bench.Input(Part(value, position, piece), slice),
                        heads,
                        sinks,
                        cache,
                        position,
                        output
                    );
                    string what =
                        $"{engine}: {heads} heads of {width}, tokens {position} to {position + piece - 1}, sink {withSink}, pass {pass}";
                    Comparison.CloseRelative(Part(expected, position, piece), bench.Read(output), Tolerance, what);
                    bench.RequireNeighboursUntouched(what);
                    position += piece;
                }
            }
        }
    }

    /// <summary>
    /// On the CPU the sums have the same order with a cache and without, so that generated tokens cannot differ by rounding there.
    /// </summary>
    [Theory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public void OnTheCpuTheBitsAreThoseOfAttentionWithoutACache(int threads, bool withSink)
    {
        const int Tokens = 70;
        const int Heads = 3;
        const int Channels = Heads * 20;
        using var bench = new Bench(new CpuEngine(threads));
        var random = new RandomArrays(4);
        double[,,] query = random.Activations(2, Tokens, Channels);
        double[,,] key = random.Activations(2, Tokens, Channels);
        double[,,] value = random.Activations(2, Tokens, Channels);
        ClearSome(query, random);
        WeightTensor? sinks = withSink ? bench.Weights(random.Vector(Heads)) : null;
        ActivationTensor whole = bench.Output(2, Tokens, Channels);
        bench.Engine.AttentionForward(
            bench.Input(query),
            bench.Input(key),
            bench.Input(value),
            Heads,
            sinks,
            whole,
            bench.Output(2, Tokens, Heads)
        );
        double[,,] expected = new double[2, Tokens, Channels];
        Array.ConvertAll(bench.Read(whole), number => (double)number).CopyTo(Flat.Of(expected));
        using KeyValueCache cache = bench.Engine.AllocateKeyValueCache("cache", 2, Tokens, Channels);
        for (int position = 0; position < Tokens; position++)
        {
            ActivationTensor output = bench.Output(2, 1, Channels);
            bench.Engine.CachedAttentionForward(
                bench.Input(Part(query, position, 1)),
                bench.Input(Part(key, position, 1)),
                bench.Input(Part(value, position, 1)),
                Heads,
                sinks,
                cache,
                position,
                output
            );
            Comparison.SameBits(Flat.Floats(Part(expected, position, 1)), bench.Read(output), $"token {position}");
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void PositionsFollowTheFirst(string engine)
    {
        using var bench = Engines.Bench(engine);
        var random = new RandomArrays(3);
        double[,] table = random.Matrix(7, 5);
        double[,] positions = random.Matrix(90, 5);
        int[,] tokens = random.Tokens(2, 20, 7);
        double[,] following = new double[20, 5];
        Flat.Of(positions).Slice(70 * 5, 100).CopyTo(Flat.Of(following));
        ActivationTensor output = bench.Output(2, 20, 5);
        bench.Engine.EmbeddingForward(bench.Tokens(tokens), bench.Weights(table), bench.Weights(positions), output, 70);
        Comparison.CloseRelative(Reference.Embedding(tokens, table, following), bench.Read(output), 1e-7, engine + ": embedding");
        bench.Engine.PositionForward(bench.Weights(positions), output, 70);
        Comparison.SameBits(Flat.Floats(Reference.Embedding(tokens, null, following)), bench.Read(output), engine + ": positions");
    }

    /// <summary>Zeros as AbsTopK leaves them, down to queries that are all zero.</summary>
    private static void ClearSome(double[,,] values, RandomArrays random)
    {
        foreach (ref double value in Flat.Of(values))
        {
            value = random.Integer(3) == 0 ? 0 : value;
        }

        Flat.Of(values)[..values.GetLength(2)].Clear();
    }

    private static double[,,] Part(double[,,] all, int first, int count)
    {
        var part = new double[all.GetLength(0), count, all.GetLength(2)];
        for (int b = 0; b < part.GetLength(0); b++)
        {
            for (int t = 0; t < count; t++)
            {
                for (int c = 0; c < part.GetLength(2); c++)
                {
                    part[b, t, c] = all[b, first + t, c];
                }
            }
        }

        return part;
    }
}
