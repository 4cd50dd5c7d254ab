using System.Globalization;
using System.Xml.Linq;
using Sparsity.Cli.Report;
using Sparsity.Core;
using Sparsity.Core.Circuits;

namespace Sparsity.Cli.Tests.Report;

public class ReportPageTests
{
    private static ReportCircuit Sparse(Circuit circuit) => new(DemoCircuit.Sparse, circuit);

    private static ReportCircuit Dense(Circuit circuit) => new(DemoCircuit.Dense, circuit);

    [Fact]
    public void PageIsWellFormedAndSelfContained()
    {
        string page = SampleReport.Page(Sparse(SampleReport.Circuit("brackets", 4)), Dense(SampleReport.Circuit("brackets", 9)));

        XDocument document = XDocument.Parse(page);

        Assert.StartsWith("<!DOCTYPE html>\n<html lang=\"en\">", page, StringComparison.Ordinal);
        Assert.DoesNotContain("http://", page, StringComparison.Ordinal);
        Assert.DoesNotContain("https://", page, StringComparison.Ordinal);
        Assert.DoesNotContain("//", page, StringComparison.Ordinal);
        Assert.Empty(document.Descendants("script"));
        Assert.DoesNotContain("NaN", page, StringComparison.Ordinal);
        Assert.All(
            document.Descendants("svg"),
            svg => Assert.False(string.IsNullOrEmpty((string?)svg.Attribute("aria-label")) || svg.Element("title") is null)
        );
        Assert.All(document.Descendants("table"), table => Assert.NotNull(table.Element("caption")));
    }

    /// <summary>Read as HTML, an empty element that is no void one stays open and swallows what follows.</summary>
    [Fact]
    public void ReadsAsHtmlToo()
    {
        XDocument document = XDocument.Parse(SampleReport.Page(Sparse(SampleReport.Circuit("brackets", 4))));

        Assert.All(
            document.Descendants().Where(element => element.IsEmpty && !element.Ancestors("svg").Any()),
            element => Assert.Equal("meta", element.Name.LocalName)
        );
        Assert.DoesNotContain(
            document.Descendants("style").Single().Value,
            character => "<>&".Contains(character, StringComparison.Ordinal)
        );
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(120)]
    public void DrawingHasEveryNodeAndEdge(int perLocation)
    {
        Circuit circuit = SampleReport.Circuit("quotes", perLocation);
        XDocument document = XDocument.Parse(SampleReport.Page(Sparse(circuit)));

        string[] nodes = [.. OfClass(document, "node").Select(node => node.Element("title")!.Value.Split(':')[0])];
        XElement[] edges = [.. OfClass(document, "edge")];

        Assert.Equal(circuit.Nodes.Select(node => node.Name).Order(StringComparer.Ordinal), nodes.Order(StringComparer.Ordinal));
        Assert.Equal(circuit.Edges.Count, edges.Length);
        Assert.Equal(
            circuit.Edges.Count(edge => edge.Weight < 0),
            edges.Count(edge => ((string)edge.Attribute("class")!).Contains("negative", StringComparison.Ordinal))
        );
    }

    [Theory]
    [InlineData(4)]
    [InlineData(10)]
    [InlineData(120)]
    public void NodesStandApartAndInsideTheDrawing(int perLocation)
    {
        XDocument document = XDocument.Parse(SampleReport.Page(Sparse(SampleReport.Circuit("quotes", perLocation))));
        (double X, double Y)[] places = [.. OfClass(document, "node").Select(node => (Read(node, "cx"), Read(node, "cy")))];
        XElement drawing = OfClass(document, "node").First().Parent!;

        foreach (IGrouping<double, double> line in places.GroupBy(place => place.Y, place => place.X))
        {
            double[] sorted = [.. line.Order()];
            Assert.All(sorted.Zip(sorted.Skip(1)), pair => Assert.True(pair.Second - pair.First >= 19.9));
        }

        Assert.All(
            places,
            place => Assert.True(place.X > 150 && place.X < Read(drawing, "width") && place.Y > 0 && place.Y < Read(drawing, "height"))
        );
    }

    /// <summary>
    /// Counted by hand: channel 3 goes from the embedding to both reads, and from the attention's write to the MLP's read; channel 5 meets
    /// nothing.
    /// </summary>
    [Fact]
    public void LinksJoinWritesAndLaterReadsOfAChannel()
    {
        Circuit circuit = SampleReport.Circuit("links", 1) with
        {
            Nodes =
            [
                .. new[] { "0.attn.act_in.3", "0.attn.v.0", "0.attn.resid_delta.3", "0.mlp.act_in.3", "0.mlp.resid_delta.5" }.Select(
                    name => new CircuitNode(Node.Parse(name), 1, 0, null)
                ),
            ],
            Edges =
            [
                new CircuitEdge(Node.Parse("0.attn.act_in.3"), Node.Parse("0.attn.v.0"), 1),
                new CircuitEdge(Node.Parse("0.attn.v.0"), Node.Parse("0.attn.resid_delta.3"), -2),
            ],
        };

        XDocument document = XDocument.Parse(SampleReport.Page(Sparse(circuit)));

        Assert.Equal(
            [
                "embedding is read by 0.attn.act_in.3",
                "embedding is read by 0.mlp.act_in.3",
                "0.attn.resid_delta.3 is read by 0.mlp.act_in.3",
            ],
            OfClass(document, "link")
                .Select(link => link.Element("title")!.Value.Replace("residual channel 3: ", "", StringComparison.Ordinal))
        );
        Assert.Equal(["2.35", "4"], OfClass(document, "edge").Select(edge => edge.Attribute("stroke-width")!.Value));
    }

    [Fact]
    public void EscapesNames()
    {
        const string Task = "<b>&\"";
        string page = SampleReport.Page(Sparse(SampleReport.Circuit(Task, 2)), Dense(SampleReport.Circuit(Task + "\0", 2)));

        Assert.DoesNotContain("<b>", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;&amp;", page, StringComparison.Ordinal);
        Assert.Contains(XDocument.Parse(page).Descendants("th"), heading => heading.Value == Task);
    }

    [Fact]
    public void LargeDenseCircuitIsToldNotDrawn()
    {
        Circuit dense = SampleReport.Circuit("quotes", 40);
        Assert.True(dense.Edges.Count > ReportPage.MostEdgesOfDenseDrawing);

        XDocument document = XDocument.Parse(SampleReport.Page(Dense(dense)));

        Assert.Empty(OfClass(document, "edge"));
        Assert.Contains(document.Descendants("p"), paragraph => paragraph.Value.EndsWith("too many to draw.", StringComparison.Ordinal));
    }

    [Fact]
    public void HeadlineIsTheGeometricMeanAndOwnsUpToMisses()
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

        XDocument document = XDocument.Parse(SampleReport.Page(circuits));
        string headline = OfClass(document, "headline").Single().Value;
        string next = document.Descendants("p").ElementAt(1).Value;

        Assert.Contains("6 times fewer edges", headline, StringComparison.Ordinal);
        Assert.Contains("two (sparse, missed on the prompts it was chosen on)", next, StringComparison.Ordinal);
        Assert.Contains("4 times fewer edges", next, StringComparison.Ordinal);
    }

    [Fact]
    public void WithoutDenseModelOrCircuitsThereIsStillAPage()
    {
        ReportCircuit[] circuits = [Sparse(SampleReport.Circuit("one", 2) with { Nodes = [], Edges = [] })];

        XDocument.Parse(
            ReportPage.Render(SampleReport.Summary(circuits, denseLoss: null), [SampleReport.Curve(DemoCircuit.Sparse, lines: 1)], circuits)
        );
        XDocument.Parse(ReportPage.Render(SampleReport.Summary([]), [], []));
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

    [Fact]
    public void NodesThatOccurTwiceAndLooseEdgesAreRefused()
    {
        Circuit circuit = SampleReport.Circuit("one", 2);

        Assert.Throws<BadInputException>(() => SampleReport.Page(Sparse(circuit with { Nodes = [.. circuit.Nodes, circuit.Nodes[0]] })));
        Assert.Throws<BadInputException>(() =>
            SampleReport.Page(Sparse(circuit with { Edges = [new CircuitEdge(Node.Parse("0.attn.v.999"), circuit.Edges[0].To, 1)] }))
        );
    }

    private static IEnumerable<XElement> OfClass(XDocument document, string name) =>
        document.Descendants().Where(element => ((string?)element.Attribute("class"))?.Split(' ').Contains(name) == true);

    private static double Read(XElement element, string attribute) =>
        double.Parse(element.Attribute(attribute)!.Value, CultureInfo.InvariantCulture);
}
