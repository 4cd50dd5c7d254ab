using System.Text.RegularExpressions;

namespace Samples.Tests;

public class SampleTests(TrainedRun run) : IClassFixture<TrainedRun>
{
    [Fact]
    public void ActivationsAreRead()
    {
        string output = Output(writer => ReadActivations.Show(run.Folder, writer));

        Assert.Matches(
            @"^\d+ tokens, loss [0-4]\.\d{3}\n1\.mlp\.post_act at the last token: \d+ of 512 are active, neuron \d+ most\n$",
            output
        );
    }

    [Fact]
    public void WithoutAttentionTheModelKnowsLessOfTheQuote()
    {
        Match output = Regex.Match(Output(writer => Intervene.Show(run.Folder, writer)), @"(-?[\d.]+), without the attention (-?[\d.]+)");

        Assert.True(Number(1) > 3.5, output.Value);
        Assert.True(Number(2) < 3, output.Value);

        double Number(int group) => double.Parse(output.Groups[group].Value, System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public void AModelIsTrainedAndItsCircuitPrinted()
    {
        string trained = Output(writer => Train.Show(run["new"], tokens: 30_000, writer));
        Assert.Matches(@"step 29 of 29: validation loss \d\.\d\d, [\d.]+ % of the weights\n$", trained);

        string pruned = Output(writer => Prune.Show(run.Folder, "single_double_quote", writer));
        Assert.Matches(@"^single_double_quote: solved, \d+ of \d+ edges\n([\w.]+ -> [\w.]+: -?\d\.\d{3}\n)+$", pruned);
    }

    /// <summary>Each block of C# in the README is a part of a sample.</summary>
    [Fact]
    public void TheReadmeQuotesTheSamples()
    {
        string readme = File.ReadAllText(Path.Combine(TrainedRun.Root, "README.md"));
        string samples = string.Join(
            '\n',
            Directory
                .EnumerateFiles(Path.Combine(TrainedRun.Root, "samples"), "*.cs", SearchOption.AllDirectories)
                .Where(path => !path.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}"))
                .Select(path => Unindented(File.ReadAllText(path)))
        );
        MatchCollection blocks = Regex.Matches(readme.ReplaceLineEndings("\n"), "```csharp\n(.*?)```", RegexOptions.Singleline);

        Assert.NotEmpty(blocks);
        Assert.All(blocks, block => Assert.Contains(Unindented(block.Groups[1].Value), samples));
    }

    private static string Unindented(string code) =>
        string.Join('\n', code.ReplaceLineEndings("\n").Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0));

    private static string Output(Action<TextWriter> show)
    {
        var writer = new StringWriter { NewLine = "\n" };
        show(writer);
        return writer.ToString();
    }
}
