using Sparsity.Core.Model;
using Sparsity.TestSupport;

namespace Sparsity.Kernels.Tests.Official;

/// <summary>Single training steps, each from the official state: what one rounds differently has no time to grow.</summary>
[Trait("Category", "OfficialParity")]
public class SingleStepParityTests
{
    public static TheoryData<string, string> Folders => Engines.SlowToo("s3_linear_anneal_afrac8", OfficialFolders.Of("single"));

    [Theory]
    [MemberData(nameof(Folders))]
    public void EveryStepFollowsTheOfficialScript(string engineName, string folder)
    {
        OfficialFixture fixture = OfficialFolders.Open(folder);
        using Bench bench = Engines.Bench(engineName);
        foreach (OfficialStep step in OfficialStep.AllOf(fixture))
        {
            ParityResult[] results = [.. OfficialStepComparison.Compare(step, step.Run(bench.Engine))];
            int parameters = ParameterSpec.ListFor(step.Model).Count(spec => !spec.IsBuffer);
            Assert.True(results.Length > 3 * parameters, $"{folder}: has next to nothing to compare.");
            Assert.True(results.All(result => result.Ok), $"{folder}\n{string.Join('\n', results.Where(result => !result.Ok))}");
        }
    }
}
