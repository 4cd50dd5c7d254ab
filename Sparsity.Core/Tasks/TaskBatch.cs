using System.Text.Json.Serialization;

namespace Sparsity.Core.Tasks;

/// <summary>
/// A <see cref="PromptPair"/> in tokens. The prompts need not be equally long; the answer is read at each one's last position.
/// </summary>
/// <param name="First">Tokens of the prompt after which <paramref name="AnswerA"/> is right; never empty.</param>
/// <param name="Second">Tokens of the prompt after which <paramref name="AnswerB"/> is right; never empty.</param>
public sealed record TokenizedPair(int[] First, int[] Second, int AnswerA, int AnswerB)
{
    /// <summary>
    /// The right and the wrong answer after the second prompt, where it has nothing to do with the first; null where they make a pair.
    /// </summary>
    [JsonIgnore] // prompts.json holds pairs only
    public (int Right, int Wrong)? OwnSecond { get; init; }

    /// <summary>The token that is right after a prompt.</summary>
    /// <param name="prompt">Even for the first, odd for the second.</param>
    public int RightAfter(int prompt) => prompt % 2 == 0 ? AnswerA : OwnSecond?.Right ?? AnswerB;

    /// <summary>The token that is wrong after a prompt.</summary>
    /// <inheritdoc cref="RightAfter" path="/param"/>
    public int WrongAfter(int prompt) => prompt % 2 == 0 ? AnswerB : OwnSecond?.Wrong ?? AnswerA;

    /// <summary>The same prompts with right and wrong exchanged.</summary>
    public TokenizedPair WithAnswersExchanged() =>
        this with
        {
            AnswerA = AnswerB,
            AnswerB = AnswerA,
            OwnSecond = OwnSecond is { } own ? (own.Wrong, own.Right) : null,
        };
}

/// <summary>Pairs of one task, drawn together.</summary>
/// <param name="Pairs">The pairs, in the order in which they were drawn.</param>
public sealed record TaskBatch(IReadOnlyList<TokenizedPair> Pairs)
{
    /// <summary>The number of pairs; there are twice as many prompts.</summary>
    public int Count => Pairs.Count;

    /// <summary>The length of the longest prompt in tokens.</summary>
    public int LongestPrompt => Pairs.Max(pair => Math.Max(pair.First.Length, pair.Second.Length));
}
