using Sparsity.Faults;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Fuzzing;

/// <summary>
/// 20,000 damaged files of every kind the program reads, the same every time. The long form: <c>Sparsity.Faults mutations N</c>.
/// </summary>
public sealed class FuzzTests : IDisposable
{
    private const int CasesInAll = 8_000;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void DamagedFilesAreReadOrRefused()
    {
        IReadOnlyList<Mutations> kinds = Mutations.Kinds(_folder);
        int cases = CasesInAll / kinds.Count;
        foreach (Mutations kind in kinds)
        {
            int refused = kind.Run(cases);

            // A share must come through and a share be refused, else the damage shows nothing. Of metrics and rows of JSON, lines that are
            // damaged are left out.
            bool leavesLinesOut = kind.Name is "metrics" or "rows of JSON";
            Assert.True(
                leavesLinesOut ? refused < cases : refused > cases / 20 && refused < cases,
                $"{kind.Name}: {refused} of {cases} refused"
            );
        }
    }
}
