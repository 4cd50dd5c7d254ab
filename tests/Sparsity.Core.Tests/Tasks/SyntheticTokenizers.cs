using Sparsity.Core.Corpora;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tests.Tasks;

/// <summary>Tokenizers trained on the synthetic corpus, once for all tests.</summary>
internal static class SyntheticTokenizers
{
    private static readonly Lazy<BytePairTokenizer> LazySmall = new(() => Train(512, separateBrackets: true));
    private static readonly Lazy<BytePairTokenizer> LazyLarge = new(() => Train(1024, separateBrackets: false));

    internal static string[] Corpus { get; } = [.. SyntheticPython.Documents(1, 2_000_000).Select(document => document.Text)];

    /// <summary>As in the demo: few tokens, brackets separate.</summary>
    internal static BytePairTokenizer Small => LazySmall.Value;

    /// <summary>As most tokenizers are: brackets merge with their neighbours.</summary>
    internal static BytePairTokenizer Large => LazyLarge.Value;

    private static BytePairTokenizer Train(int vocabulary, bool separateBrackets) =>
        BytePairTrainer.Train(Corpus, vocabulary, separateBrackets);
}
