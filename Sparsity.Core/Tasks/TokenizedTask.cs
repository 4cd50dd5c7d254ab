using System.Diagnostics.CodeAnalysis;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tasks;

/// <summary>
/// A task in the tokens of one tokenizer. Each pair keeps what the task means: both answers are single tokens, and they stand where the
/// tokenizer puts a boundary, so that prompt and answer together encode to the prompt's tokens and then the answer's.
/// </summary>
internal sealed class TokenizedTask
{
    private const int MostDraws = 400;

    private readonly TextTokenizer _tokenizer;
    private readonly int _maxTokens;
    private readonly int _distractorLines;

    private TokenizedTask(PromptTask task, TextTokenizer tokenizer, int maxTokens, int distractorLines, AnswerPair? otherAnswers)
    {
        Task = task;
        _tokenizer = tokenizer;
        _maxTokens = maxTokens;
        _distractorLines = distractorLines;
        OtherAnswers = otherAnswers;
    }

    public PromptTask Task { get; }

    /// <summary>
    /// Which of <see cref="PromptTask.OtherAnswers"/> stands for the pairs' own answers, in every pair; null if those are single tokens
    /// themselves.
    /// </summary>
    public AnswerPair? OtherAnswers { get; }

    /// <summary>
    /// Puts <paramref name="task"/> into tokens, if every template of it can give pairs that fit: with the pairs' own answers, or else with
    /// the first others that do.
    /// </summary>
    /// <param name="maxTokens">The longest prompt the model reads, in tokens.</param>
    /// <param name="reason">If not: why, in one line that begins with the task's name.</param>
    /// <param name="distractorLines">Most lines of other code before the statement that matters; pairs longer than
    /// <paramref name="maxTokens"/> are drawn again.</param>
    public static bool TryCreate(
        PromptTask task,
        TextTokenizer tokenizer,
        int maxTokens,
        [NotNullWhen(true)] out TokenizedTask? tokenized,
        [NotNullWhen(false)] out string? reason,
        int distractorLines = PromptTask.UsualDistractorLines
    )
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxTokens);
        string? firstReason = null;
        foreach (AnswerPair? answers in task.OtherAnswers.Prepend(null))
        {
            tokenized = new TokenizedTask(task, tokenizer, maxTokens, distractorLines, answers);
            if (tokenized.Misfit() is not { } misfit)
            {
                reason = null;
                return true;
            }

            firstReason ??= misfit;
        }

        tokenized = null;
        reason = firstReason + (task.OtherAnswers.Count == 0 ? "." : "; its other answers did not fit either.");
        return false;
    }

    /// <summary>
    /// Draws pairs. The i-th pair depends on the split, the seed and i only, so that a smaller sample is the start of a larger one.
    /// </summary>
    /// <exception cref="BadInputException">A template gave no pair that fits in many draws.</exception>
    public TaskBatch Sample(TaskSplit split, ulong seed, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        var pairs = new TokenizedPair[count];
        for (int i = 0; i < count; i++)
        {
            RandomSource random = RandomSource.For(seed, $"task {Task.Name} {split}", i);
            PromptTemplate template = random.Pick(Task.Templates(split));
            pairs[i] =
                Draw(template, random, out string problem)
                ?? throw new BadInputException(
                    $"Task {Task.Name}: no usable pair in {MostDraws} draws ({problem}). Use a longer context or another tokenizer."
                );
        }

        return new TaskBatch(pairs);
    }

    /// <summary>Why some template cannot be used, or null.</summary>
    private string? Misfit()
    {
        foreach (TaskSplit split in Enum.GetValues<TaskSplit>())
        {
            IReadOnlyList<PromptTemplate> templates = Task.Templates(split);
            for (int i = 0; i < templates.Count; i++)
            {
                if (Draw(templates[i], RandomSource.For(0, $"fit of {Task.Name} {split}", i), out string problem) is null)
                {
                    return $"{Task.Name}: {split.ToString().ToLowerInvariant()} template {i + 1} of {templates.Count} gave no usable "
                        + $"pair in {MostDraws} draws: {problem}";
                }
            }
        }

        return null;
    }

    /// <summary>A pair in tokens, or why it cannot be used.</summary>
    internal TokenizedPair? Tokenize(PromptPair pair, out string problem)
    {
        if (OtherAnswers is { } others)
        {
            pair = pair with { AnswerA = others.A, AnswerB = others.B };
        }

        AnswerPair second = pair.OwnSecond ?? new AnswerPair(pair.AnswerB, pair.AnswerA);
        if (
            new[] { pair.AnswerA, pair.AnswerB, second.A, second.B }.FirstOrDefault(answer =>
                !_tokenizer.TryGetSingleToken(answer, out _)
            ) is
            { } several
        )
        {
            problem = $"the answer {Shown(several)} is not a single token of the tokenizer";
            return null;
        }

        (int a, int b, int right, int wrong) = (Token(pair.AnswerA), Token(pair.AnswerB), Token(second.A), Token(second.B));
        return Tokenize(pair, second, (a, b), (right, wrong), out problem);

        int Token(string answer) => _tokenizer.TryGetSingleToken(answer, out int token) ? token : -1;
    }

    private TokenizedPair? Tokenize(
        PromptPair pair,
        AnswerPair ofSecond,
        (int A, int B) answers,
        (int Right, int Wrong) answersOfSecond,
        out string problem
    )
    {
        int[] first = _tokenizer.Encode(pair.First);
        int[] second = _tokenizer.Encode(pair.Second);
        int longest = Math.Max(first.Length, second.Length);
        problem =
            answers.A == answers.B || answersOfSecond.Right == answersOfSecond.Wrong ? $"both answers are the token {Shown(pair.AnswerA)}"
            : Math.Min(first.Length, second.Length) == 0 ? "a prompt is empty"
            : longest > _maxTokens ? $"a prompt has {longest} tokens and at most {_maxTokens} are read"
            : !EndsAtBoundary(pair.First, first, pair.AnswerA, answers.A) ? NoBoundary(pair.AnswerA)
            : !EndsAtBoundary(pair.Second, second, ofSecond.A, answersOfSecond.Right) ? NoBoundary(ofSecond.A)
            : "";
        return problem.Length > 0
            ? null
            : new TokenizedPair(first, second, answers.A, answers.B) { OwnSecond = pair.OwnSecond is null ? null : answersOfSecond };
    }

    private TokenizedPair? Draw(PromptTemplate template, RandomSource random, out string problem)
    {
        problem = "";
        for (int draw = 0; draw < MostDraws; draw++)
        {
            if (Tokenize(template(random, _distractorLines), out problem) is { } pair)
            {
                return pair;
            }
        }

        return null;
    }

    private bool EndsAtBoundary(string prompt, int[] tokens, string answer, int answerToken)
    {
        int[] whole = _tokenizer.Encode(prompt + answer);
        return whole.Length == tokens.Length + 1 && whole[^1] == answerToken && whole.AsSpan(0, tokens.Length).SequenceEqual(tokens);
    }

    private static string NoBoundary(string answer) => $"the answer {Shown(answer)} does not begin where the tokenizer puts a boundary";

    private static string Shown(string text) => "'" + text.Replace("\n", "\\n", StringComparison.Ordinal) + "'";
}
