using System.Text.Json.Nodes;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>What the panel shows of a node in the task's prompts.</summary>
[Collection(LiveRun.Name)]
public sealed class PromptPageTests(LiveRun run, Browser browser) : IClassFixture<Browser>
{
    private const string Small = "circuits/small";

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
                .ToHaveTextAsync([
                    $"{i + 1}, class 1: answer {pairs[i]!["answer_a"]}",
                    $"{i + 1}, class 2: answer {pairs[i]!["answer_b"]}",
                    "class 2 minus class 1",
                ]);
            double[] first = Doubles(prompts["activations"]![name]![i]![0]!);
            double[] second = Doubles(prompts["activations"]![name]![i]![1]!);
            Assert.Equal(first.Select(PageText.Number), await ShownAsync(cells.Nth(0)));
            Assert.Equal(second.Select(PageText.Number), await ShownAsync(cells.Nth(1)));
            Assert.Equal(
                second.Select(
                    (value, t) => t + first.Length - second.Length is var at && at >= 0 ? PageText.Number(value - first[at]) : "none"
                ),
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
            .First(entry =>
                entry.Name.Contains("attn.k", StringComparison.Ordinal) || entry.Name.Contains("attn.q", StringComparison.Ordinal)
            );
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
        string[] told = await details
            .Locator("svg")
            .Nth(2)
            .Locator(".cell title")
            .EvaluateAllAsync<string[]>("(all) => all.map((title) => title.textContent)");
        Assert.Equal(factors.Count(factor => Math.Abs(factor) >= 0.005 * Math.Abs(factors[0])), told.Length);
        Assert.Contains(told, text => text.EndsWith($": times {PageText.Number(Math.Exp(factors[0]))}", StringComparison.Ordinal));
        await Expect(details.Locator("figcaption").Nth(2)).ToContainTextAsync("each row: the factor on where a token looks");
    }

    private static double[] Doubles(JsonNode values) => [.. values.AsArray().Select(value => (double)value!)];

    /// <summary>The values behind the tokens of a text, as the page tells them.</summary>
    private static async Task<string[]> ShownAsync(ILocator cell) =>
        [
            .. (await cell.Locator(".heat span").EvaluateAllAsync<string[]>("(spans) => spans.map((span) => span.title)")).Select(title =>
                title[(title.LastIndexOf(": ", StringComparison.Ordinal) + 2)..].Split(", the ")[0]
            ),
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
}
