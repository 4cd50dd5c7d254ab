using System.Globalization;
using System.Xml.Linq;
using Sparsity.Cli.Report;
using Sparsity.Core.Circuits;

namespace Sparsity.Cli.Tests.Report;

public class ReportPageTests
{
    private static ReportCircuit Sparse(Circuit circuit) => SampleReport.Shown(DemoCircuit.Sparse, circuit);

    private static ReportCircuit Dense(Circuit circuit) => SampleReport.Shown(DemoCircuit.Dense, circuit);

    [Fact]
    public void TextAndTablesAreWellFormedAndTheRestIsData()
    {
        string page = SampleReport.Page(Sparse(SampleReport.Circuit("brackets", 4)), Dense(SampleReport.Circuit("brackets", 9)));

        XElement main = SampleReport.Read(page);

        Assert.StartsWith("<!DOCTYPE html>\n<html lang=\"en\">", page, StringComparison.Ordinal);
        Assert.Contains("connect-src 'none'", page, StringComparison.Ordinal);
        Assert.DoesNotContain("://", page, StringComparison.Ordinal);
        Assert.Equal(
            ["lines", "lines", "lines", "bars", "legend", "circuit", "circuit"],
            main.Descendants("script").Select(script => (string)script.Attribute("data-drawing")!)
        );
        Assert.DoesNotContain("NaN", main.Value, StringComparison.Ordinal);
        Assert.All(main.Descendants("table"), table => Assert.NotNull(table.Element("caption")));
    }

    /// <summary>Read as HTML, an empty element that is no void one stays open and swallows what follows.</summary>
    [Fact]
    public void ReadsAsHtmlToo()
    {
        XElement main = SampleReport.Read(SampleReport.Page(Sparse(SampleReport.Circuit("brackets", 4))));

        Assert.DoesNotContain(main.Descendants(), element => element.IsEmpty);
    }

    [Fact]
    public void EscapesNames()
    {
        const string Task = "<b>&\"";
        string page = SampleReport.Page(Sparse(SampleReport.Circuit(Task, 2)), Dense(SampleReport.Circuit(Task + "\0", 2)));

        Assert.DoesNotContain("<b>", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;&amp;", page, StringComparison.Ordinal);
        Assert.Contains("\\u003cb\\u003e\\u0026", page, StringComparison.Ordinal);
        Assert.Contains(SampleReport.Read(page).Descendants("th"), heading => heading.Value == Task);
    }

    /// <summary>1000 steps: runs of three, the last of one; what is not finite is left out.</summary>
    [Fact]
    public void ManyPointsBecomeMeansOfNeighbours()
    {
        var curve = Curve.Through("a", Enumerable.Range(0, 1001).Select(i => ((double)i, i == 1000 ? double.NaN : 2.0 * i)));

        Assert.Equal(334, curve.Points.Count);
        Assert.Equal([1, 2], curve.Points[0]);
        Assert.Equal([4, 8], curve.Points[1]);
        Assert.Equal([999, 1998], curve.Points[^1]);
        Assert.Equal(
            [
                [0, 0.333333],
            ],
            Curve.Through("b", [(0, 1 / 3.0)]).Points
        );
    }

    [Fact]
    public void LargeDenseCircuitIsToldNotDrawn()
    {
        Circuit dense = SampleReport.Circuit("quotes", 40);
        Assert.True(dense.Edges.Count > ReportPage.MostEdgesOfDenseDrawing);

        XElement main = SampleReport.Read(SampleReport.Page(Dense(dense)));

        Assert.DoesNotContain(main.Descendants("script"), script => (string?)script.Attribute("data-drawing") == "circuit");
        Assert.Contains(main.Descendants("p"), paragraph => paragraph.Value.EndsWith("too many to draw.", StringComparison.Ordinal));
    }

    /// <summary>The demo's last line: of the tasks that both do, at which losses, and what is not solved.</summary>
    [Fact]
    public void TheLastLineSaysAtWhichLossesAndWhatIsNotSolved()
    {
        Circuit one = SampleReport.Circuit("one", 2);
        Circuit two = SampleReport.Circuit("two", 2);
        ReportCircuit[] circuits =
        [
            Sparse(one with { Edges = [.. one.Edges.Take(2)], Smallest = new MeasuredSize(3, 1, 0.1) }),
            Dense(one with { Edges = [.. one.Edges.Take(8)], Smallest = new MeasuredSize(9, 7, 0.1) }),
            Sparse(two with { Edges = [.. two.Edges.Take(1)] }),
            Dense(two with { SurvivesInterchange = false }),
        ];

        string? line = Headline.EdgeComparison(SampleReport.Summary(circuits, denseLoss: 2.295), circuits);

        Assert.Equal(
            "Circuits of the sparse model have 4 times fewer edges than those of the dense model (on one task; of the smallest, whether "
                + "they survive interchange or not, 7). Validation losses 2.250 and 2.295, 2 % apart. "
                + "Not solved: two (dense, does not survive interchange).",
            line
        );
        Assert.Equal(
            "Not solved: two (dense, does not survive interchange).",
            Headline.EdgeComparison(SampleReport.Summary(circuits, denseLoss: null), circuits)
        );
        Assert.Null(Headline.EdgeComparison(SampleReport.Summary(circuits, denseLoss: null), [circuits[0]]));
        Assert.StartsWith(
            "No task is solved by circuits of both models, so their sizes are not compared. Validation losses 2.250 and 2.295, 2 % apart. ",
            Headline.EdgeComparison(SampleReport.Summary(circuits, denseLoss: 2.295), circuits[2..]),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void HeadlineIsOfTheTasksThatBothDoAndOwnsUpToMisses()
    {
        Circuit one = SampleReport.Circuit("one", 2);
        Circuit two = SampleReport.Circuit("two", 2);
        ReportCircuit[] circuits =
        [
            Sparse(one with { Edges = [.. one.Edges.Take(2)] }),
            Dense(one with { Edges = [.. one.Edges.Take(8)] }),
            Sparse(two with { Edges = [.. two.Edges.Take(1)], Measurements = two.Measurements with { SelectionLoss = 0.5 } }),
            Dense(two with { Edges = [.. two.Edges.Take(9)] }),
        ];

        XElement[] paragraphs = [.. SampleReport.Read(SampleReport.Page(circuits)).Elements("p")];
        string headline = paragraphs[0].Value;
        string next = paragraphs[1].Value;

        Assert.Equal("headline", (string?)paragraphs[0].Attribute("class"));
        Assert.Contains("4 times fewer edges", headline, StringComparison.Ordinal); // of the task that both do, not 6 of both
        Assert.Contains("two (sparse, missed on the prompts it was chosen on)", next, StringComparison.Ordinal);
    }

    [Fact]
    public void WithoutDenseModelOrCircuitsThereIsStillAPage()
    {
        ReportCircuit[] circuits = [Sparse(SampleReport.Circuit("one", 2) with { Nodes = [], Edges = [] })];

        SampleReport.Read(
            ReportPage.Render(SampleReport.Summary(circuits, denseLoss: null), [SampleReport.Curve(DemoCircuit.Sparse, lines: 1)], circuits)
        );
        SampleReport.Read(ReportPage.Render(SampleReport.Summary([]), [], []));
    }

    [Fact]
    public void SameDataGiveTheSamePageInEveryCulture()
    {
        ReportCircuit[] circuits = [Sparse(SampleReport.Circuit("one", 6))];
        string page = SampleReport.Page(circuits);
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo("") { NumberFormat = { NumberDecimalSeparator = ",", NegativeSign = "~" } };
            Assert.Equal(page, SampleReport.Page(circuits));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }
}
