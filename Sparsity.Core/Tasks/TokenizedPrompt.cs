namespace Sparsity.Core.Tasks;

/// <summary>One prompt of a <see cref="TokenizedPair"/>.</summary>
/// <param name="Tokens">Never empty.</param>
/// <param name="Right">The token that is right after it.</param>
/// <param name="Wrong">The token that <paramref name="Right"/> is compared with.</param>
internal readonly record struct TokenizedPrompt(int[] Tokens, int Right, int Wrong);
