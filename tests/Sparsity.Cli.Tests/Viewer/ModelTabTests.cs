using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.Playwright;
using Sparsity.Core.Model;
using Sparsity.Core.Tensors;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>The tabs of the model behind a circuit: embeddings and training.</summary>
[Collection(LiveRun.Name)]
public sealed class ModelTabTests(LiveRun run, Browser browser) : IClassFixture<Browser>
{
    private const string Small = "circuits/small";

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task AnyResidualChannelIsShownWithItsTokensAndPositions()
    {
        using TensorFile file = Safetensors.Open(Path.Combine(run.Folder, "model.safetensors"));
        float[] embedding = file.ByName[ParameterNames.Token].Floats().ToArray();
        JsonNode circuit = JsonNode.Parse(await run.Viewer.Client.GetStringAsync("api/circuit/" + Small))!;
        int width = (int)circuit["model"]!["d_model"]!;
        int channel = Enumerable
            .Range(0, width)
            .First(i => !circuit["channels"]!.AsObject().ContainsKey(i.ToString(CultureInfo.InvariantCulture)));
        float[] column = [.. Enumerable.Range(0, embedding.Length / width).Select(token => embedding[(token * width) + channel])];
        await using OpenPage page = await browser.OpenAsync(
            $"{run.Viewer.Url}#circuit={Small}&tab=embeddings",
            visible: "#any-channel #channel"
        );
        ILocator any = page.Page.Locator("#any-channel");

        await any.Locator("#channel").FillAsync(channel.ToString(CultureInfo.InvariantCulture));
        await any.Locator("#channel").PressAsync("Enter");

        await Expect(any.Locator("#writers"))
            .ToHaveTextAsync(
                $"{PageText.Thousands(column.Count(weight => weight != 0))} of {PageText.Thousands(column.Length)} tokens write it."
            );
        await Expect(any.Locator(".tokens").First.Locator("li")).ToHaveCountAsync(Math.Min(20, column.Count(weight => weight > 0)));
        await Expect(any.Locator(".tokens").First.Locator("li .soft").First).ToHaveTextAsync("+" + PageText.Number(column.Max()));
        await Expect(any.Locator(".tokens").Last.Locator("li .soft").First).ToHaveTextAsync(PageText.Number(column.Min()));
        Assert.Contains($"channel={channel}", page.Page.Url, StringComparison.Ordinal);
        await Expect(page.Page.Locator("#tab-embeddings tbody tr")).ToHaveCountAsync(circuit["channels"]!.AsObject().Count);
        await Expect(page.Page.Locator("#positions canvas")).ToBeVisibleAsync();
        await page
            .Page.Locator("#positions canvas")
            .HoverAsync(
                new()
                {
                    Position = new() { X = 1, Y = 1 },
                }
            );
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
            .ToHaveTextAsync([PageText.Number((double)evaluated["validation_loss"]!), PageText.Thousands((int)evaluated["step"]!)]);
        await Expect(Row("nonzero").Locator("td").First).ToHaveTextAsync(PageText.Thousands((int)evaluated["statistics"]!["nonzero"]!));
        await Expect(Row("alive neurons, layer 1").Locator("td").First)
            .ToHaveTextAsync(PageText.Thousands((int)evaluated["statistics"]!["alive_neurons"]![1]!));
        await Expect(Row("step").Locator("td").First).ToHaveTextAsync(PageText.Thousands((int)metrics[^1]!["step"]!));

        ILocator Row(string name) =>
            rows.Filter(new() { Has = page.Page.GetByRole(AriaRole.Rowheader, new() { Name = name, Exact = true }) });
    }
}
