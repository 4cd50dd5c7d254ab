using Sparsity.Cli.Verbs;
using Sparsity.Core.Circuits;
using Sparsity.Core.Pruning;

namespace Sparsity.Cli.Tests;

/// <summary>The share of the work that is done, from which the time left follows.</summary>
public class PruningProgressTests
{
    [Fact]
    public void SharesOfSearchesAddUp()
    {
        var line = new PruningProgressLine(Plan(search: 0, faithfulness: false), searches: 2);
        Assert.Equal(0, line.Share);
        line.Show("for_while", Step(0.001, 50)); // half of the first of two penalties of one of two searches
        Assert.Equal(1.0 / 8, line.Share, 12);
        line.Show("var_if", Step(0.002, 100));
        Assert.Equal((1.0 / 8) + (1.0 / 2), line.Share, 12);
        line.Finish("var_if");
        Assert.Equal((1.0 / 8) + (1.0 / 2), line.Share, 12);
        line.Show("for_while", Step(0.002, 50));
        Assert.Equal((3.0 / 8) + (1.0 / 2), line.Share, 12);
        line.Finish("for_while");
        Assert.Equal(1, line.Share, 12);
    }

    [Fact]
    public void TrialsAndControlsAreWorkToo()
    {
        // A search, 4 trials of one penalty each, and checks worth 4 searches.
        var line = new PruningProgressLine(Plan(search: 4, faithfulness: true), searches: 1);
        line.Show("for_while, trial 0", Step(0.003, 100));
        line.Show("for_while, trial 1", Step(0.003, 100));
        Assert.Equal(1.0 / 7, line.Share, 12);
        line.Show("for_while, nonsense 1", Step(0.002, 100));
        Assert.Equal(2.0 / 7, line.Share, 12);
        line.Finish("for_while");
        Assert.Equal(1, line.Share, 12);
    }

    private static PruningProgress Step(double kCoef, int step) => new(kCoef, step, 0, 0);

    private static PruningPlan Plan(int search, bool faithfulness) =>
        new()
        {
            Version = "",
            Model = "",
            ModelFingerprint = "",
            Tasks = ["for_while", "var_if"],
            PruneUnsolved = true,
            TargetLosses = [0.15],
            Seeds = [1],
            Search = search,
            Faithfulness = faithfulness,
            Settings = new PruningConfig { KCoef = [0.001, 0.002], Steps = 100 },
        };
}
