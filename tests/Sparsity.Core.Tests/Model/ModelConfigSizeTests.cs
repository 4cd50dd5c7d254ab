using Sparsity.Core.Model;

namespace Sparsity.Core.Tests.Model;

public sealed class ModelConfigSizeTests
{
    [Theory]
    [InlineData("""{"vocab_size": 65536, "d_model": 16, "n_head": 1, "enable_bigram_table": true}""", "vocab_size * vocab_size")]
    [InlineData("""{"vocab_size": 65536, "d_model": 65536, "n_head": 1, "d_head": 1, "d_mlp": 1}""", "vocab_size * d_model")]
    [InlineData("""{"vocab_size": 2, "d_model": 16, "n_head": 2000000000, "d_head": 2000000000}""", "n_head * d_head")]
    [InlineData("""{"vocab_size": 2, "d_model": 65536, "n_head": 1, "d_head": 1, "d_mlp": 2147483647}""", "d_model * d_mlp")]
    [InlineData("""{"vocab_size": 2, "d_model": 16, "n_head": 1, "block_size": 2147483647}""", "block_size * d_model")]
    public void ATensorLargerThanAnArrayIsRefused(string json, string product)
    {
        var refused = Assert.Throws<BadInputException>(() => ModelConfig.Parse(json, "config.json"));
        Assert.Contains(product, refused.Message);
    }

    [Fact]
    public void TheLargestVocabularyWithoutBigramTableIsAllowed() =>
        Assert.Equal(65536, ModelConfig.Parse("""{"vocab_size": 65536, "d_model": 16, "n_head": 1}""", "config.json").VocabSize);
}
