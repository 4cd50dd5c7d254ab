using System.Text.RegularExpressions;
using Sparsity.Core.Corpora;

namespace Sparsity.Core.Tests.Corpora;

public partial class SyntheticPythonTests
{
    private const long SampleBytes = 1_000_000;

    private static readonly string[] Sample = [.. SyntheticPython.Documents(3, SampleBytes).Select(document => document.Text)];

    [PythonFact]
    public void EveryModuleIsValidPython()
    {
        using var folder = new TemporaryFolder();
        for (int i = 0; i < 300; i++)
        {
            File.WriteAllText(folder.At($"{i:D3}.py"), SyntheticPython.Module(11, i));
        }

        const string Program = """
            import ast, pathlib, sys
            paths = sorted(pathlib.Path(sys.argv[1]).glob('*.py'))
            for path in paths:
                try:
                    ast.parse(path.read_text())
                except SyntaxError as e:
                    print(path.name, e)
            print(len(paths))
            """;
        (int code, string output) = PythonFactAttribute.Run(Program, folder.Path);

        Assert.Equal(0, code);
        Assert.Equal("300", output.Trim());
    }

    [Fact]
    public void AModuleDependsOnSeedAndNumberOnly()
    {
        Assert.Equal(SyntheticPython.Module(5, 7), SyntheticPython.Module(5, 7));
        Assert.NotEqual(SyntheticPython.Module(5, 7), SyntheticPython.Module(5, 8));
        Assert.NotEqual(SyntheticPython.Module(5, 7), SyntheticPython.Module(6, 7));
    }

    [Fact]
    public void ModulesAreHalfAKilobyteToAFewAndPlainText()
    {
        Assert.All(Sample, text =>
        {
            Assert.InRange(text.Length, 500, 8000);
            Assert.True(text.All(c => c is '\n' or (>= ' ' and <= '~')), text);
            Assert.EndsWith("\n", text, StringComparison.Ordinal);
            Assert.DoesNotContain(" \n", text, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void DocumentsAreDistinctReachTheSizeAndKeepAboutThreePerCentForValidation()
    {
        CorpusDocument[] documents = [.. SyntheticPython.Documents(3, SampleBytes)];

        Assert.Equal(documents.Length, documents.Select(document => document.Text).Distinct().Count());
        Assert.InRange(documents.Sum(document => document.Text.Length), SampleBytes, SampleBytes + 10_000);
        Assert.InRange(documents.Count(document => document.Validation) / (double)documents.Length, 0.02, 0.04);
        Assert.Contains(SyntheticPython.Documents(3, 1), document => document.Validation);
    }

    [Fact]
    public void ASizeThatIsNotPositiveIsRefused() => Assert.Throws<BadInputException>(() => SyntheticPython.Documents(3, 0));

    /// <summary>The shares that small models were found to need, per 12 MB: 40,000 of each quote, 12,000 of each kind of list.</summary>
    [Theory]
    [InlineData("(\"", 38_000)] // 40,000 counted over 12 MB; a sample of 1 MB scatters
    [InlineData("('", 38_000)]
    [InlineData("\")", 35_000)]
    [InlineData("')", 35_000)]
    [InlineData("]", 12_000)]
    [InlineData("]]", 11_500)]
    [InlineData("=None", 10_000)]
    [InlineData("):\n", 10_000)]
    [InlineData(".add", 5_000)]
    [InlineData(" +=", 5_000)]
    [InlineData(" not", 5_000)]
    [InlineData(" {", 4_000)]
    [InlineData(" as", 1_000)]
    [InlineData(" enumerate", 2_500)]
    [InlineData(" range", 2_500)]
    public void DecidingTokensAreFrequent(string preToken, int per12Megabytes)
    {
        long count = Sample.Sum(text => PreToken().Matches(text).Count(match => match.Value == preToken));

        Assert.True(count >= per12Megabytes * SampleBytes / 12_000_000, $"{count} in 1 MB");
    }

    /// <summary>What follows the closing must not tell the kinds apart, nor what precedes it by more than the opening.</summary>
    [Theory]
    [InlineData("\"", "'", @"\(Q[a-z ]+Q\)(?<after>.{3})")]
    [InlineData("]", "]]", @"\dQ(?<after> .)")]
    public void BothKindsHaveTheSameSurroundings(string first, string second, string shape)
    {
        Dictionary<string, int> a = After(first), b = After(second);

        Assert.True(a.Values.Sum() > 500 && b.Values.Sum() > 500);
        foreach (string after in a.Where(pair => pair.Value > 100).Select(pair => pair.Key))
        {
            Assert.InRange(b.GetValueOrDefault(after) / (double)b.Values.Sum() / (a[after] / (double)a.Values.Sum()), 0.5, 2.0);
        }

        Dictionary<string, int> After(string kind) => Sample
            .SelectMany(text => Regex.Matches(text, shape.Replace("Q", Regex.Escape(kind), StringComparison.Ordinal)))
            .CountBy(match => match.Groups["after"].Value)
            .ToDictionary();
    }

    [GeneratedRegex(@"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    private static partial Regex PreToken();
}
