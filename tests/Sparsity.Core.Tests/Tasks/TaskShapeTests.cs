using System.Text.RegularExpressions;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Tests.Tasks;

/// <summary>That test prompts ask for more than what training prompts show, and brackets for more than the sight of one token.</summary>
public class TaskShapeTests
{
    private const int Draws = 600;

    public static TheoryData<string> Names => [.. TaskCatalogue.All.Select(task => task.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void EachSplitHasStatementsOfSeveralShapesAndNoneIsInBoth(string name)
    {
        HashSet<string>[] train = Shapes(TaskSplit.Train),
            test = Shapes(TaskSplit.Test);

        Assert.All(train.Concat(test), shapes => Assert.True(shapes.Count >= 2, string.Join(" | ", shapes)));
        Assert.Empty(train[0].Union(train[1]).Intersect(test[0].Union(test[1])));

        // Of the first prompts and of the second ones.
        HashSet<string>[] Shapes(TaskSplit split) =>
            [
                [.. Pairs(name, split).Select(pair => StatementShapes.Of(name, pair.First))],
                [.. Pairs(name, split).Select(pair => StatementShapes.Of(name, pair.Second))],
            ];
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void NamesVary(string name)
    {
        string[] statements = [.. Prompts(name, TaskSplit.Test).Select(side => side.Prompt.TrimEnd('\n').Split('\n')[^1]).Distinct()];

        Assert.True(
            name is "while_return_true" or "else_elif" or "set_or_string_fixedvarname" || statements.Length >= 30,
            $"{statements.Length}"
        );
        Assert.True(
            Prompts(name, TaskSplit.Test)
                .SelectMany(side => Regex.Matches(side.Prompt, @"[a-z_]{3,}"))
                .DistinctBy(match => match.Value)
                .Count() > 100
        );
    }

    /// <summary>Rules that see which brackets there are, but do not count, against the rule that counts.</summary>
    [Theory]
    [InlineData(TaskSplit.Train)]
    [InlineData(TaskSplit.Test)]
    public void BracketsMustBeCounted(TaskSplit split)
    {
        (string Prompt, string Answer)[] sides =
        [
            .. Prompts("bracket_counting", split).Select(side => (StatementShapes.Last(side.Prompt), side.Answer)),
        ];

        Assert.Equal(1, Best(text => text.Count(c => c == '[') - text.Count(c => c == ']')));
        Assert.InRange(Best(text => text.Contains("[[", StringComparison.Ordinal) ? 1 : 0), 0.5, 0.8);
        Assert.InRange(Best(text => text[text.LastIndexOfAny(['[', ']'])]), 0.5, 0.8);
        Assert.InRange(Best(text => LastToken(text)), 0.5, 0.8);
        Assert.InRange(Best(text => text.Count(c => c == '[') > 1 ? 1 : 0), 0.5, 0.8);
        Assert.InRange(Best(text => text.Count(c => c == ']')), 0.5, 0.8);
        Assert.InRange(Best(text => text.Length / 8), 0.5, 0.8);

        // The share of right answers of the best rule that depends on this alone.
        double Best(Func<string, int> seen) =>
            sides.GroupBy(side => seen(side.Prompt)).Sum(group => group.CountBy(side => side.Answer).Max(answer => answer.Value))
            / (double)sides.Length;

        // The last token with a bracket, which tells an opening one after a space from one after another bracket.
        static int LastToken(string text) =>
            SyntheticTokenizers
                .Small.Encode(text)
                .Last(token => SyntheticTokenizers.Small.DecodeText([token]).AsSpan().IndexOfAny("[]") >= 0);
    }

    [Fact]
    public void DepthsAndLayoutsOfListsVary()
    {
        string[] prompts = [.. Prompts("bracket_counting", TaskSplit.Test).Select(side => side.Prompt)];

        Assert.Equal([1, 2, 3], prompts.Select(Deepest).Distinct().Order());
        Assert.Contains(prompts, prompt => Regex.IsMatch(prompt, @",\n +\["));
        Assert.Contains(prompts, prompt => Regex.IsMatch(prompt, @"\d, \[\d"));

        static int Deepest(string prompt)
        {
            int depth = 0,
                deepest = 0;
            foreach (char c in prompt)
            {
                depth +=
                    c == '[' ? 1
                    : c == ']' ? -1
                    : 0;
                deepest = Math.Max(deepest, depth);
            }

            return deepest;
        }
    }

    /// <summary>What is learnt from the corpus are the shapes: hardly a prompt stands there as it is.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void TheCorpusDoesNotHoldThePrompts(string name)
    {
        string corpus = string.Join('\n', SyntheticTokenizers.Corpus);
        string[] prompts =
        [
            .. Prompts(name, TaskSplit.Test)
                .Select(side => side.Prompt)
                .Distinct()
                .Where(prompt => prompt.Contains('\n', StringComparison.Ordinal))
                .Take(200),
        ];

        int held = prompts.Count(prompt => corpus.Contains(prompt, StringComparison.Ordinal));

        Assert.True(held == 0, $"{held} of {prompts.Length}");
    }

    [Theory]
    [InlineData("bracket_counting", @"(, \d){20}$")]
    [InlineData("single_double_quote", @"( \w+){20}$")]
    public void DilutionMakesThePromptLongerAndKeepsItsAnswer(string name, string end)
    {
        PromptTask task = TaskCatalogue.Find(name);
        var random = new RandomSource(5);
        Assert.True(
            TokenizedTask.TryCreate(task.Diluted(20), SyntheticTokenizers.Small, 128, out TokenizedTask? tokenized, out string? reason),
            reason
        );

        for (int i = 0; i < 200; i++)
        {
            PromptPair pair = task.Diluted(20).Draw(TaskSplit.Test, random);

            Assert.Matches(end, pair.First);
            Assert.Equal(pair.AnswerA, TaskRules.Answer(name, pair.First));
            Assert.Equal(pair.AnswerB, TaskRules.Answer(name, pair.Second));
        }

        Assert.Equal(task.Draw(TaskSplit.Test, new RandomSource(6)), task.Diluted(0).Draw(TaskSplit.Test, new RandomSource(6)));
        Assert.True(tokenized.Sample(TaskSplit.Test, 1, 50).Pairs.All(pair => pair.First.Length >= 40));
    }

    [Fact]
    public void ATaskWhoseStatementsCannotGoOnIsNotDiluted()
    {
        string message = Assert.Throws<BadInputException>(() => TaskCatalogue.Find("for_while").Diluted(3)).Message;

        Assert.StartsWith("for_while cannot be diluted", message, StringComparison.Ordinal);
        Assert.Contains("single_double_quote and bracket_counting", message, StringComparison.Ordinal);
    }

    private static IEnumerable<(string Prompt, string Answer)> Prompts(string name, TaskSplit split) =>
        Pairs(name, split).SelectMany(pair => new[] { (pair.First, pair.AnswerA), (pair.Second, pair.AnswerB) });

    private static IEnumerable<PromptPair> Pairs(string name, TaskSplit split)
    {
        var random = new RandomSource(21);
        PromptTask task = TaskCatalogue.Find(name);
        return Enumerable.Range(0, Draws).Select(_ => task.Draw(split, random));
    }
}
