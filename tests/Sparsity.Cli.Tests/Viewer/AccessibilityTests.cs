using System.Text.Json;
using Microsoft.Playwright;
using Sparsity.Core.Circuits;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>The page can be read in both colour schemes, used from the keyboard, and told by a screen reader.</summary>
[Collection(LiveRun.Name)]
[Trait("Category", "Browser")]
public sealed class AccessibilityTests(LiveRun run, Browser browser) : IClassFixture<Browser>
{
    private const string Small = "circuits/small";

    private static readonly string[] Tabs = ["graph", "tasks", "sizes", "compare", "embeddings", "pruning", "training", "reports"];

    [BrowserTheory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task EverythingShownHasEnoughContrast(ColorScheme scheme)
    {
        CircuitNode[] nodes = [.. run.Circuit("small").Nodes];
        string head = nodes.First(node => node.Name.Contains("attn.v", StringComparison.Ordinal)).Name;
        await using OpenPage page = await browser.OpenAsync(run.Viewer.Url + "#circuit=" + Small, 1500, scheme, height: 4000);
        var found = new List<string>();

        await page.Panel.Locator("#task-prompts .heat").First.WaitForAsync();
        await Measure("graph", 100);
        await page.Page.Locator("#search").FillAsync("attn");
        await Measure("search", 100);
        await page.Page.Locator("#search").PressAsync("Escape");
        await page.Node(head).Locator(".shape").ClickAsync();
        await page.Panel.Locator("[data-section=\"In the task's prompts\"] svg .cell").First.WaitForAsync();
        await page.Panel.Locator("#label").FillAsync("a label");
        await page.Panel.Locator("#label").PressAsync("Enter");
        await page.Panel.Locator("#switch").ClickAsync();
        await page.Page.Locator("#live-now").WaitForAsync();
        await page.Node(nodes[0].Name).Locator(".shape").HoverAsync();
        await Expect(page.Page.Locator("#tooltip")).ToBeVisibleAsync();
        await Measure("selected and edited", 100);
        foreach (string tab in Tabs.Skip(1))
        {
            await page.Page.Locator("#tab-button-" + tab).ClickAsync();
            await page.Page.Locator($"#tab-{tab} svg, #tab-{tab} table").First.WaitForAsync();
            await Measure(tab, 20);
        }

        await page.Page.Locator("#help-button").ClickAsync();
        await Measure("help", 5);
        Assert.Empty(found);

        async Task Measure(string state, int least)
        {
            (int measured, string[] tooFaint) = await Contrast.MeasureAsync(page.Page);
            Assert.True(measured >= least, $"{state}: only {measured} things were measured.");
            found.AddRange(tooFaint.Select(line => $"{state}: {line}"));
        }
    }

    [BrowserFact]
    public async Task TheMeasureOfContrastSeesWhatIsTooFaint()
    {
        await using OpenPage page = await browser.OpenAsync(run.Viewer.Url + "#circuit=" + Small, 1500, height: 4000);
        await page.Page.AddStyleTagAsync(new() { Content = ":root { --soft: #8a8a8a; --idle: #bbb; --control: #ddd; }" });

        (_, string[] tooFaint) = await Contrast.MeasureAsync(page.Page);

        Assert.Contains(tooFaint, line => line.StartsWith("text", StringComparison.Ordinal));
        Assert.Contains(tooFaint, line => line.StartsWith("mark path.link", StringComparison.Ordinal));
        Assert.Contains(tooFaint, line => line.StartsWith("border of button", StringComparison.Ordinal));
    }

    [BrowserFact]
    public async Task EveryControlIsReachedByTabWithAVisibleFocusAndHasAName()
    {
        string name = run.Circuit("small").Nodes[0].Name;
        foreach (string tab in Tabs)
        {
            await using OpenPage page = await browser.OpenAsync(
                $"{run.Viewer.Url}#circuit={Small}&node={name}&scales={name}*0{(tab == "graph" ? "" : "&tab=" + tab)}",
                visible: tab == "graph" ? "#live-now" : $"#tab-{tab} svg, #tab-{tab} table"
            );
            await Expect(page.Panel.Locator("text=loading…")).ToHaveCountAsync(0);
            JsonElement before = (
                await page.Page.EvaluateAsync(
                    """
                    () => {
                      const controls = [...document.querySelectorAll("button, input, select, summary, a[href], [tabindex]")].filter((element) => element.tabIndex >= 0 && element.checkVisibility() && element.type !== "file");
                      window.missing = new Set(controls.filter((element) => element.type !== "radio" || element.checked));
                      const nameOf = (element) => element.getAttribute("aria-label") || document.getElementById(element.getAttribute("aria-labelledby"))?.textContent
                        || [...(element.labels ?? [])].map((label) => label.textContent).join(" ").trim() || (element.matches("button, summary, a") && element.textContent.trim());
                      return { count: controls.length, unnamed: controls.filter((element) => !nameOf(element)).map((element) => element.outerHTML.slice(0, 120)) };
                    }
                    """
                )
            )!.Value;
            Assert.True(before.GetProperty("count").GetInt32() >= 5, $"{tab}: no controls.");
            Assert.Empty(before.GetProperty("unnamed").EnumerateArray().Select(element => element.GetString()));
            for (int i = 0; i < before.GetProperty("count").GetInt32() + 5; i++)
            {
                await page.Page.Keyboard.PressAsync("Tab");
                string? unseen = await page.Page.EvaluateAsync<string?>(
                    """
                    () => {
                      const element = document.activeElement;
                      missing.delete(element);
                      const style = getComputedStyle(element);
                      return element === document.body || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) ? null : element.outerHTML.slice(0, 120);
                    }
                    """
                );
                Assert.True(unseen is null, $"{tab}: no visible focus on {unseen}");
            }

            string[] missed = await page.Page.EvaluateAsync<string[]>(
                "() => [...missing].map((element) => element.outerHTML.slice(0, 120))"
            );
            Assert.True(missed.Length == 0, $"{tab}: not reached by Tab: {string.Join('\n', missed)}");
        }
    }

    [BrowserFact]
    public async Task TheGraphTellsScreenReadersWhereOneIs()
    {
        Circuit circuit = run.Circuit("small");
        CircuitEdge edge = circuit.Edges[0];
        await using OpenPage page = await browser.OpenAsync($"{run.Viewer.Url}#circuit={Small}&node={edge.To}");
        ILocator canvas = page.Page.Locator("#canvas");

        await Expect(canvas).ToHaveAttributeAsync("aria-activedescendant", $"canvas:{edge.To}");
        await Expect(page.Page.Locator($"[id='canvas:{edge.To}']")).ToHaveAttributeAsync("aria-label", edge.To.Name);
        await Expect(page.Page.Locator("#announcer"))
            .ToHaveTextAsync(
                $"{edge.To}, {circuit.Edges.Count(other => other.To == edge.To)} weights in, "
                    + $"{circuit.Edges.Count(other => other.From == edge.To)} out"
            );
        await canvas.PressAsync("Enter");
        await Expect(page.Panel).ToBeFocusedAsync();
        await page.Page.Keyboard.PressAsync("Escape");
        await Expect(canvas).ToBeFocusedAsync();
        await page.Page.Keyboard.PressAsync("Escape");
        await Expect(page.Page.Locator("#announcer")).ToHaveTextAsync("nothing selected");
    }
}
