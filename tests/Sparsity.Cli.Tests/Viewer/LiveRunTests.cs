using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Playwright;
using Sparsity.Core.Circuits;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>Server mode on a real run: the picker, the tabs, and live ablation through the engine.</summary>
[Collection(LiveRun.Name)]
public sealed class LiveRunTests(LiveRun run, Browser browser) : IClassFixture<Browser>
{
    private const string Small = "circuits/small";

    [Fact]
    public async Task WithoutEditsTheEngineFindsTheLossesThatTheCircuitRecords()
    {
        Circuit circuit = run.Circuit("small");

        JsonNode inCircuit = await Ask("circuit", []);
        JsonNode inModel = await Ask("model", []);

        Assert.Equal(circuit.Measurements.Loss, (double)inCircuit["edited"]!["loss"]!);
        Assert.Equal(circuit.Measurements.Loss, (double)inCircuit["stored"]!);
        Assert.Equal(circuit.Measurements.LossFullModel, (double)inModel["edited"]!["loss"]!);
        Assert.Equal(circuit.Measurements.Accuracy, (double)inCircuit["edited"]!["accuracy"]!);
    }

    [Fact]
    public async Task SwitchingEverythingOffGivesTheEmptyCircuitAndItsComplement()
    {
        Circuit circuit = run.Circuit("small");
        Dictionary<string, float> all = circuit.Nodes.ToDictionary(node => node.Name, _ => 0f);

        Assert.Equal(circuit.Measurements.LossEmpty, (double)(await Ask("circuit", all))["edited"]!["loss"]!);
        Assert.Equal(circuit.Measurements.LossWithoutCircuit, (double)(await Ask("model", all))["edited"]!["loss"]!);
    }

    [Fact]
    public async Task ManyEditsAtOnceDoNotMix()
    {
        string[] names = [.. run.Circuit("small").Nodes.Select(node => node.Name).Take(8)];
        var alone = new List<double>();
        foreach (string name in names)
        {
            alone.Add((double)(await Ask("circuit", new() { [name] = 0 }))["edited"]!["loss"]!);
        }

        double[] together = await Task.WhenAll(
            names.Select(async name => (double)(await Ask("circuit", new() { [name] = 0 }))["edited"]!["loss"]!)
        );

        Assert.Equal(alone, together);
        Assert.True(alone.Distinct().Count() > 1, "No node makes a difference.");
    }

    [Theory]
    [InlineData("9.attn.q.0", 0f)]
    [InlineData("0.attn.q.0", 1e30f)]
    public async Task EditsThatCannotBeAreRefused(string node, float scale)
    {
        HttpResponseMessage answer = await run.Viewer.Client.PostAsJsonAsync(
            "api/ablation",
            new
            {
                circuit = Small,
                of = "circuit",
                scales = new Dictionary<string, float> { [node] = scale },
            }
        );

        Assert.Equal(422, (int)answer.StatusCode);
        Assert.Contains(node[..^2], await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task SwitchingANodeOffInThePageChangesTheLoss()
    {
        Circuit circuit = run.Circuit("small");
        string name = circuit.Edges.MaxBy(edge => Math.Abs(edge.Weight))!.From.Name;
        double expected = (double)(await Ask("circuit", new() { [name] = 0 }))["edited"]!["loss"]!;
        await using OpenPage page = await browser.OpenAsync(run.Viewer.Url + "#circuit=" + Small);

        await page.Node(name).Locator(".shape").ClickAsync();
        await page.Panel.Locator("#switch").ClickAsync();

        await Expect(page.Page.Locator("#live-before")).ToHaveTextAsync(Nats(circuit.Measurements.Loss));
        await Expect(page.Page.Locator("#live-now")).ToHaveTextAsync(Nats(expected));
        Assert.NotEqual(circuit.Measurements.Loss, expected);
        await Expect(page.Page.Locator("#live-predicted"))
            .ToHaveTextAsync(Nats(circuit.Measurements.Loss + circuit.Nodes.Single(node => node.Name == name).AblationEffect!.Value));
        await page.Panel.Locator("#scale").FillAsync("2");
        await page.Panel.Locator("#scale").PressAsync("Enter");
        double doubled = (double)(await Ask("circuit", new() { [name] = 2 }))["edited"]!["loss"]!;
        await Expect(page.Page.Locator("#live-now")).ToHaveTextAsync(Nats(doubled));
        await page.Panel.Locator("#switch").ClickAsync();
        await page.Panel.Locator("#switch").ClickAsync();
        await Expect(page.Page.Locator("#ablation")).ToBeHiddenAsync();
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task ThePickerAndTheTabsShowTheWholeRun()
    {
        Circuit small = run.Circuit("small");
        Circuit large = run.Circuit("large");
        Assert.NotEqual(small.Nodes.Count, large.Nodes.Count);
        await using OpenPage page = await browser.OpenAsync(run.Viewer.Url + "#circuit=" + Small);
        await Expect(page.Nodes).ToHaveCountAsync(small.Nodes.Count);
        await Expect(page.Page.Locator("#canvas .logit")).ToHaveCountAsync(2);

        await page.Page.Locator("#pick-target").SelectOptionAsync("0.2");
        await Expect(page.Nodes).ToHaveCountAsync(large.Nodes.Count);
        await page.Page.GetByRole(AriaRole.Tab, new() { Name = "Tasks" }).ClickAsync();
        await Expect(page.Page.Locator("#tab-tasks tbody tr")).ToHaveCountAsync(2);
        await page.Page.GetByRole(AriaRole.Tab, new() { Name = "Training" }).ClickAsync();
        await Expect(page.Page.Locator("#tab-training .curve").First).ToBeVisibleAsync();
        await page.Page.GetByRole(AriaRole.Tab, new() { Name = "Size and loss" }).ClickAsync();
        await Expect(page.Page.Locator("#tab-sizes svg").First.Locator(".dot")).ToHaveCountAsync(2);
        await page.Page.GetByRole(AriaRole.Tab, new() { Name = "Embeddings" }).ClickAsync();
        await Expect(page.Page.Locator("#tab-embeddings tbody tr").First).ToBeVisibleAsync();
        await page.Page.GetByRole(AriaRole.Tab, new() { Name = "Side by side" }).ClickAsync();
        CircuitOverlap shared = CircuitOverlap.Of(small, large);
        await Expect(page.Page.Locator("#shared"))
            .ToContainTextAsync(
                $"Shared: {PageText.Thousands(shared.Nodes.Count)} nodes and {PageText.Thousands(shared.Edges.Count)} edges"
            );
        await Expect(page.Page.Locator("#tab-compare .side").First.Locator(".shared")).ToHaveCountAsync(shared.Nodes.Count);

        await page.Page.ReloadAsync();
        await Expect(page.Page.Locator("#tab-compare")).ToBeVisibleAsync();
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task AFaithfulnessReportHasItsVerdictFirstThenTheAnswersAndBothInterchangeCurves()
    {
        await using OpenPage page = await browser.OpenAsync(
            $"{run.Viewer.Url}#circuit=circuits/large&tab=reports&report={Small}/faithfulness",
            visible: "#tab-reports .verdict"
        );
        ILocator report = page.Page.Locator("#tab-reports .report");

        await Expect(report.Locator(":scope > *").First)
            .ToHaveTextAsync("doubtful does nonsense take more edges? no (inverted answers 90 against 95 edges)");
        await Expect(report.Locator(".questions .answer")).ToHaveTextAsync(["yes", "yes", "yes", "yes", "no"]);
        await Expect(report.Locator(".questions li").Nth(4)).ToContainTextAsync("Does nonsense take more edges?");
        await Expect(report.Locator(".questions li").Nth(4)).ToContainTextAsync("inverted answers 90 against 95 edges");
        ILocator curves = report.Locator(".chart").First.Locator(".curve");
        await Expect(curves).ToHaveCountAsync(2);
        double[] intoCircuit = await ValuesAsync(curves.Nth(0), (0, 0.11), (4, 0.05));
        double[] intoModel = await ValuesAsync(curves.Nth(1), (0, 0.02), (4, 0.11));
        Assert.Equal([0.11, 0.2, 0.34, 0.25, 0.05], intoCircuit);
        Assert.Equal([0.02, 0.03, 0.06, 0.08, 0.11], intoModel);
        await curves.Nth(0).Locator(".dot").Nth(2).HoverAsync();
        await Expect(page.Page.Locator("#tooltip")).ToContainTextAsync("full model's activations put into the circuit: 0.34");
        await Expect(report.Locator("tbody tr").Filter(new() { HasText = "inverted answers" }).Locator("td"))
            .ToHaveTextAsync(["80", "90", "0.280", "0.900", "met"]);
        await report.GetByRole(AriaRole.Button, new() { Name = "Show the circuit" }).ClickAsync();
        await Expect(page.Nodes).ToHaveCountAsync(run.Circuit("small").Nodes.Count);
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task ASteeringReportHasItsFactorAndTheBandOfRandomDirections()
    {
        await using OpenPage page = await browser.OpenAsync(
            $"{run.Viewer.Url}#tab=reports&report=circuits/steering",
            visible: "#tab-reports .verdict"
        );
        ILocator report = page.Page.Locator("#tab-reports .report");

        await Expect(report.Locator(".verdict"))
            .ToHaveTextAsync(
                "2 times as probable: the counterfactual answer in the dense model at strength 2; along random directions 1.1 times."
            );
        ILocator curves = report.Locator(".chart").First.Locator(".curve");
        await Expect(curves).ToHaveCountAsync(3);
        double[] dense = await ValuesAsync(curves.Nth(0), (0, 0.1), (2, 0.2));
        Assert.Equal([0.1, 0.15, 0.2], dense);
        double[] ends = await curves
            .Nth(0)
            .EvaluateAsync<double[]>(
                """
                (curve) => {
                  const [low, , high] = [...curve.querySelectorAll(".dot")].map((dot) => Number(dot.getAttribute("cy")));
                  const range = curve.parentNode.querySelector(".range").getBBox();
                  return [range.y + range.height, range.y].map((y) => 0.1 + 0.1 * (y - low) / (high - low));
                }
                """
            );
        Assert.Equal([0.06, 0.17], ends.Select(value => Math.Round(value, 3)));
        await Expect(report.Locator("table").First.Locator("tbody td").First).ToHaveTextAsync("0.attn.act_in.12");
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task ThePanelHasExamplesAtFourPercentagesFromBothEnds()
    {
        string name = run.Circuit("small").Nodes[0].Name;
        await using OpenPage page = await browser.OpenAsync($"{run.Viewer.Url}#circuit={Small}&node={name}");
        ILocator section = page.Panel.Locator("[data-section='Activations over pretraining text']");

        await Expect(section.Locator("summary"))
            .ToHaveTextAsync(
                new[] { "top", "bottom" }.SelectMany(end =>
                    new[] { "0.1", "1", "10", "50" }.Select(percent => new System.Text.RegularExpressions.Regex(
                        $"^{end} {percent} %, activation "
                    ))
                )
            );
        await Expect(section.Locator(".heat .focus")).Not.ToHaveCountAsync(0);
        await Expect(section.Locator("svg .bar")).ToHaveCountAsync(40);
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task EmbeddingsShowTheTokensThatWriteThemMost()
    {
        JsonObject channels = JsonNode.Parse(await run.Viewer.Client.GetStringAsync("api/circuit/" + Small))!["channels"]!.AsObject();
        string channel = run.Circuit("small")
            .Nodes.First(node => node.Name.StartsWith("0.attn.act_in.", StringComparison.Ordinal))
            .Name.Split('.')[^1];
        JsonNode[] writers =
        [
            .. new[] { "top", "bottom" }
                .SelectMany(end => channels[channel]![end]!.AsArray())
                .OrderByDescending(entry => Math.Abs((double)entry!["weight"]!))
                .Select(entry => entry!),
        ];
        await using OpenPage page = await browser.OpenAsync(run.Viewer.Url + "#circuit=" + Small);

        ILocator drawn = page.Node("embedding." + channel).Locator(".writer");
        await Expect(drawn).ToHaveCountAsync(4);
        await Expect(drawn.First).ToHaveClassAsync((double)writers[0]["weight"]! < 0 ? "writer negative" : "writer positive");
        Assert.Empty(await page.OverlapsAsync());
        string token = Plain(writers.First(entry => !((string)entry["token"]!).Contains("\\n", StringComparison.Ordinal))["token"]!);
        await page.Page.Locator("#canvas").PressAsync("/");
        await page.Page.Keyboard.InsertTextAsync(token);
        await page.Page.Locator("#results button").Filter(new() { HasTextRegex = new($"^embedding\\.{channel}\\b") }).ClickAsync();
        await Expect(page.Panel.Locator("h2")).ToHaveTextAsync("embedding, residual channel " + channel);
        await Expect(page.Panel.Locator(".tokens").First.Locator("code").First)
            .ToHaveTextAsync((string)channels[channel]!["top"]![0]!["token"]!);
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task WithNothingSelectedThePanelShowsTheTaskAndTheNodesThatMatterMost()
    {
        string[] strongest =
        [
            .. run.Circuit("small")
                .Nodes.Where(node => node.AblationEffect > 0)
                .OrderByDescending(node => node.AblationEffect)
                .Take(10)
                .Select(node => node.Name),
        ];
        JsonNode pair = JsonNode.Parse(await run.Viewer.Client.GetStringAsync("api/prompts/" + Small))!["pairs"]![0]!;
        Assert.NotEmpty(strongest);
        await using OpenPage page = await browser.OpenAsync(run.Viewer.Url + "#circuit=" + Small);

        await Expect(page.Panel.Locator("#strongest .reference")).ToHaveTextAsync(strongest);
        await Expect(page.Panel.Locator("#task-prompts mark")).ToHaveTextAsync([Plain(pair["answer_a"]!), Plain(pair["answer_b"]!)]);
        await Expect(page.Node(strongest[0]).Locator(".effect")).ToHaveAttributeAsync("r", "4.5");
    }

    /// <summary>A token without its quotes and escapes.</summary>
    private static string Plain(JsonNode token) => ((string)token!)[1..^1].Replace("\\'", "'", StringComparison.Ordinal);

    /// <summary>The values of a curve's dots, read from where they stand; two of them give the scale.</summary>
    private static async Task<double[]> ValuesAsync(ILocator curve, (int Index, double Value) first, (int Index, double Value) second)
    {
        double[] heights = await curve
            .Locator(".dot")
            .EvaluateAllAsync<double[]>("(dots) => dots.map((dot) => Number(dot.getAttribute('cy')))");
        return
        [
            .. heights.Select(height =>
                Math.Round(
                    first.Value
                        + ((second.Value - first.Value) * (height - heights[first.Index]) / (heights[second.Index] - heights[first.Index])),
                    3
                )
            ),
        ];
    }

    private static string Nats(double loss) => loss.ToString("0.000", CultureInfo.InvariantCulture);

    private async Task<JsonNode> Ask(string of, Dictionary<string, float> scales)
    {
        HttpResponseMessage answer = await run.Viewer.Client.PostAsJsonAsync(
            "api/ablation",
            new
            {
                circuit = Small,
                of,
                scales,
            }
        );
        string text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }
}
