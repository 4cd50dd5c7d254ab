using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Playwright;
using Sparsity.Core.Circuits;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>A model trained for a moment, with two circuits, served.</summary>
public sealed class LiveRun : IDisposable
{
    private readonly SmallRun _run = new();

    public LiveRun()
    {
        foreach ((string name, string target, string seed) in new[] { ("small", "0.3", "1"), ("large", "0.2", "2") })
        {
            CommandLine.Succeed(
                "prune", "--model", _run.Trained, "--task", "single_double_quote", "--steps", "60", "--k-coef", "0.001", "--target-loss", target, "--seed", seed,
                "--out", Path.Combine(_run.Trained, "circuits", name));
        }

        Viewer = new RunningViewer("--run", _run.Trained);
    }

    internal RunningViewer Viewer { get; }

    public Circuit Circuit(string name) => Core.Circuits.Circuit.Load(Path.Combine(_run.Trained, "circuits", name, "circuit.json"));

    public void Dispose()
    {
        Viewer.Dispose();
        _run.Dispose();
    }
}

/// <summary>Server mode on a real run: the picker, the tabs, and live ablation through the engine.</summary>
public sealed class LiveRunTests(LiveRun run, Browser browser) : IClassFixture<LiveRun>, IClassFixture<Browser>
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

        double[] together = await Task.WhenAll(names.Select(async name => (double)(await Ask("circuit", new() { [name] = 0 }))["edited"]!["loss"]!));

        Assert.Equal(alone, together);
        Assert.True(alone.Distinct().Count() > 1, "No node makes a difference.");
    }

    [Theory]
    [InlineData("9.attn.q.0", 0f)]
    [InlineData("0.attn.q.0", 1e30f)]
    public async Task EditsThatCannotBeAreRefused(string node, float scale)
    {
        HttpResponseMessage answer = await run.Viewer.Client.PostAsJsonAsync("api/ablation", new { circuit = Small, of = "circuit", scales = new Dictionary<string, float> { [node] = scale } });

        Assert.Equal(422, (int)answer.StatusCode);
        Assert.Contains(node[..^2], await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task SwitchingANodeOffInThePageChangesTheLoss()
    {
        Circuit circuit = run.Circuit("small");
        string name = circuit.Edges.MaxBy(edge => Math.Abs(edge.Weight))!.From;
        double expected = (double)(await Ask("circuit", new() { [name] = 0 }))["edited"]!["loss"]!;
        await using OpenPage page = await browser.OpenAsync(run.Viewer.Url + "#circuit=" + Small);

        await page.Node(name).Locator(".shape").ClickAsync();
        await page.Panel.Locator("#switch").ClickAsync();

        await Expect(page.Page.Locator("#live-before")).ToHaveTextAsync(Nats(circuit.Measurements.Loss));
        await Expect(page.Page.Locator("#live-now")).ToHaveTextAsync(Nats(expected));
        Assert.NotEqual(circuit.Measurements.Loss, expected);
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
        JsonNode pair = prompts["pairs"]![0]!;
        var last = (double)prompts["activations"]![name]![0]![0]!.AsArray()[^1]!;
        await using OpenPage page = await browser.OpenAsync($"{run.Viewer.Url}#circuit={Small}&node={name}");

        ILocator section = page.Panel.Locator("[data-section=\"In the task's prompts\"]");
        await Expect(section.Locator("h4").First).ToHaveTextAsync($"answer {pair["answer_a"]}");
        await Expect(section.Locator(".heat").Nth(0).Locator("span")).ToHaveCountAsync(pair["first"]!.AsArray().Count);
        await Expect(section.Locator(".heat").Nth(1).Locator("span")).ToHaveCountAsync(pair["second"]!.AsArray().Count);
        await Expect(section.Locator("h4")).ToHaveCountAsync(5); // both answers, the difference, attention in both
        await Expect(section.Locator("svg .cell").First).ToBeVisibleAsync();
        Assert.EndsWith(": " + Number(last), await section.Locator(".heat").Nth(0).Locator(".focus").GetAttributeAsync("title"), StringComparison.Ordinal);
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
        await Expect(page.Page.Locator("#tab-sizes svg").First.Locator("circle")).ToHaveCountAsync(2);
        await page.Page.GetByRole(AriaRole.Tab, new() { Name = "Embeddings" }).ClickAsync();
        await Expect(page.Page.Locator("#tab-embeddings tbody tr").First).ToBeVisibleAsync();
        await page.Page.GetByRole(AriaRole.Tab, new() { Name = "Side by side" }).ClickAsync();
        CircuitOverlap shared = CircuitOverlap.Of(small, large);
        await Expect(page.Page.Locator("#shared")).ToContainTextAsync($"Shared: {Thousands(shared.Nodes.Count)} nodes and {Thousands(shared.Edges.Count)} edges");
        await Expect(page.Page.Locator("#tab-compare .side").First.Locator(".shared")).ToHaveCountAsync(shared.Nodes.Count);

        await page.Page.ReloadAsync();
        await Expect(page.Page.Locator("#tab-compare")).ToBeVisibleAsync();
    }

    /// <summary>With a thin space between thousands, as the page writes numbers.</summary>
    private static string Thousands(int count) => count.ToString("N0", CultureInfo.InvariantCulture).Replace(',', '\u2009');

    /// <summary>A number with four digits, as the page writes it.</summary>
    private static string Number(double value) => (Math.Abs(value) is 0 or >= 1e-3
        ? value.ToString("G4", CultureInfo.InvariantCulture)
        : value.ToString("0.00e+0", CultureInfo.InvariantCulture)).Replace('-', '\u2212');

    private static string Nats(double loss) => loss.ToString("0.000", CultureInfo.InvariantCulture);

    private async Task<JsonNode> Ask(string of, Dictionary<string, float> scales)
    {
        HttpResponseMessage answer = await run.Viewer.Client.PostAsJsonAsync("api/ablation", new { circuit = Small, of, scales });
        string text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }
}
