using System.Text.RegularExpressions;
using Sparsity.Core.Corpora;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Corpora;

public partial class SyntheticPythonTests
{
    private const long SampleBytes = 2_000_000;

    private static readonly string[] Sample = [.. SyntheticPython.Documents(3, SampleBytes).Select(document => document.Text)];
    private static readonly Lazy<Dictionary<string, long>> PreTokens = new(CountPreTokens);

    [PythonFact]
    public void EveryModuleIsValidPython()
    {
        using var folder = new TemporaryFolder();
        for (int i = 0; i < 300; i++)
        {
            File.WriteAllText(folder[$"{i:D3}.py"], SyntheticPython.Module(11, i));
        }

        const string Program = """
            import pathlib, sys
            paths = sorted(pathlib.Path(sys.argv[1]).glob('*.py'))
            for path in paths:
                try:
                    compile(path.read_text(), path.name, 'exec') # also sees a return or break out of place
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
        Assert.All(
            Sample,
            text =>
            {
                Assert.InRange(text.Length, 500, 8000);
                Assert.True(text.All(c => c is '\n' or (>= ' ' and <= '~')), text);
                Assert.EndsWith("\n", text, StringComparison.Ordinal);
                Assert.DoesNotContain(" \n", text, StringComparison.Ordinal);
            }
        );
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

    /// <summary>What small models were found to need, per 12 MB, each with and without a line break after it.</summary>
    [Theory]
    [InlineData("\")", 15_000)]
    [InlineData("')", 15_000)]
    [InlineData("]", 12_000)]
    [InlineData("]]", 12_000)]
    [InlineData("=None", 10_000)]
    [InlineData("):", 10_000)]
    [InlineData(".add", 5_000)]
    [InlineData(" +=", 5_000)]
    [InlineData(" elif", 1_500)]
    [InlineData(" else", 5_000)]
    [InlineData(" not", 5_000)]
    [InlineData(" {", 4_000)]
    [InlineData(" as", 1_500)]
    [InlineData(" enumerate", 2_500)]
    [InlineData(" range", 2_500)]
    public void DecidingTokensAreFrequent(string preToken, int per12Megabytes)
    {
        long bare = Count(preToken),
            atLineEnd = Count(preToken + "\n");

        Assert.True(
            (bare + atLineEnd) * 12_000_000 >= per12Megabytes * SampleBytes,
            $"{bare} and {atLineEnd} at line ends in {SampleBytes} bytes"
        );
    }

    [Theory]
    [InlineData("(\"", "('", 0.9)]
    [InlineData("\")", "')", 0.85)] // the modes of files, 'r' and 'w', are in single quotes
    [InlineData("]]", "]", 0.6)] // flat lists stand in other idioms too
    [InlineData(" enumerate", " range", 0.8)]
    public void TheTwoAnswersAreAboutEquallyFrequent(string first, string second, double least)
    {
        long a = Count(first),
            b = Count(second);

        Assert.True(Math.Min(a, b) >= least * Math.Max(a, b), $"{a} and {b}");
    }

    /// <summary>What follows the closing must not tell the kinds apart, nor what precedes it by more than the opening.</summary>
    [Theory]
    [InlineData("\"", "'", @"\(Q[a-z ]+Q\)(?<after>.{3})")]
    [InlineData("]", "]]", @"\dQ(?<after> .)")]
    public void BothKindsHaveTheSameSurroundings(string first, string second, string shape)
    {
        Dictionary<string, int> a = After(first),
            b = After(second);

        Assert.True(a.Values.Sum() > 500 && b.Values.Sum() > 500);
        foreach (string after in a.Where(pair => pair.Value > 100).Select(pair => pair.Key))
        {
            Assert.InRange(b.GetValueOrDefault(after) / (double)b.Values.Sum() / (a[after] / (double)a.Values.Sum()), 0.5, 2.0);
        }

        Dictionary<string, int> After(string kind) =>
            Sample
                .SelectMany(text => Regex.Matches(text, shape.Replace("Q", Regex.Escape(kind), StringComparison.Ordinal)))
                .CountBy(match => match.Groups["after"].Value)
                .ToDictionary();
    }

    private static long Count(string preToken) => PreTokens.Value.GetValueOrDefault(preToken);

    private static Dictionary<string, long> CountPreTokens()
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> byText = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (string text in Sample)
        {
            foreach (ValueMatch match in PreToken().EnumerateMatches(text))
            {
                ReadOnlySpan<char> token = text.AsSpan(match.Index, match.Length);
                byText[token] = byText.TryGetValue(token, out long count) ? count + 1 : 1;
            }
        }

        return counts;
    }

    [GeneratedRegex(@"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    private static partial Regex PreToken();
}
