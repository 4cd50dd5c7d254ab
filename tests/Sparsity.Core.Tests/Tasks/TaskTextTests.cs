using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tests.Tasks;

/// <summary>
/// What the prompts are as text of the corpus: every template, its answers in the middle of code, its last tokens known to a model of the
/// corpus.
/// </summary>
public class TaskTextTests
{
    private const int DrawsPerTemplate = 20;

    private static readonly Lazy<HashSet<(int Before, int After)>> Neighbours = new(() =>
        [.. SyntheticTokenizers.Corpus.Select(SyntheticTokenizers.Large.Encode).SelectMany(tokens => tokens.Zip(tokens.Skip(1)))]
    );

    public static TheoryData<string> Names => [.. TaskCatalogue.All.Select(task => task.Name)];

    /// <summary>
    /// A boundary that holds at the end of the text may go where code follows, as in <c>")</c> and a line break: here what follows is
    /// there.
    /// </summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void TheAnswerIsATokenOfItsOwnInTheMiddleOfCode(string name)
    {
        PromptTask task = TaskCatalogue.Find(name);
        foreach (BytePairTokenizer tokenizer in new[] { SyntheticTokenizers.Small, SyntheticTokenizers.Large })
        {
            TokenizedTask.TryCreate(task, tokenizer, 64, out TokenizedTask? tokenized, out _);
            foreach (PromptPair pair in EveryTemplate(task))
            {
                Check(pair.First, tokenized?.OtherAnswers?.A ?? pair.AnswerA);
                Check(pair.Second, tokenized?.OtherAnswers?.B ?? pair.AnswerB);
            }

            void Check(string prompt, string answer)
            {
                if (tokenizer.TryGetSingleToken(answer, out int token))
                {
                    int[] before = tokenizer.Encode(prompt);
                    Assert.Equal(
                        [.. before, token],
                        tokenizer.Encode(prompt + answer + Continuation(name, answer)).Take(before.Length + 1)
                    );
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void EveryTaskFitsALargerVocabulary(string name) =>
        Assert.True(TokenizedTask.TryCreate(TaskCatalogue.Find(name), SyntheticTokenizers.Large, 64, out _, out string? reason), reason);

    /// <summary>A small model can only do what it has seen: the right answer after the prompt's last token occurs in the corpus.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void TheCorpusShowsTheRightAnswerAfterThePromptsLastToken(string name)
    {
        BytePairTokenizer tokenizer = SyntheticTokenizers.Large;
        bool[] known =
        [
            .. EveryTemplate(TaskCatalogue.Find(name))
                .SelectMany(pair => new[] { (pair.First, pair.AnswerA), (pair.Second, pair.AnswerB) })
                .Where(side => tokenizer.TryGetSingleToken(side.Item2, out _))
                .Select(side => Neighbours.Value.Contains((tokenizer.Encode(side.Item1)[^1], tokenizer.Encode(side.Item2)[0]))),
        ];

        Assert.True(
            known.Count(shown => shown) >= 0.9 * known.Length && known.Length > 0,
            $"{known.Count(shown => shown)} of {known.Length}"
        );
    }

    private static IEnumerable<PromptPair> EveryTemplate(PromptTask task) =>
        EveryTemplate(task, TaskSplit.Train, DrawsPerTemplate).Concat(EveryTemplate(task, TaskSplit.Test, DrawsPerTemplate));

    private static IEnumerable<PromptPair> EveryTemplate(PromptTask task, TaskSplit split, int draws)
    {
        var random = new RandomSource(17);
        return task.Templates(split)
            .SelectMany(template => Enumerable.Range(0, draws).Select(_ => template(random, PromptTask.UsualDistractorLines)));
    }

    /// <summary>What follows an answer in the corpus.</summary>
    private static string Continuation(string task, string answer) =>
        task switch
        {
            "class_init" => "\n        self",
            "var_swap" => ", x",
            _ => answer switch
            {
                "\")" or "')" or "]" or "]]" => " + x",
                ")" => ":\n",
                "r" or "w" => "')",
                ".add" or "(" or " enumerate" or " range" => "(x)"[(answer == "(" ? 1 : 0)..],
                " {" => "x}",
                "=None" => ", x",
                "," or ":" or " +=" or " ==" or " =" or " not" or " in" or " else" or " as" => " x",
                _ when answer.EndsWith('\n') => "        x = 1",
                _ when answer.Trim().Length == 0 => " x = 1",
                _ => throw new ArgumentException($"What follows '{answer}' in {task}?"),
            },
        };
}
