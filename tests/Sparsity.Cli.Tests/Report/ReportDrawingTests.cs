using Microsoft.Playwright;
using Sparsity.Cli.Report;
using Sparsity.Cli.Tests.Viewer;
using Sparsity.Cli.Viewer;
using Sparsity.Core.Circuits;
using Sparsity.Core.Reproduction;
using Sparsity.TestSupport;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests.Report;

/// <summary>
/// Reports as a browser shows them, opened from disk without a network: on disposal each page must have logged no error and asked for
/// nothing.
/// </summary>
[Trait("Category", "Browser")]
public sealed class ReportDrawingTests(Browser browser) : IClassFixture<Browser>, IDisposable
{
    private const string Hostile = "</script><script>throw 1</script><!--<b>&";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [BrowserTheory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(120)]
    public async Task EveryNodeAndEdgeIsDrawn(int perLocation)
    {
        Circuit circuit = SampleReport.Circuit("quotes", perLocation);
        await using OpenPage page = await OpenAsync(Sparse(circuit));
        ILocator nodes = page.Page.Locator(".canvas .node:not(.embedding):not(.logit)");

        await Expect(nodes).ToHaveCountAsync(circuit.Nodes.Count);
        await Expect(page.Page.Locator(".canvas .edge")).ToHaveCountAsync(circuit.Edges.Count);
        await Expect(page.Page.Locator(".canvas .edge.negative")).ToHaveCountAsync(circuit.Edges.Count(edge => edge.Weight < 0));
        Assert.Equal(
            circuit.Nodes.Select(node => node.Name).Order(StringComparer.Ordinal),
            (await nodes.EvaluateAllAsync<string[]>("(nodes) => nodes.map((node) => node.dataset.name)")).Order(StringComparer.Ordinal)
        );
    }

    /// <summary>
    /// Counted by hand: channel 3 goes from the embedding to both reads, and from the attention's write to the MLP's read; channel 5 meets
    /// nothing.
    /// </summary>
    [BrowserFact]
    public async Task LinksJoinWritesAndLaterReadsOfAChannel()
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
        await using OpenPage page = await OpenAsync(Sparse(circuit));

        string[] links = await page
            .Page.Locator(".canvas .link")
            .EvaluateAllAsync<string[]>("(links) => links.map(({ edge }) => edge.from.name + ' to ' + edge.to.name)");
        string[] widths = await page
            .Page.Locator(".canvas .edge")
            .EvaluateAllAsync<string[]>("(edges) => edges.map((edge) => edge.getAttribute('stroke-width'))");

        Assert.Equal(
            ["0.attn.resid_delta.3 to 0.mlp.act_in.3", "embedding.3 to 0.attn.act_in.3", "embedding.3 to 0.mlp.act_in.3"],
            links.Order(StringComparer.Ordinal)
        );
        Assert.Equal(["2.5", "4.2"], widths); // the smaller weight is half of the larger one
    }

    [BrowserFact]
    public async Task NodesOfEveryCircuitTellTheirNumbersAndWhatTheyAreConnectedTo()
    {
        Circuit sparse = SampleReport.Circuit("quotes", 2);
        Circuit dense = SampleReport.Circuit("brackets", 4);
        CircuitEdge edge = dense.Edges[0];
        await using OpenPage page = await OpenAsync(Sparse(sparse), SampleReport.Shown(DemoCircuit.Dense, dense));
        ILocator second = page.Page.Locator(".canvas").Nth(1);
        ILocator node = second.Locator($"[data-name='{edge.From}']");

        await node.Locator(".shape").HoverAsync();
        await Expect(page.Page.Locator("#tooltip")).ToContainTextAsync($"{edge.From}");
        await Expect(page.Page.Locator("#tooltip")).ToContainTextAsync("tau 0.5, mean \u22120.25");
        await node.Locator(".shape").ClickAsync();
        await Expect(node).ToContainClassAsync("selected");
        await Expect(second.Locator(".edge.near"))
            .ToHaveCountAsync(dense.Edges.Count(other => other.From == edge.From || other.To == edge.From));
        await Expect(page.Page.Locator(".canvas").First.Locator(".near")).ToHaveCountAsync(0);
        await second.PressAsync("Enter"); // there is no panel to go to
        await second.PressAsync("ArrowUp");
        await Expect(second.Locator(".selected"))
            .ToHaveAttributeAsync(
                "data-name",
                dense.Edges.Where(other => other.From == edge.From).MaxBy(other => Math.Abs(other.Weight))!.To.ToString()
            );
    }

    [BrowserFact]
    public async Task TextOfTheCircuitIsTextNotMarkup()
    {
        Circuit circuit = SampleReport.Circuit(Hostile, 1);
        string channel = circuit.Nodes.First(node => node.Name.Contains("act_in", StringComparison.Ordinal)).Name.Split('.')[^1];
        ChannelTokens tokens = new([new ChannelToken($"'{Hostile}'", 1)], [new ChannelToken("'\u2028{{title}}\uFFFF'", -1)]);
        var document = new CircuitDocument(
            circuit,
            [],
            new ModelShape(2, 1, 16, 16),
            new Readout(
                [new Answer(0, "'</main>'"), new Answer(1, "'&amp;'")],
                1,
                [.. Enumerable.Range(0, 16).Select(i => new ChannelReadout(i, [1, -1]))]
            ),
            new Dictionary<string, ChannelTokens> { [channel] = tokens }
        );
        await using OpenPage page = await OpenAsync(new ReportCircuit(DemoCircuit.Sparse, document));

        await Expect(page.Page.Locator("h3")).ToHaveTextAsync($"{Hostile}, sparse model");
        await Expect(page.Page.Locator("tbody th")).ToHaveTextAsync(Hostile);
        await Expect(page.Page.Locator(".group-name")).ToContainTextAsync(Hostile);
        await Expect(page.Page.Locator(".canvas .logit .name")).ToHaveTextAsync(["</main>", "&amp;"]);
        await page.Page.Locator($".canvas [data-name='embedding.{channel}'] .shape").HoverAsync();
        await Expect(page.Page.Locator("#tooltip code").First).ToHaveTextAsync(Hostile.Replace(' ', '·'));
        await Expect(page.Page.Locator("#tooltip code").Nth(1)).ToContainTextAsync("{{title}}");
        await Expect(page.Page.Locator("main")).ToHaveCountAsync(1);
    }

    [BrowserFact]
    public async Task CurvesAndLossesAreDrawnFromTheNumbers()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 2);
        await using OpenPage page = await OpenAsync(Sparse(circuit));
        ILocator charts = page.Page.Locator(".chart");

        await Expect(charts.Locator("figcaption"))
            .ToHaveTextAsync([
                "Training and validation loss",
                "Nonzero budget and share of nonzero matrix entries",
                "Learning rate",
                "Task losses of each circuit",
            ]);
        await Expect(charts.First.Locator(".legend li"))
            .ToHaveTextAsync(["sparse, training", "sparse, validation", "dense, training", "dense, validation"]);
        await Expect(charts.First.Locator(".curve").Nth(1).Locator(".dot")).ToHaveCountAsync(12); // 300 lines, each 25th with validation
        await Expect(charts.First.Locator("text").Filter(new() { HasText = "bigram baseline" })).ToHaveCountAsync(1);
        await Expect(charts.First.Locator("text").Filter(new() { HasText = "loss in nats" })).ToHaveCountAsync(1);
        await Expect(charts.Nth(1).Locator("text").Filter(new() { HasText = "fraction, log scale" })).ToHaveCountAsync(1);

        CircuitMeasurements m = circuit.Measurements;
        double[] losses = [m.LossFullModel, m.Loss, m.LossWithoutCircuit, m.LossEmpty];
        double[] bars = await charts
            .Nth(3)
            .Locator(".bar")
            .EvaluateAllAsync<double[]>("(bars) => bars.map((bar) => Number(bar.getAttribute('width')))");
        double mark = await charts.Nth(3).Locator(".mark").EvaluateAsync<double>("(mark) => Number(mark.getAttribute('x1'))");
        double zero = await charts.Nth(3).Locator(".bar").First.EvaluateAsync<double>("(bar) => Number(bar.getAttribute('x'))");
        double unit = bars[2] / losses[2];
        Assert.All(losses.Zip(bars), pair => Assert.Equal(pair.First, pair.Second / unit, 3));
        Assert.Equal(circuit.SearchSettings.TargetLoss, (mark - zero) / unit, 3);
        await Expect(charts.Nth(3).Locator(".value")).ToHaveTextAsync(["0.021", "0.110", "1.870", "0.710"]);
    }

    [BrowserTheory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task EverythingShownHasEnoughContrast(ColorScheme scheme)
    {
        await using OpenPage page = await OpenAsync(
            scheme,
            Sparse(SampleReport.Circuit("quotes", 2)),
            SampleReport.Shown(DemoCircuit.Dense, SampleReport.Circuit("brackets", 4))
        );

        (int measured, string[] tooFaint) = await Viewer.Contrast.MeasureAsync(page.Page);

        Assert.True(measured >= 300, $"Only {measured} things were measured.");
        Assert.Empty(tooFaint);
    }

    [BrowserFact]
    public async Task AFigureAndASteeringAreReportsToo()
    {
        var result = new FigureResult
        {
            Headline = "It falls.",
            Plan = ReproductionPlanner.Plan(Figure.Kurtosis, 15, 1, null, "test"),
            Models = [],
            Kurtosis = [new(0.0625, 16, 12, 20, 2, 3), new(0.5, 4, 3, 5, 1.9, 3), new(null, 3, 3, 3, 1.8, 1)],
        };
        await using OpenPage figure = await OpenAsync(FigurePage.Render(result), ".chart svg");
        await using OpenPage steering = await OpenAsync(
            Markup.Page("Steering", Markup.Drawing("steering", SampleReport.Steering())),
            ".verdict"
        );

        await Expect(figure.Page.Locator(".chart .curve .dot")).ToHaveCountAsync(2);
        await Expect(figure.Page.Locator(".chart .curve .range")).ToHaveCountAsync(1);
        await Expect(figure.Page.Locator(".chart text").Filter(new() { HasText = "ordinary model" })).ToHaveCountAsync(1);
        await Expect(figure.Page.Locator("table").First.Locator("tbody tr")).ToHaveCountAsync(3);
        await Expect(steering.Page.Locator(".verdict")).ToContainTextAsync("2 times as probable");
        await Expect(steering.Page.Locator(".chart .curve")).ToHaveCountAsync(6);
    }

    [BrowserFact]
    public async Task BarsNeedNoMark()
    {
        var result = new FigureResult
        {
            Headline = "Some are worse.",
            Plan = ReproductionPlanner.Plan(Figure.TokenLosses, 15, 1, null, "test"),
            Models = [],
            Matches = [],
            TokenLosses = [new(1, "'a'", 500, 2, 1, 1, 1), new(2, "'<b>'", 40, 1.5, 2, -1, 0.5)],
        };
        await using OpenPage figure = await OpenAsync(FigurePage.Render(result), ".chart svg");

        await Expect(figure.Page.Locator(".chart .bar")).ToHaveCountAsync(2 * 2 * 2); // charts, tokens, kinds of models
        await Expect(figure.Page.Locator(".chart line.mark")).ToHaveCountAsync(0);
        await Expect(figure.Page.Locator(".chart .group-name").First).ToHaveTextAsync("'a', 500 places");
        await Expect(figure.Page.Locator(".chart .curve .dot")).ToHaveCountAsync(4);
    }

    [BrowserFact]
    public async Task ASweepIsDrawnAgainstItsFirstFlagOfNumbers()
    {
        PlannedModel Model(string lr, string sink, string seed) =>
            new(2, 32, 0.25, 500, ulong.Parse(seed, System.Globalization.CultureInfo.InvariantCulture))
            {
                Values = new Dictionary<string, string>
                {
                    ["sink"] = sink,
                    ["lr"] = lr,
                    ["seed"] = seed,
                },
            };
        PlannedModel[] models =
        [
            .. from sink in new[] { "true", "false" }
            from lr in new[] { "0.01", "0.1" }
            from seed in new[] { "1", "2" }
            select Model(lr, sink, seed),
        ];
        var plan = new SweepPlan
        {
            Version = "test",
            Data = "/data",
            Flags = [],
            Models = models,
            Tasks = [],
            TargetLosses = [],
            Pruning = new PruningConfig(),
        };
        MeasuredModel[] measured =
        [
            .. models.SkipLast(1).Select((model, i) => new MeasuredModel(model.Name, model, new string('a', 64), 2 + i, 3, 100, 0.25, 4)),
        ];
        await using OpenPage sweep = await OpenAsync(
            SweepPage.Render(SweepResult.Of(plan, measured, [new DivergedModel(models[^1].Name, models[^1], "step 3: NaN")], [])),
            ".chart svg"
        );

        await Expect(sweep.Page.Locator(".chart .curve")).ToHaveCountAsync(2);
        await Expect(sweep.Page.Locator(".chart .legend li")).ToHaveTextAsync(["sink true", "sink false"]);
        await Expect(sweep.Page.Locator(".chart .curve .dot")).ToHaveCountAsync(4);
        await Expect(sweep.Page.Locator(".chart text").Filter(new() { HasText = "lr, log scale" })).ToHaveCountAsync(1);
        await Expect(sweep.Page.Locator("table").First.Locator("tbody tr")).ToHaveCountAsync(4);
        await Expect(sweep.Page.Locator("main")).ToContainTextAsync("step 3: NaN");
    }

    private static ReportCircuit Sparse(Circuit circuit) => SampleReport.Shown(DemoCircuit.Sparse, circuit);

    private Task<OpenPage> OpenAsync(params ReportCircuit[] circuits) => OpenAsync(ColorScheme.Light, circuits);

    private Task<OpenPage> OpenAsync(ColorScheme scheme, params ReportCircuit[] circuits) =>
        OpenAsync(SampleReport.Page(circuits), ".canvas .node", scheme);

    /// <summary>In a window that is as tall as the page.</summary>
    private async Task<OpenPage> OpenAsync(string html, string visible, ColorScheme scheme = ColorScheme.Light)
    {
        string path = _folder[Guid.NewGuid() + ".html"];
        await File.WriteAllTextAsync(path, html);
        return await browser.OpenAsync(new Uri(path).AbsoluteUri, scheme: scheme, height: 5000, visible: visible);
    }
}
