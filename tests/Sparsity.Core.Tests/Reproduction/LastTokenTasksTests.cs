using Sparsity.Core.Circuits;
using Sparsity.Core.Reproduction;
using Sparsity.Core.Tasks;
using Sparsity.Core.Tokenization;

namespace Sparsity.Core.Tests.Reproduction;

/// <summary>Which tasks need nothing but a prompt's last token.</summary>
public class LastTokenTasksTests
{
    private const int Else = 1;
    private const int Elif = 2;
    private const int Name = 3;
    private const int OtherName = 4;

    [Fact]
    public void ElseOrElifAloneDecides()
    {
        TextTokenizer tokenizer = TokenizerFolder.Load(
            Path.Combine(OfficialFixture.Root, "..", "..", "assets", "sparse-2x128", "tokenizer")
        );

        Assert.Equal(
            ["else_elif"],
            LastTokenTasks.Among(TaskCatalogue.All.Select(task => task.Name), tokenizer, new PruningConfig(), maxTokens: 64)
        );
    }

    [Fact]
    public void ALastTokenWithTwoRightAnswersDecidesNothing()
    {
        var ends = new TokenizedPair([9, Else], [9, Elif], 7, 8);

        Assert.True(LastTokenTasks.LastTokenDecides([ends, ends with { First = [5, 5, Else] }]));
        Assert.False(LastTokenTasks.LastTokenDecides([new TokenizedPair([Else, Name], [Elif, Name], 7, 8)]));
    }

    [Fact]
    public void NamesThatDifferWithinAPairDecideNothingOnceOneStandsOnEitherSide()
    {
        var pair = new TokenizedPair([Else, Name], [Elif, OtherName], 7, 8);

        Assert.False(LastTokenTasks.LastTokenDecides([pair, pair with { First = [Else, OtherName] }]));
    }

    [Fact]
    public void SinglePromptsHaveAnswersOfTheirOwn()
    {
        var pair = new TokenizedPair([9, Name], [9, Name], 7, 8) { OwnSecond = (7, 8) };

        Assert.True(LastTokenTasks.LastTokenDecides([pair]));
        Assert.False(LastTokenTasks.LastTokenDecides([pair, pair with { OwnSecond = (8, 7) }]));
    }
}
