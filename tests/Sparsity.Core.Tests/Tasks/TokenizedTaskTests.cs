using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tests.Tasks;

public class TokenizedTaskTests
{
    private const int MaxTokens = 64;

    private static BytePairTokenizer Tokenizer => SyntheticTokenizers.Small;

    [Fact]
    public void EveryTaskFitsTheDemosVocabulary() =>
        Assert.All(
            TaskCatalogue.All,
            task => Assert.True(TokenizedTask.TryCreate(task, Tokenizer, MaxTokens, out _, out string? reason), reason)
        );

    [Fact]
    public void ATaskWhoseAnswersAreNotTokensSaysSo()
    {
        BytePairTokenizer tokenizer = BytePairTrainer.Train(SyntheticTokenizers.Corpus.Take(50), 300);

        Assert.False(TokenizedTask.TryCreate(TaskCatalogue.Find("enumerate_range"), tokenizer, 256, out _, out string? reason));
        Assert.StartsWith("enumerate_range: ", reason, StringComparison.Ordinal);
        Assert.Contains("' enumerate' is not a single token", reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(TaskSplit.Train)]
    [InlineData(TaskSplit.Test)]
    public void PairsKeepWhatTheTaskMeans(TaskSplit split)
    {
        foreach (PromptTask task in TaskCatalogue.All)
        {
            TokenizedTask tokenized = Create(task);
            foreach (TokenizedPair pair in tokenized.Sample(split, 5, 200).Pairs)
            {
                Check(task, tokenized.OtherAnswers?.A, pair.First, pair.AnswerA);
                Check(task, tokenized.OtherAnswers?.B, pair.Second, pair.AnswerB);
            }
        }

        static void Check(PromptTask task, string? other, int[] prompt, int answer)
        {
            string text = Tokenizer.DecodeText(prompt);
            string answerText = Tokenizer.DecodeText([answer]);
            Assert.InRange(prompt.Length, 1, MaxTokens);
            Assert.Equal(other ?? TaskRules.Answer(task.Name, text), answerText);
            Assert.Equal([.. prompt, answer], Tokenizer.Encode(text + answerText));
        }
    }

    [Fact]
    public void ASampleDependsOnSplitAndSeedAndASmallerOneIsItsStart()
    {
        TokenizedTask task = Create(TaskCatalogue.Find("bracket_counting"));
        TaskBatch batch = task.Sample(TaskSplit.Train, 1, 20);

        AssertSame(batch.Pairs, task.Sample(TaskSplit.Train, 1, 20).Pairs);
        AssertSame([.. batch.Pairs.Take(5)], task.Sample(TaskSplit.Train, 1, 5).Pairs);
        Assert.Throws<Xunit.Sdk.EqualException>(() => AssertSame(batch.Pairs, task.Sample(TaskSplit.Train, 2, 20).Pairs));
        Assert.Equal(20, batch.Count);

        static void AssertSame(IReadOnlyList<TokenizedPair> expected, IReadOnlyList<TokenizedPair> actual) =>
            Assert.Equal(string.Join(';', expected.Select(Text)), string.Join(';', actual.Select(Text)));

        static string Text(TokenizedPair pair) =>
            $"{string.Join(' ', pair.First)}/{string.Join(' ', pair.Second)}/{pair.AnswerA}/{pair.AnswerB}";
    }

    [Theory]
    [InlineData("x = a", "x = b", "qzqzq", ")", "'qzqzq' is not a single token")]
    [InlineData("x =", "y =", "=", "\n", "boundary")]
    [InlineData("x = 1", "y = 1", "\n", "\n\n", "")]
    public void PairsThatDoNotFitAreRefusedWithTheReason(string first, string second, string a, string b, string expected)
    {
        PromptTask task = new("mine", "", [(_, _) => new PromptPair(first, second, a, b)], [(_, _) => new PromptPair(first, second, a, b)]);

        bool fits = TokenizedTask.TryCreate(task, Tokenizer, MaxTokens, out _, out string? reason);

        Assert.Equal(expected.Length == 0, fits);
        Assert.Contains(expected, reason ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public void OtherAnswersAreTakenBothTogetherWhereThePairsOwnAreNotSingleTokens()
    {
        PromptTemplate template = (_, _) => new PromptPair("x = f(\"a", "x = f('a", "qzqzq", "')");
        PromptTask task = new("mine", "", [template], [template])
        {
            OtherAnswers = [new("\") # qzqzq", "')"), new("\")", "')"), new("\")\n", "')\n")],
        };

        TokenizedTask tokenized = Create(task);

        Assert.Equal(new AnswerPair("\")", "')"), tokenized.OtherAnswers);
        Assert.Equal(
            ("\")", "')"),
            (
                Tokenizer.DecodeText([tokenized.Sample(TaskSplit.Train, 1, 1).Pairs[0].AnswerA]),
                Tokenizer.DecodeText([tokenized.Sample(TaskSplit.Train, 1, 1).Pairs[0].AnswerB])
            )
        );
        Assert.Null(Create(TaskCatalogue.Find("single_double_quote")).OtherAnswers);
        Assert.False(
            TokenizedTask.TryCreate(task with { OtherAnswers = [new("qzqzq", "')")] }, Tokenizer, MaxTokens, out _, out string? reason)
        );
        Assert.EndsWith("its other answers did not fit either.", reason, StringComparison.Ordinal);
    }

    /// <summary>
    /// The paper's prompts have up to 256 tokens: with enough other code before them all tasks come near it, and keep their answers.
    /// </summary>
    [Fact]
    public void DistractorsFillALongContext()
    {
        foreach (PromptTask task in TaskCatalogue.All)
        {
            Assert.True(
                TokenizedTask.TryCreate(task, SyntheticTokenizers.Large, 256, out TokenizedTask? tokenized, out string? reason, 30),
                reason
            );
            TaskBatch batch = tokenized.Sample(TaskSplit.Train, 3, 60);

            Assert.InRange(batch.Pairs.Max(pair => Math.Max(pair.First.Length, pair.Second.Length)), 200, 256);
            Assert.All(
                batch.Pairs,
                pair =>
                    Assert.Equal(
                        (SyntheticTokenizers.Large.DecodeText([pair.AnswerA]), SyntheticTokenizers.Large.DecodeText([pair.AnswerB])),
                        (
                            TaskRules.Answer(task.Name, SyntheticTokenizers.Large.DecodeText(pair.First)),
                            TaskRules.Answer(task.Name, SyntheticTokenizers.Large.DecodeText(pair.Second))
                        )
                    )
            );
        }
    }

    [Fact]
    public void APromptLongerThanTheModelReadsIsRefused()
    {
        Assert.False(TokenizedTask.TryCreate(TaskCatalogue.Find("single_double_quote"), Tokenizer, 3, out _, out string? reason));
        Assert.Contains("at most 3", reason, StringComparison.Ordinal);
    }

    private static TokenizedTask Create(PromptTask task) =>
        TokenizedTask.TryCreate(task, Tokenizer, MaxTokens, out TokenizedTask? tokenized, out string? reason)
            ? tokenized
            : throw new InvalidOperationException(reason);
}
