using Sparsity.Core.Corpora;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tests.Tasks;

/// <summary>Tokenizers trained on the synthetic corpus, once for all tests.</summary>
internal static class SyntheticTokenizers
{
    private static readonly Lazy<BytePairTokenizer> LazySmall = new(() => Train(512));
    private static readonly Lazy<BytePairTokenizer> LazyLarge = new(() => Train(1024));

    internal static string[] Corpus { get; } = [.. SyntheticPython.Documents(1, 2_000_000).Select(document => document.Text)];

    /// <summary>A vocabulary as in the demo: the answers of a few tasks are not single tokens.</summary>
    internal static BytePairTokenizer Small => LazySmall.Value;

    /// <summary>The answers of all tasks are single tokens.</summary>
    internal static BytePairTokenizer Large => LazyLarge.Value;

    private static BytePairTokenizer Train(int vocabulary) => BytePairTrainer.Train(Corpus, vocabulary);
}
