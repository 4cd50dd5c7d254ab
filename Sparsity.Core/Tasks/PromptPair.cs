namespace Sparsity.Core.Tasks;

/// <summary>
/// Two prompts, and the token that is right after each. Usually they differ in what decides, and the one's answer is wrong after the other.
/// </summary>
/// <param name="First">The prompt after which <paramref name="AnswerA"/> is right and <paramref name="AnswerB"/> wrong.</param>
/// <param name="Second">The prompt after which <paramref name="AnswerB"/> is right and <paramref name="AnswerA"/> wrong, if
/// <see cref="OwnSecond"/> does not say otherwise.</param>
public sealed record PromptPair(string First, string Second, string AnswerA, string AnswerB)
{
    /// <summary>
    /// The second prompt's own right (A) and wrong (B) answer, where the two prompts have nothing to do with each other; null where they
    /// make a pair.
    /// </summary>
    public AnswerPair? OwnSecond { get; init; }
}

/// <summary>The two answers of a task, without the prompts.</summary>
/// <param name="A">Right after the first prompt.</param>
/// <param name="B">Right after the second prompt.</param>
public sealed record AnswerPair(string A, string B);
