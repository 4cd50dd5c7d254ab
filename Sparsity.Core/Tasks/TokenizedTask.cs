using System.Diagnostics.CodeAnalysis;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tasks;

/// <summary>Pairs of prompts, drawn together.</summary>
public sealed record TaskBatch(IReadOnlyList<TokenizedPair> Pairs);

/// <summary>A task in the tokens of one tokenizer.</summary>
public sealed class TokenizedTask
{
    private const int MostDraws = 200;

    private readonly PromptTask _task;
    private readonly BytePairTokenizer _tokenizer;
    private readonly int _maxTokens;

    private TokenizedTask(PromptTask task, BytePairTokenizer tokenizer, int maxTokens)
    {
        _task = task;
        _tokenizer = tokenizer;
        _maxTokens = maxTokens;
    }

    /// <summary>Whether the tokenizer can pose the task: its answers are single tokens, and every template has draws of at most <paramref name="maxTokens"/>.</summary>
    /// <param name="reason">Why not.</param>
    public static bool TryCreate(
        PromptTask task, BytePairTokenizer tokenizer, int maxTokens, [NotNullWhen(true)] out TokenizedTask? tokenized, [NotNullWhen(false)] out string? reason)
    {
        tokenized = new TokenizedTask(task, tokenizer, maxTokens);
        foreach (TaskSplit split in Enum.GetValues<TaskSplit>())
        {
            for (int i = 0; i < task.Templates(split).Count; i++)
            {
                reason = tokenized.ReasonAgainst(task.Templates(split)[i], RandomSource.For(0, "trial " + task.Name, i));
                if (reason is not null)
                {
                    tokenized = null;
                    return false;
                }
            }
        }

        reason = null;
        return true;
    }

    /// <summary>Draws pairs, template by template in turn. The same arguments always give the same pairs.</summary>
    public TaskBatch Sample(TaskSplit split, ulong seed, int count)
    {
        IReadOnlyList<Func<RandomSource, PromptPair>> templates = _task.Templates(split);
        var random = RandomSource.For(seed, $"{_task.Name} {split}");
        var pairs = new List<TokenizedPair>(count);
        for (int i = 0; i < count; i++)
        {
            pairs.Add(Draw(templates[i % templates.Count], random)
                ?? throw new BadInputException($"task {_task.Name}: a template gave no prompt of at most {_maxTokens} tokens in {MostDraws} draws. Raise max_tokens."));
        }

        return new TaskBatch(pairs);
    }

    private string? ReasonAgainst(Func<RandomSource, PromptPair> template, RandomSource random)
    {
        PromptPair example = template(random);
        foreach (string answer in new[] { example.AnswerA, example.AnswerB })
        {
            if (!_tokenizer.TryGetSingleToken(answer, out _))
            {
                return $"its answer '{answer.ReplaceLineEndings("\\n")}' is not a single token of this tokenizer";
            }
        }

        return Draw(template, random) is null ? $"a template has no prompt of at most {_maxTokens} tokens that ends where its answer's token begins" : null;
    }

    /// <summary>Null when no draw fits.</summary>
    private TokenizedPair? Draw(Func<RandomSource, PromptPair> template, RandomSource random)
    {
        for (int i = 0; i < MostDraws; i++)
        {
            PromptPair pair = template(random);
            int[] first = _tokenizer.Encode(pair.First);
            int[] second = _tokenizer.Encode(pair.Second);
            if (first.Length <= _maxTokens && second.Length <= _maxTokens
                && _tokenizer.TryGetSingleToken(pair.AnswerA, out int a) && _tokenizer.TryGetSingleToken(pair.AnswerB, out int b)
                && EndsBefore(pair.First, first, pair.AnswerA, a) && EndsBefore(pair.Second, second, pair.AnswerB, b))
            {
                return new TokenizedPair(first, second, a, b);
            }
        }

        return null;
    }

    /// <summary>Whether prompt and answer together encode to the prompt's tokens and then the answer's.</summary>
    private bool EndsBefore(string prompt, int[] tokens, string answer, int answerToken)
    {
        int[] together = _tokenizer.Encode(prompt + answer);
        return together.Length == tokens.Length + 1 && together[^1] == answerToken && together.AsSpan(0, tokens.Length).SequenceEqual(tokens);
    }
}
