using Sparsity.Core.Generation;

namespace Sparsity.Core.Tests.Generation;

public class SamplingTests
{
    private static readonly float[] Logits = [0, 3, 1, 3, -2, 2.5f, float.NegativeInfinity];

    [Fact]
    public void TemperatureZeroTakesTheLikeliestAndOfEqualsTheLower() =>
        Assert.Equal(1, new SamplingConfig { Temperature = 0 }.Draw(Logits, new RandomSource(1)));

    [Fact]
    public void FrequenciesAreTheSoftmaxAtTheTemperature()
    {
        var config = new SamplingConfig { Temperature = 2, TopP = 1 };
        double[] weights = [.. Logits.Select(logit => Math.Exp(logit / 2))];
        RequireFrequencies(config, [.. weights.Select(weight => weight / weights.Sum())]);
    }

    [Fact]
    public void TopKKeepsTheLikeliest()
    {
        double[] weights = [0, Math.Exp(3), 0, Math.Exp(3), 0, Math.Exp(2.5), 0];
        RequireFrequencies(
            new SamplingConfig
            {
                Temperature = 1,
                TopP = 1,
                TopK = 3,
            },
            [.. weights.Select(weight => weight / weights.Sum())]
        );
        Assert.Equal(
            1,
            new SamplingConfig
            {
                Temperature = 1,
                TopP = 1,
                TopK = 1,
            }.Draw(Logits, new RandomSource(3))
        );
    }

    /// <summary>
    /// The nucleus is the shortest run of likeliest tokens that reaches top-p: here e^3, e^3 reach 0.71 of the whole, and with e^2.5 0.93.
    /// </summary>
    [Theory]
    [InlineData(0.3, 1)]
    [InlineData(0.6, 2)]
    [InlineData(0.8, 3)]
    [InlineData(0.95, 4)]
    public void TopPKeepsTheNucleus(double topP, int count)
    {
        int[] order = [1, 3, 5, 2, 0, 4, 6];
        double[] weights = new double[Logits.Length];
        foreach (int token in order.Take(count))
        {
            weights[token] = Math.Exp(Logits[token]);
        }

        RequireFrequencies(new SamplingConfig { Temperature = 1, TopP = topP }, [.. weights.Select(weight => weight / weights.Sum())]);
    }

    /// <summary>Leaving out the tail before sorting must not change what is drawn.</summary>
    [Fact]
    public void WideVocabulariesDrawTheSameWithAndWithoutATopKOfAll()
    {
        var random = new RandomSource(9);
        float[] logits = [.. Enumerable.Range(0, 3000).Select(_ => 3 * (float)random.NextNormal())];
        for (ulong seed = 0; seed < 200; seed++)
        {
            var config = new SamplingConfig { Temperature = 0.7, TopP = 0.9 };
            Assert.Equal((config with { TopK = 3000 }).Draw(logits, new RandomSource(seed)), config.Draw(logits, new RandomSource(seed)));
        }
    }

    [Theory]
    [InlineData(-1, null, 1)]
    [InlineData(double.PositiveInfinity, null, 1)]
    [InlineData(1, 0, 1)]
    [InlineData(1, null, 0)]
    [InlineData(1, null, 1.1)]
    public void FieldsOutOfRangeAreRefused(double temperature, int? topK, double topP) =>
        Assert.Throws<BadInputException>(() =>
            new SamplingConfig
            {
                Temperature = temperature,
                TopK = topK,
                TopP = topP,
            }.Validated()
        );

    /// <summary>Of 20,000 draws; four and a half deviations, and exactly zero where nothing may be drawn.</summary>
    private static void RequireFrequencies(SamplingConfig config, double[] expected)
    {
        const int Draws = 20_000;
        var random = new RandomSource(17);
        var counts = new int[expected.Length];
        for (int i = 0; i < Draws; i++)
        {
            counts[config.Draw(Logits, random)]++;
        }

        for (int token = 0; token < expected.Length; token++)
        {
            double tolerance = 4.5 * Math.Sqrt(Draws * expected[token] * (1 - expected[token]));
            Assert.True(
                Math.Abs(counts[token] - (Draws * expected[token])) <= tolerance,
                $"Token {token} came {counts[token]} times, expected {Draws * expected[token]:0}."
            );
        }
    }
}
