using Sparsity.Core.Tasks;

namespace Sparsity.TestSupport;

/// <summary>For tests that compare prompt by prompt.</summary>
internal static class LogitDifferencesExtensions
{
    /// <summary>The first and the second of each pair, pair by pair.</summary>
    public static double[] ByPrompt(this LogitDifferences differences) =>
        [.. differences.Pairs.SelectMany(pair => new[] { pair.First, pair.Second })];
}
