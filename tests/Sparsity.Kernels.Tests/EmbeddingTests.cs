using Sparsity.Core.Engine;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests;

public class EmbeddingTests
{
    // One addition, 6e-8, of numbers below 8.
    private const double ForwardTolerance = 1e-7;

    // Sums of at most 390 gradients of order 1.
    private const double BackwardTolerance = 2e-6;

    private const int Vocabulary = 11;

    public static TheoryData<string> AllEngines => Engines.All;

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void EmbeddingMatchesReferenceAndFiniteDifferences(string engine)
    {
        ulong seed = 1;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            using var bench = Engines.Bench(engine);
            var random = new RandomArrays(seed++);
            string what = $"{engine}: embedding [{b},{t},{channels}]";
            bool slice = seed % 2 == 0;
            int[,] tokens = random.Tokens(b, t, Vocabulary);
            double[,] table = random.Matrix(Vocabulary, channels);
            double[,] positions = random.Matrix(t + 2, channels); // the block may be longer than the sequence
            double[,,] outputGradient = random.Activations(b, t, channels);
            TokenTensor ids = bench.Tokens(tokens);
            WeightTensor tokenWeights = bench.Weights(table);
            WeightTensor positionWeights = bench.Weights(positions);
            ActivationTensor output = bench.Output(b, t, channels, slice);

            bench.Engine.EmbeddingForward(ids, tokenWeights, positionWeights, output);
            Comparison.CloseRelative(Reference.Embedding(tokens, table, positions), bench.Read(output), ForwardTolerance, what);
            bench.Engine.EmbeddingForward(ids, tokenWeights, null, output);
            Comparison.SameBits(Flat.Floats(Reference.Embedding(tokens, table, null)), bench.Read(output), what + ", no positions");
            bench.Engine.PositionForward(positionWeights, output);
            Comparison.SameBits(Flat.Floats(Reference.Embedding(tokens, null, positions)), bench.Read(output), what + ", positions alone");

            double Loss() => Flat.Dot(Reference.Embedding(tokens, table, positions), outputGradient);
            ActivationTensor dy = bench.Gradient(outputGradient, slice);
            WeightTensor tokenGradient = bench.Constant(Vocabulary, channels, 0);
            WeightTensor positionGradient = bench.Constant(t + 2, channels, 0);
            bench.Engine.EmbeddingBackward(ids, dy, tokenGradient, positionGradient);
            FiniteDifference.Check(Loss, table, bench.Read(tokenGradient), BackwardTolerance, what + ", tokens");
            FiniteDifference.Check(Loss, positions, bench.Read(positionGradient), BackwardTolerance, what + ", positions");

            // Accumulated on top, each by itself.
            float[] once = bench.Read(tokenGradient);
            float[] positionsOnce = bench.Read(positionGradient);
            bench.Engine.EmbeddingBackward(ids, dy, tokenGradient, null);
            Comparison.CloseRelative(
                once.Select(v => 2.0 * v).ToArray(),
                bench.Read(tokenGradient),
                BackwardTolerance,
                what + ", tokens twice"
            );
            Comparison.SameBits(positionsOnce, bench.Read(positionGradient), what + ", positions left alone");
            bench.Engine.PositionBackward(dy, positionGradient);
            Comparison.CloseRelative(
                positionsOnce.Select(v => 2.0 * v).ToArray(),
                bench.Read(positionGradient),
                BackwardTolerance,
                what + ", positions twice"
            );
            bench.RequireNeighboursUntouched(what);
        }
    }

    [Theory]
    [MemberData(nameof(AllEngines))]
    public void GatherAndScatterMatchReference(string engine)
    {
        ulong seed = 100;
        foreach ((int b, int t, int channels) in Shapes.WithChannels())
        {
            foreach (int count in new[] { 1, Math.Min(t, 3), t }.Distinct())
            {
                using var bench = Engines.Bench(engine);
                var random = new RandomArrays(seed++);
                string what = $"{engine}: gather {count} of [{b},{t},{channels}]";
                bool slice = seed % 2 == 0;
                double[,,] input = random.Activations(b, t, channels);
                double[,,] outputGradient = random.Activations(b, count, channels);
                int[,] positions = random.Positions(b, count, t);
                TokenTensor picked = bench.Tokens(positions);
                ActivationTensor output = bench.Output(b, count, channels, slice);
                bench.Engine.GatherTokens(bench.Input(input, slice), picked, output);
                Comparison.SameBits(Flat.Floats(Reference.Gather(input, positions)), bench.Read(output), what);
                ActivationTensor oneSequence = bench.Output(1, b * count, channels, slice);
                bench.Engine.GatherTokens(bench.Input(input, slice), picked, oneSequence);
                Comparison.SameBits(bench.Read(output), bench.Read(oneSequence), what + ", as one sequence");

                ActivationTensor inputGradient = bench.Output(b, t, channels, slice);
                bench.Engine.ScatterTokens(bench.Gradient(outputGradient, slice), picked, inputGradient);
                FiniteDifference.Check(
                    () => Flat.Dot(Reference.Gather(input, positions), outputGradient),
                    input,
                    bench.Read(inputGradient),
                    BackwardTolerance,
                    what + ", scatter"
                );
                bench.RequireNoPadding(inputGradient, what);
                var asOneSequence = new double[1, b * count, channels];
                Flat.Of(outputGradient).CopyTo(Flat.Of(asOneSequence));
                ActivationTensor again = bench.Output(b, t, channels);
                bench.Engine.ScatterTokens(bench.Gradient(asOneSequence), picked, again);
                Comparison.SameBits(bench.Read(inputGradient), bench.Read(again), what + ", scatter of one sequence");
                bench.RequireNeighboursUntouched(what);
            }
        }
    }

    /// <summary>Reading one position several times is no error: only the backward needs them to differ.</summary>
    [Theory]
    [MemberData(nameof(AllEngines))]
    public void GatherMayRepeatPositions(string engine)
    {
        using var bench = Engines.Bench(engine);
        double[,,] input = new RandomArrays(1).Activations(1, 3, 2);
        int[,] positions =
        {
            { 2, 2, 0, 2 },
        };
        ActivationTensor output = bench.Output(1, 4, 2);
        bench.Engine.GatherTokens(bench.Input(input), bench.Tokens(positions), output);
        Comparison.SameBits(Flat.Floats(Reference.Gather(input, positions)), bench.Read(output), engine);
    }
}
