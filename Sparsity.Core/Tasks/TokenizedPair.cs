using System.Text.Json.Serialization;

namespace Sparsity.Core.Tasks;

/// <summary>
/// A <see cref="PromptPair"/> in tokens. The prompts need not be equally long; the answer is read at each one's last position.
/// </summary>
/// <param name="First">Tokens of the prompt after which <paramref name="AnswerA"/> is right; never empty.</param>
/// <param name="Second">Tokens of the prompt after which <paramref name="AnswerB"/> is right; never empty.</param>
internal sealed record TokenizedPair(int[] First, int[] Second, int AnswerA, int AnswerB)
{
    /// <summary>
    /// The right and the wrong answer after the second prompt, where it has nothing to do with the first; null where they make a pair.
    /// </summary>
    [JsonIgnore] // prompts.json holds pairs only
    public (int Right, int Wrong)? OwnSecond { get; init; }

    /// <summary>The first prompt with its answers.</summary>
    [JsonIgnore]
    public TokenizedPrompt FirstPrompt => new(First, AnswerA, AnswerB);

    /// <summary>The second prompt with its answers.</summary>
    [JsonIgnore]
    public TokenizedPrompt SecondPrompt => new(Second, OwnSecond?.Right ?? AnswerB, OwnSecond?.Wrong ?? AnswerA);

    /// <summary>The same prompts with right and wrong exchanged.</summary>
    public TokenizedPair WithAnswersExchanged() =>
        this with
        {
            AnswerA = AnswerB,
            AnswerB = AnswerA,
            OwnSecond = OwnSecond is { } own ? (own.Wrong, own.Right) : null,
        };
}
