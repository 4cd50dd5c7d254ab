using Sparsity.Core.Training;

namespace Sparsity.Core.Tests.Training;

public class BigramBaselineTests
{
    [Fact]
    public void AStreamThatItsPairsDetermineHasALossNearZero()
    {
        ushort[] cycle = [.. Enumerable.Range(0, 3000).Select(i => (ushort)(i % 3))];
        int[] validation = [.. Enumerable.Range(0, 60).Select(i => i % 3)];
        Assert.InRange(BigramBaseline.Loss(cycle, validation, 12, 3), 0, 0.001);
    }

    [Fact]
    public void AFairCoinCostsLogTwo()
    {
        var random = new RandomSource(5);
        ushort[] coins = [.. Enumerable.Range(0, 100_000).Select(_ => (ushort)random.NextInt(2))];
        int[] validation = [.. Enumerable.Range(0, 10_000).Select(_ => random.NextInt(2))];
        Assert.Equal(Math.Log(2), BigramBaseline.Loss(coins, validation, 10, 2), 2e-3);
    }

    [Fact]
    public void TheFirstTokenOfAWindowIsNotPredicted()
    {
        // 0 -> 1 always; 1 -> 0 or 2, but only across windows of two tokens.
        ushort[] training = [.. Enumerable.Range(0, 1000).SelectMany(i => new ushort[] { 0, 1, (ushort)(i % 2 * 2), 1 })];
        int[] validation = [.. Enumerable.Range(0, 50).SelectMany(_ => new[] { 0, 1 })];
        Assert.InRange(BigramBaseline.Loss(training, validation, 2, 3), 0, 0.001);
    }
}
