using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Playwright;
using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;
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
    public async Task ThePanelShowsAnAttentionNodeInTheTasksPrompts()
    {
        string name = run.Circuit("small").Nodes.First(node => node.Name.Contains("attn.v", StringComparison.Ordinal)).Name;
        JsonNode prompts = JsonNode.Parse(await run.Viewer.Client.GetStringAsync("api/prompts/" + Small))!;
        JsonArray pairs = prompts["pairs"]!.AsArray();
        Assert.Equal(16, pairs.Count);
        await using OpenPage page = await browser.OpenAsync($"{run.Viewer.Url}#circuit={Small}&node={name}&wide=1");

        ILocator section = page.Panel.Locator("[data-section=\"In the task's prompts\"]");
        await Expect(section.Locator(".pair")).ToHaveCountAsync(16);
        foreach (int i in new[] { 0, 7, 15 })
        {
            ILocator cells = section.Locator(".pair").Nth(i).Locator(".cells").First.Locator("> div");
            await Expect(cells.Locator("h4"))
                .ToHaveTextAsync(
                    [
                        $"{i + 1}, class 1: answer {pairs[i]!["answer_a"]}",
                        $"{i + 1}, class 2: answer {pairs[i]!["answer_b"]}",
                        "class 2 minus class 1",
                    ]
                );
            double[] first = Doubles(prompts["activations"]![name]![i]![0]!);
            double[] second = Doubles(prompts["activations"]![name]![i]![1]!);
            Assert.Equal(first.Select(Number), await ShownAsync(cells.Nth(0)));
            Assert.Equal(second.Select(Number), await ShownAsync(cells.Nth(1)));
            Assert.Equal(
                second.Select((value, t) => t + first.Length - second.Length is var at && at >= 0 ? Number(value - first[at]) : "none"),
                await ShownAsync(cells.Nth(2))
            );
            Assert.Equal(StandingOut(first), await BoxedAsync(cells.Nth(0)));
            Assert.Equal(StandingOut(second), await BoxedAsync(cells.Nth(1)));
            Assert.Empty(await BoxedAsync(cells.Nth(2)));
        }

        // Beside each other in the wide panel, below each other in the narrow one.
        ILocator texts = section.Locator(".pair").First.Locator(".cells").First.Locator(".heat");
        Assert.Equal((await texts.Nth(0).BoundingBoxAsync())!.Y, (await texts.Nth(2).BoundingBoxAsync())!.Y);
        await page.Panel.Locator("#wide").UncheckAsync();
        Assert.True((await texts.Nth(0).BoundingBoxAsync())!.Y < (await texts.Nth(2).BoundingBoxAsync())!.Y - 10);
        await Expect(section.Locator("details svg .cell").First).ToBeVisibleAsync();
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task AChannelOfAHeadIsShownAloneAsTheFactorOnAttention()
    {
        (string id, string name) = new[] { "small", "large" }
            .SelectMany(id => run.Circuit(id).Nodes.Select(node => ($"circuits/{id}", node.Name)))
            .First(entry => entry.Name.Contains("attn.k", StringComparison.Ordinal) || entry.Name.Contains("attn.q", StringComparison.Ordinal));
        JsonNode prompts = JsonNode.Parse(await run.Viewer.Client.GetStringAsync("api/prompts/" + id))!;
        int headSize = (int)JsonNode.Parse(await run.Viewer.Client.GetStringAsync("api/circuit/" + id))!["model"]!["d_head"]!;
        double[] query = Doubles(prompts["activations"]![name.Replace(".k.", ".q.", StringComparison.Ordinal)]![0]![0]!);
        double[] key = Doubles(prompts["activations"]![name.Replace(".q.", ".k.", StringComparison.Ordinal)]![0]![0]!);
        double[] factors =
        [
            .. query.SelectMany((q, t) => key.Take(t + 1).Select(k => q * k / Math.Sqrt(headSize))).OrderByDescending(Math.Abs),
        ];
        Assert.NotEqual(0, factors[0]);
        await using OpenPage page = await browser.OpenAsync($"{run.Viewer.Url}#circuit={id}&node={name}&wide=1");

        ILocator details = page.Panel.Locator(".pair").First.Locator("details");
        await Expect(details.Locator("h4").Nth(2)).ToHaveTextAsync($"channel {name.Split('.')[^1]} alone, class 1");
        string[] told = await details.Locator("svg").Nth(2).Locator(".cell title").EvaluateAllAsync<string[]>("(all) => all.map((title) => title.textContent)");
        Assert.Equal(factors.Count(factor => Math.Abs(factor) >= 0.005 * Math.Abs(factors[0])), told.Length);
        Assert.Contains(told, text => text.EndsWith($": times {Number(Math.Exp(factors[0]))}", StringComparison.Ordinal));
        await Expect(details.Locator("figcaption").Nth(2)).ToContainTextAsync("each row: the factor on where a token looks");
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task AnyResidualChannelIsShownWithItsTokensAndPositions()
    {
        using TensorFile file = Safetensors.Open(Path.Combine(run.Folder, "model.safetensors"));
        float[] embedding = file.ByName[ParameterNames.Token].Floats();
        JsonNode circuit = JsonNode.Parse(await run.Viewer.Client.GetStringAsync("api/circuit/" + Small))!;
        int width = (int)circuit["model"]!["d_model"]!;
        int channel = Enumerable.Range(0, width).First(i => !circuit["channels"]!.AsObject().ContainsKey(i.ToString(CultureInfo.InvariantCulture)));
        float[] column = [.. Enumerable.Range(0, embedding.Length / width).Select(token => embedding[(token * width) + channel])];
        await using OpenPage page = await browser.OpenAsync(
            $"{run.Viewer.Url}#circuit={Small}&tab=embeddings",
            visible: "#any-channel #channel"
        );
        ILocator any = page.Page.Locator("#any-channel");

        await any.Locator("#channel").FillAsync(channel.ToString(CultureInfo.InvariantCulture));
        await any.Locator("#channel").PressAsync("Enter");

        await Expect(any.Locator("#writers"))
            .ToHaveTextAsync($"{Thousands(column.Count(weight => weight != 0))} of {Thousands(column.Length)} tokens write it.");
        await Expect(any.Locator(".tokens").First.Locator("li"))
            .ToHaveCountAsync(Math.Min(20, column.Count(weight => weight > 0)));
        await Expect(any.Locator(".tokens").First.Locator("li .soft").First).ToHaveTextAsync("+" + Number(column.Max()));
        await Expect(any.Locator(".tokens").Last.Locator("li .soft").First).ToHaveTextAsync(Number(column.Min()));
        Assert.Contains($"channel={channel}", page.Page.Url, StringComparison.Ordinal);
        await Expect(page.Page.Locator("#tab-embeddings tbody tr")).ToHaveCountAsync(circuit["channels"]!.AsObject().Count);
        await Expect(page.Page.Locator("#positions canvas")).ToBeVisibleAsync();
        await page.Page.Locator("#positions canvas").HoverAsync(new() { Position = new() { X = 1, Y = 1 } });
        await Expect(page.Page.Locator("#positions output")).ToContainTextAsync("Position 0, channel 0: about");
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task TheTrainingTabListsEveryMetricAsLastMeasured()
    {
        JsonArray metrics = JsonNode.Parse(
            await run.Viewer.Client.GetStringAsync("api/training/" + Uri.EscapeDataString(Path.GetFileName(run.Folder)))
        )!["metrics"]!.AsArray();
        JsonNode evaluated = metrics.Last(line => line!["validation_loss"] is not null)!;
        await using OpenPage page = await browser.OpenAsync($"{run.Viewer.Url}#tab=training", visible: "#last-metrics");
        ILocator rows = page.Page.Locator("#last-metrics tbody tr");

        await Expect(rows.Locator("th").First).ToHaveTextAsync("validation loss");
        await Expect(rows.First.Locator("td"))
            .ToHaveTextAsync([Number((double)evaluated["validation_loss"]!), Thousands((int)evaluated["step"]!)]);
        await Expect(Row("nonzero").Locator("td").First).ToHaveTextAsync(Thousands((int)evaluated["statistics"]!["nonzero"]!));
        await Expect(Row("alive neurons, layer 1").Locator("td").First)
            .ToHaveTextAsync(Thousands((int)evaluated["statistics"]!["alive_neurons"]![1]!));
        await Expect(Row("step").Locator("td").First).ToHaveTextAsync(Thousands((int)metrics[^1]!["step"]!));

        ILocator Row(string name) => rows.Filter(new() { Has = page.Page.GetByRole(AriaRole.Rowheader, new() { Name = name, Exact = true }) });
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
            .ToContainTextAsync($"Shared: {Thousands(shared.Nodes.Count)} nodes and {Thousands(shared.Edges.Count)} edges");
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

    /// <summary>With a thin space between thousands, as the page writes numbers.</summary>
    private static string Thousands(int count) => count.ToString("N0", CultureInfo.InvariantCulture).Replace(',', '\u2009');

    /// <summary>A number with four digits, as the page writes it.</summary>
    private static string Number(double value) =>
        (
            Math.Abs(value) is 0 or >= 1e-3
                ? value.ToString("G4", CultureInfo.InvariantCulture)
                : value.ToString("0.00e+0", CultureInfo.InvariantCulture)
        ).Replace('-', '\u2212');

    private static double[] Doubles(JsonNode values) => [.. values.AsArray().Select(value => (double)value!)];

    /// <summary>The values behind the tokens of a text, as the page tells them.</summary>
    private static async Task<string[]> ShownAsync(ILocator cell) =>
        [
            .. (
                await cell.Locator(".heat span").EvaluateAllAsync<string[]>("(spans) => spans.map((span) => span.title)")
            ).Select(title => title[(title.LastIndexOf(": ", StringComparison.Ordinal) + 2)..].Split(", the ")[0]),
        ];

    private static Task<int[]> BoxedAsync(ILocator cell) =>
        cell.Locator(".heat span")
            .EvaluateAllAsync<int[]>("(spans) => spans.flatMap((span, i) => (span.classList.contains('extreme') ? [i] : []))");

    /// <summary>The largest and the smallest value, where they are 0.2 standard deviations beyond the next one.</summary>
    private static int[] StandingOut(double[] values)
    {
        double mean = values.Average();
        double least = 0.2 * Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1));
        double[] sorted = [.. values.Order()];
        var found = new SortedSet<int>();
        if (sorted[^1] - sorted[^2] > least)
        {
            found.Add(Array.IndexOf(values, sorted[^1]));
        }

        if (sorted[1] - sorted[0] > least)
        {
            found.Add(Array.IndexOf(values, sorted[0]));
        }

        return [.. found];
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
