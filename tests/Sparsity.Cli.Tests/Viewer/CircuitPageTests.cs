using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Sparsity.Cli.Tests.Report;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.TestSupport;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>The page of one circuit, opened from disk without a network.</summary>
[Trait("Category", "Browser")]
public sealed class CircuitPageTests(Browser browser) : IClassFixture<Browser>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [BrowserFact]
    public async Task EveryNodeAndEdgeOfTheFileIsDrawnAndTheHeaderHasItsNumbers()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 6);
        await using OpenPage page = await OpenAsync(circuit);

        await Expect(page.Nodes).ToHaveCountAsync(circuit.Nodes.Count);
        await Expect(page.Edges).ToHaveCountAsync(circuit.Edges.Count);
        await Expect(page.Page.Locator("#canvas .edge.negative")).ToHaveCountAsync(circuit.Edges.Count(edge => edge.Weight < 0));
        await Expect(page.Page.Locator("#canvas .embedding")).ToHaveCountAsync(ReadChannels(circuit).Count());
        await Expect(page.Page.Locator("#canvas .bias.positive")).ToHaveCountAsync(circuit.Nodes.Count(node => node.Bias > 0));
        await Expect(page.Page.Locator("#fact-task")).ToHaveTextAsync("quotes");
        await Expect(page.Page.Locator("#fact-loss-full-model")).ToHaveTextAsync("0.021");
        await Expect(page.Page.Locator("#fact-circuit")).ToHaveTextAsync("0.110");
        await Expect(page.Page.Locator("#fact-without-circuit")).ToHaveTextAsync("1.870");
        await Expect(page.Page.Locator("#fact-seed")).ToHaveTextAsync("1");
    }

    [BrowserFact]
    public async Task AClickedNodeShowsItsWeightsInThePanel()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 4);
        await using OpenPage page = await OpenAsync(circuit);
        CircuitEdge[] into =
        [
            .. circuit.Edges.GroupBy(edge => edge.To).MaxBy(group => group.Count())!.OrderByDescending(edge => Math.Abs(edge.Weight)),
        ];

        await page.Node(into[0].To.Name).Locator(".shape").ClickAsync();

        await Expect(page.Panel.Locator("h2")).ToHaveTextAsync(into[0].To.Name);
        await Expect(page.Panel.Locator("h3").First).ToHaveTextAsync($"Weights in ({into.Length})");
        await Expect(page.Panel.Locator(".edges").First.Locator("tr .reference")).ToHaveTextAsync(into.Select(edge => edge.From.Name));
        await page.Panel.Locator(".reference").First.ClickAsync();
        await Expect(page.Panel.Locator("h2")).ToHaveTextAsync(into[0].From.Name);
        Assert.Contains($"node={into[0].From}", page.Page.Url, StringComparison.Ordinal);
    }

    [BrowserFact]
    public async Task HoveringShowsWeightsInAndOutAndTheAblationEffect()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 3);
        await using OpenPage page = await OpenAsync(circuit);
        string name = circuit.Edges[0].To.Name;

        await page.Node(name).Locator(".shape").HoverAsync();

        ILocator tooltip = page.Page.Locator("#tooltip");
        await Expect(tooltip).ToContainTextAsync(name);
        await Expect(tooltip).ToContainTextAsync($"{circuit.Edges.Count(edge => edge.To.Name == name)} weights in");
        await Expect(tooltip).ToContainTextAsync("ablation effect: not recorded");
    }

    [BrowserFact]
    public async Task TheDotInANodeIsAsLargeAsItsAblationEffect()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 2);
        double?[] effects = [0.4, 0.1, 0, -0.2, null];
        circuit = circuit with
        {
            Nodes = [.. circuit.Nodes.Select((node, i) => node with { AblationEffect = i < effects.Length ? effects[i] : null })],
        };
        await using OpenPage page = await OpenAsync(circuit);

        await Expect(page.Nodes.Locator(".effect")).ToHaveCountAsync(2);
        await Expect(page.Node(circuit.Nodes[0].Name).Locator(".effect")).ToHaveAttributeAsync("r", "4.5");
        await Expect(page.Node(circuit.Nodes[1].Name).Locator(".effect")).ToHaveAttributeAsync("r", "2.25"); // a quarter of the area
        await page.Node(circuit.Nodes[3].Name).Locator(".shape").HoverAsync();
        await Expect(page.Page.Locator("#tooltip")).ToContainTextAsync("ablation effect: \u22120.2 nats");
    }

    [BrowserFact]
    public async Task ArrowsFollowTheStrongestEdgeAndMoveAlongRows()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 4);
        CircuitEdge strongest = circuit
            .Edges.Where(edge => edge.From.Site.Kind == SiteKind.AttnV)
            .GroupBy(edge => edge.From)
            .First()
            .MaxBy(edge => Math.Abs(edge.Weight))!;
        await using OpenPage page = await OpenAsync(circuit, "#node=" + strongest.From);
        ILocator title = page.Panel.Locator("h2");
        await Expect(title).ToHaveTextAsync(strongest.From.Name);

        await page.Page.Locator("#canvas").PressAsync("ArrowUp");
        await Expect(title).ToHaveTextAsync(strongest.To.Name);
        await page.Page.Keyboard.PressAsync("ArrowRight");
        await Expect(title).Not.ToHaveTextAsync(strongest.To.Name);
        await page.Page.Keyboard.PressAsync("ArrowLeft");
        await Expect(title).ToHaveTextAsync(strongest.To.Name);
        await page.Page.Keyboard.PressAsync("Escape");
        await Expect(title).ToHaveTextAsync("The circuit");
    }

    [BrowserFact]
    public async Task SearchFindsNodesByNameAndByLabelAndLabelsOutliveTheReload()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 4);
        string name = circuit.Nodes[^1].Name;
        await using OpenPage page = await OpenAsync(circuit);

        await page.Page.Locator("#canvas").PressAsync("/");
        await page.Page.Keyboard.TypeAsync(name);
        await page.Page.Keyboard.PressAsync("Enter");
        await Expect(page.Panel.Locator("h2")).ToHaveTextAsync(name);
        await page.Panel.Locator("#label").FillAsync("quote kind");
        await page.Panel.Locator("#label").PressAsync("Enter");
        await Expect(page.Node(name).Locator(".name")).ToHaveTextAsync("quote kind");

        await page.Page.ReloadAsync();
        await Expect(page.Node(name).Locator(".name")).ToHaveTextAsync("quote kind");
        await page.Page.Locator("#search").FillAsync("QUOTE K");
        await Expect(page.Page.Locator("#results button")).ToHaveCountAsync(1);
        string labels = await File.ReadAllTextAsync(await page.DownloadAsync("#export-labels"));
        Assert.Equal("quote kind", JsonDocument.Parse(labels).RootElement.GetProperty("labels").GetProperty(name).GetString());

        await page.Panel.Locator("#label").FillAsync("");
        await page.Panel.Locator("#label").PressAsync("Enter");
        await page
            .Page.Locator("#labels-file")
            .SetInputFilesAsync(
                new FilePayload
                {
                    Name = "labels.json",
                    MimeType = "application/json",
                    Buffer = System.Text.Encoding.UTF8.GetBytes(labels),
                }
            );
        await Expect(page.Node(name).Locator(".name")).ToHaveTextAsync("quote kind");
    }

    [BrowserFact]
    public async Task TheThresholdHidesTheWeakestEdgesAndIsKeptInTheAddress()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 5);
        double[] sizes = [.. circuit.Edges.Select(edge => Math.Abs(edge.Weight)).Order()];
        int shown = sizes.Count(size => size >= sizes[sizes.Length * 40 / 100]);
        await using OpenPage page = await OpenAsync(circuit, "#hide=40");

        await Expect(page.Page.Locator("#canvas .edge:not(.hidden)")).ToHaveCountAsync(shown);
        await page.Page.Locator("#hide").FillAsync("0");
        await Expect(page.Page.Locator("#canvas .edge:not(.hidden)")).ToHaveCountAsync(circuit.Edges.Count);
        Assert.DoesNotContain("hide", page.Page.Url, StringComparison.Ordinal);
        await page.Page.Locator("#links").UncheckAsync();
        await Expect(page.Page.Locator("#canvas .links")).ToBeHiddenAsync();
    }

    [BrowserFact]
    public async Task InASmallCircuitNoTextLiesOnANodeOrOnAnotherText()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 1);
        await using OpenPage page = await OpenAsync(circuit);
        await page.Node(circuit.Nodes[3].Name).Locator(".shape").ClickAsync();
        await page.Panel.Locator("#label").FillAsync("a label as long as labels get");
        await page.Panel.Locator("#label").PressAsync("Enter");

        Assert.Empty(await page.OverlapsAsync());
    }

    [BrowserFact]
    public async Task ACircuitOf1500NodesIsDrawnInFull()
    {
        Circuit circuit = SampleReport.Circuit("large", 48, layers: 4, channels: 256);
        Assert.InRange(circuit.Nodes.Count, 1480, 1536);
        await using OpenPage page = await OpenAsync(circuit);

        await Expect(page.Nodes).ToHaveCountAsync(circuit.Nodes.Count);
        await Expect(page.Edges).ToHaveCountAsync(circuit.Edges.Count);
        bool apart = await page.Page.EvaluateAsync<bool>(
            """
            () => {
              const places = new Set([...document.querySelectorAll("#canvas .node:not(.embedding):not(.logit) .shape")].map((shape) => shape.getAttribute("cx") + " " + shape.getAttribute("cy")));
              return places.size === document.querySelectorAll("#canvas .node:not(.embedding):not(.logit)").length;
            }
            """
        );
        Assert.True(apart, "Two nodes are drawn at the same place.");
    }

    [BrowserFact]
    public async Task TheDrawingFitsItsPlaceUntilSomeoneZooms()
    {
        await using OpenPage page = await OpenAsync(SampleReport.Circuit("quotes", 1));
        ILocator drawing = page.Page.Locator("#canvas .graph");
        string low = (await drawing.GetAttributeAsync("height"))!;

        await page.Page.SetViewportSizeAsync(1280, 1000);
        await Expect(drawing).Not.ToHaveAttributeAsync("height", low);
        await page.Page.Locator("#zoom-in").ClickAsync();
        string zoomed = (await drawing.GetAttributeAsync("height"))!;
        await page.Page.SetViewportSizeAsync(1280, 800);
        await page.Page.EvaluateAsync("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
        Assert.Equal(zoomed, await drawing.GetAttributeAsync("height"));
        await page.Page.Locator("#zoom-fit").ClickAsync();
        await Expect(drawing).ToHaveAttributeAsync("height", low);
    }

    [BrowserFact]
    public async Task TheMouseDragsTheDrawingWithoutSelecting()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 6);
        await using OpenPage page = await OpenAsync(circuit, "#node=" + circuit.Nodes[0].Name);
        ILocator canvas = page.Page.Locator("#canvas");
        for (int i = 0; i < 4; i++)
        {
            await canvas.PressAsync("+");
        }

        int[] before = await Scroll();
        await page.Page.Mouse.MoveAsync(500, 500);
        await page.Page.Mouse.DownAsync();
        await page.Page.Mouse.MoveAsync(440, 520);
        await page.Page.Mouse.UpAsync();
        await page.Page.Mouse.MoveAsync(600, 600);

        int[] after = await Scroll();
        Assert.Equal([before[0] + 60, before[1] - 20], after);
        await Expect(page.Panel.Locator("h2")).ToHaveTextAsync(circuit.Nodes[0].Name);

        Task<int[]> Scroll() => canvas.EvaluateAsync<int[]>("(box) => [Math.round(box.scrollLeft), Math.round(box.scrollTop)]");
    }

    [BrowserFact]
    public async Task ExportsAreTheDrawingAndTheCircuit()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 3);
        await using OpenPage page = await OpenAsync(circuit);

        string json = await page.DownloadAsync("#export-json");
        string svg = await File.ReadAllTextAsync(await page.DownloadAsync("#export-svg"));
        byte[] png = await File.ReadAllBytesAsync(await page.DownloadAsync("#export-png"));

        Assert.Equal(JsonText.Write(circuit), JsonText.Write(Circuit.Load(json)));
        System.Xml.Linq.XElement drawing = System.Xml.Linq.XElement.Parse(svg);
        Assert.Equal(
            circuit.Edges.Count,
            drawing.Descendants().Count(element => ((string?)element.Attribute("class"))?.Split(' ').Contains("edge") == true)
        );
        Assert.DoesNotContain("var(--", svg, StringComparison.Ordinal);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], png[..4]);
    }

    [BrowserFact]
    public async Task ZoomAndPlaceStandInTheAddress()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 6);
        await using OpenPage page = await OpenAsync(circuit, "#node=" + circuit.Nodes[0].Name);
        ILocator canvas = page.Page.Locator("#canvas");
        await canvas.PressAsync("+");
        await canvas.PressAsync("+");
        await canvas.PressAsync("+");
        await canvas.EvaluateAsync("(box) => box.scrollTo(210, 130)");
        await page.Page.WaitForURLAsync(new Regex("at="));
        await page.Page.EvaluateAsync("() => new Promise((done) => setTimeout(done, 400))");
        string address = page.Page.Url;
        string height = (await canvas.Locator(".graph").GetAttributeAsync("height"))!;

        await using OpenPage copy = await browser.OpenAsync(address);

        string copied = (await copy.Page.Locator("#canvas .graph").GetAttributeAsync("height"))!;
        Assert.Equal(double.Parse(height, CultureInfo.InvariantCulture), double.Parse(copied, CultureInfo.InvariantCulture), 10.0);
        int[] place = await copy.Page.Locator("#canvas").EvaluateAsync<int[]>("(box) => [box.scrollLeft, box.scrollTop].map(Math.round)");
        Assert.InRange(place[0], 208, 212);
        Assert.InRange(place[1], 128, 132);
        await copy.Page.Locator("#zoom-fit").ClickAsync();
        await copy.Page.Locator("#canvas").EvaluateAsync("(box) => box.scrollTo(0, 0)");
        await copy.Page.WaitForURLAsync(url => !url.Contains("at=", StringComparison.Ordinal));
    }

    [BrowserFact]
    public async Task WithoutWhichAttentionTheLossRisesMuchIsMarked()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 2);
        circuit = circuit with
        {
            Measurements = circuit.Measurements with
            {
                LayerEffects = new Dictionary<string, double>
                {
                    ["0.attn"] = 0.31,
                    ["0.mlp"] = 0.3,
                    ["1.attn"] = -0.05,
                    ["1.mlp"] = 1.5,
                },
            },
        };
        await using OpenPage page = await OpenAsync(circuit);

        await Expect(page.Panel.Locator("#layers tbody tr"))
            .ToHaveTextAsync(["0.attn0.420+0.31●", "0.mlp0.410+0.3", "1.attn0.060\u22120.05", "1.mlp1.610+1.5●"]);
        await Expect(page.Page.Locator(".gutter .mark")).ToHaveCountAsync(2);
        await Expect(page.Page.Locator(".gutter .mark").First).ToHaveAttributeAsync("title", "without 1.mlp the loss rises by 1.5 nats");
        await page.Panel.Locator("#layers .reference").First.ClickAsync();
        await Expect(page.Panel.Locator("h2")).ToHaveTextAsync(new Regex(@"^0\.attn\."));
    }

    [BrowserFact]
    public async Task LossAgainstNodesHasTheSizesTriedTheCircuitTheFullModelAndTheTarget()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 2) with { TriedSizes = [new(10, 1), new(40, 0.1), new(160, 0.01)] };
        await using OpenPage page = await OpenAsync(circuit, "#tab=pruning", "#tab-pruning svg");
        ILocator chart = page.Page.Locator("#tab-pruning svg").First;

        await Expect(chart.Locator(".dot")).ToHaveCountAsync(4);
        await Expect(chart.Locator(".tick").Filter(new() { HasText = "full model" })).ToHaveCountAsync(1);
        await Expect(chart.Locator(".tick").Filter(new() { HasText = "target 0.15" })).ToHaveCountAsync(1);
        double[][] places = await chart
            .Locator(".dot")
            .EvaluateAllAsync<double[][]>("(dots) => dots.map((dot) => [Number(dot.getAttribute('cx')), Number(dot.getAttribute('cy'))])");
        double[] marks = await chart
            .Locator(".mark")
            .EvaluateAllAsync<double[]>("(all) => all.map((mark) => Number(mark.getAttribute('y1')))");
        double decade = places[1][1] - places[0][1];
        Assert.Equal(places[0][0] + (2 * (places[1][0] - places[0][0])), places[2][0], 0.1); // both axes are logarithmic
        Assert.Equal(places[0][1] + (2 * decade), places[2][1], 0.1);
        Assert.Equal([0.021, 0.15], marks.Select(y => Math.Round(Math.Pow(10, -(y - places[0][1]) / decade), 3)));
        Assert.Equal(0.11, Math.Pow(10, -(places[3][1] - places[0][1]) / decade), 0.001); // the circuit itself
        await chart.Locator(".dot").Nth(1).HoverAsync();
        await Expect(page.Page.Locator("#tooltip")).ToContainTextAsync("40 nodes: loss 0.100");
        await Expect(page.Page.Locator("#tab-pruning")).ToContainTextAsync("Course of the search: not recorded.");
        await Expect(page.Page.Locator("#tab-pruning .settings dt").Filter(new() { HasText = "selection margin" })).ToHaveCountAsync(1);
    }

    [BrowserFact]
    public async Task InALargeCircuitTheEdgesOfTheSelectedNodeLieOnTop()
    {
        Circuit circuit = SampleReport.Circuit("large", 24, layers: 2, channels: 64);
        Node node = circuit.Edges.GroupBy(edge => edge.To).MaxBy(group => group.Count())!.Key;
        int edges = circuit.Edges.Count(edge => edge.To == node || edge.From == node);
        await using OpenPage page = await OpenAsync(circuit, "#node=" + node.Name);

        await Expect(page.Page.Locator("#canvas .edge.near")).ToHaveCountAsync(edges);
        bool onTop = await page
            .Page.Locator("#canvas .edge")
            .EvaluateAllAsync<bool>($"(lines) => lines.slice(-{edges}).every((line) => line.classList.contains('near'))");
        Assert.True(onTop, "Other edges lie on those of the selected node.");
    }

    [BrowserFact]
    public async Task NamesInTheFileAreTextNotMarkup()
    {
        Circuit circuit = SampleReport.Circuit("</script><script>throw 1</script><!--<b>", 1) with
        {
            Model = "<img src=x onerror=\"throw 2\">",
        };
        await using OpenPage page = await OpenAsync(circuit);

        await Expect(page.Page.Locator("#fact-task")).ToHaveTextAsync(circuit.Task);
        await Expect(page.Page.Locator("#fact-model")).ToHaveTextAsync(circuit.Model);
    }

    private static IEnumerable<string> ReadChannels(Circuit circuit) =>
        circuit
            .Nodes.Where(node => node.Name.Contains("act_in", StringComparison.Ordinal))
            .Select(node => node.Name.Split('.')[^1])
            .Distinct();

    private Task<OpenPage> OpenAsync(Circuit circuit, string fragment = "", string visible = "#canvas .node") =>
        browser.OpenCircuitAsync(_folder, circuit, fragment, visible);
}
