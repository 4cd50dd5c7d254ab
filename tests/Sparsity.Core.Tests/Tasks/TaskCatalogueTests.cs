using Sparsity.Core.Tasks;

namespace Sparsity.Core.Tests.Tasks;

public class TaskCatalogueTests
{
    private const int Draws = 3000;

    public static TheoryData<string> Names => [.. TaskCatalogue.All.Select(task => task.Name)];

    [Fact]
    public void TheTwentyTasksAreThereUnderTheirNames()
    {
        string[] expected =
        [
            "bracket_brace",
            "bracket_counting",
            "class_init",
            "else_elif",
            "enumerate_range",
            "final_kwarg",
            "for_while",
            "fstring_brace",
            "if_equals",
            "if_ternary",
            "indent_for",
            "lambda_func",
            "set_or_string",
            "set_or_string_fixedvarname",
            "single_double_quote",
            "var_if",
            "var_swap",
            "while_return_true",
            "with_as",
            "with_open",
        ];

        Assert.Equal(expected, TaskCatalogue.All.Select(task => task.Name).Order(StringComparer.Ordinal));
        Assert.All(
            TaskCatalogue.All,
            task =>
            {
                Assert.True(task.TrainTemplates.Count >= 10 && task.TestTemplates.Count >= 10, task.Name);
                Assert.Same(task, TaskCatalogue.Find(task.Name));
            }
        );
    }

    [Fact]
    public void AnUnknownNameIsAnsweredWithTheNames()
    {
        string message = Assert.Throws<BadInputException>(() => TaskCatalogue.Find("quote")).Message;

        Assert.DoesNotContain('\n', message);
        Assert.Contains("'quote'", message, StringComparison.Ordinal);
        Assert.Contains("single_double_quote", message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void AnswersAreRightByAnIndependentRule(string name)
    {
        Assert.All(
            All(name, TaskSplit.Train).Concat(All(name, TaskSplit.Test)),
            pair =>
            {
                Assert.NotEqual(pair.First, pair.Second);
                Assert.NotEqual(pair.AnswerA, pair.AnswerB);
                Assert.Equal(pair.AnswerA, TaskRules.Answer(name, pair.First));
                Assert.Equal(pair.AnswerB, TaskRules.Answer(name, pair.Second));
            }
        );
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void NoPromptIsInBothSplits(string name)
    {
        var trained = All(name, TaskSplit.Train).SelectMany(pair => new[] { pair.First, pair.Second }).ToHashSet(StringComparer.Ordinal);

        Assert.DoesNotContain(All(name, TaskSplit.Test), pair => trained.Contains(pair.First) || trained.Contains(pair.Second));
        Assert.True(trained.Count > Draws, $"{trained.Count} different prompts");
    }

    private static PromptPair[] All(string name, TaskSplit split)
    {
        var random = new RandomSource(9);
        return [.. Enumerable.Range(0, Draws).Select(_ => TaskCatalogue.Find(name).Draw(split, random))];
    }
}
