using System.Text.Json.Serialization;

namespace Sparsity.Core.Tasks;

/// <summary>Two prompts that differ in the deciding context, and the token that is right after each.</summary>
/// <param name="First">The prompt after which <paramref name="AnswerA"/> is right.</param>
/// <param name="Second">The prompt after which <paramref name="AnswerB"/> is right.</param>
public sealed record PromptPair(
    [property: JsonRequired] string First,
    [property: JsonRequired] string Second,
    [property: JsonRequired] string AnswerA,
    [property: JsonRequired] string AnswerB);

/// <summary>The two answers of a task, without the prompts.</summary>
/// <param name="A">Right after the first prompt.</param>
/// <param name="B">Right after the second prompt.</param>
public sealed record AnswerPair(string A, string B);
