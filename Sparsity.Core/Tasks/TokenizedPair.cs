namespace Sparsity.Core.Tasks;

/// <summary>A pair of prompts as token ids: <paramref name="AnswerA"/> is right after the first, <paramref name="AnswerB"/> after the second.</summary>
public sealed record TokenizedPair(int[] First, int[] Second, int AnswerA, int AnswerB);
