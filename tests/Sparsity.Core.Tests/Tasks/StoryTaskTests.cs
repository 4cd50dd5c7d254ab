using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tests.Tasks;

/// <summary>The task files of tasks/stories, in the tokens of the replication's models.</summary>
public class StoryTaskTests
{
    private static readonly string Fixtures = Path.GetDirectoryName(OfficialFixture.Root)!;

    public static TheoryData<string> Files =>
        [.. Directory.GetFiles(Path.Combine(Fixtures, "..", "..", "tasks", "stories"), "*.json").Select(path => Path.GetFileName(path)!)];

    [Theory]
    [MemberData(nameof(Files))]
    public void EveryPromptIsMadeOfKnownWordsAndEveryAnswerIsOneToken(string file)
    {
        TextTokenizer tokenizer = TokenizerFolder.Load(Path.Combine(Fixtures, "replication", "tokenizer"));
        PromptTask task = PromptTask.Load(Path.Combine(Fixtures, "..", "..", "tasks", "stories", file));
        int unknown = tokenizer.Encode("[UNK]").Single();

        Assert.Equal(Path.GetFileNameWithoutExtension(file), task.Name);
        Assert.True(TokenizedTask.TryCreate(task, tokenizer, 16, out TokenizedTask? tokenized, out string? reason), reason);
        foreach (TaskSplit split in Enum.GetValues<TaskSplit>())
        {
            IReadOnlyList<TokenizedPair> pairs = tokenized.Sample(split, 1, 64).Pairs;
            Assert.DoesNotContain(pairs, pair => pair.First.Contains(unknown) || pair.Second.Contains(unknown));
            Assert.All(pairs, pair => Assert.Equal(task.IsPaired, pair.OwnSecond is null));
            Assert.True(
                pairs.SelectMany(pair => new[] { pair.FirstPrompt.Right, pair.SecondPrompt.Right }).Distinct().Count() > 1
                    || file == "closing_quote.json",
                "one answer is always right"
            );
        }
    }
}
