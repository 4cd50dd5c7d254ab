using Microsoft.Playwright;
using Sparsity.Cli.Tests.Report;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Pruning;
using Sparsity.TestSupport;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>Server mode on folders of invented circuits: what is hard to tell apart, or breaks while it is shown.</summary>
[Trait("Category", "Browser")]
public sealed class RunPageTests(Browser browser) : IClassFixture<Browser>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [BrowserFact]
    public async Task OneModelUnderTwoPathsIsOneModelAndLikeCircuitsAreToldApartByFolder()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 1);
        Circuit larger = SampleReport.Circuit("quotes", 3) with { Model = "/moved/sample/" };
        Circuit other = SampleReport.Circuit("quotes", 2) with { Model = "other/sample", ModelFingerprint = "123456789" };
        Write("first", circuit);
        Write("second", larger);
        using var two = new RunningViewer("--run", _folder.Path);
        await using (OpenPage page = await browser.OpenAsync(two.Url.ToString()))
        {
            await Expect(page.Page.Locator("#fact-model")).ToHaveTextAsync("sample");
            await Expect(page.Page.Locator("#pick-model")).ToHaveCountAsync(0);
            await page.Page.Locator("#pick-id").SelectOptionAsync("second");
            await Expect(page.Nodes).ToHaveCountAsync(larger.Nodes.Count);
        }

        Write("third", other);
        using var three = new RunningViewer("--run", _folder.Path);
        await using OpenPage withOther = await browser.OpenAsync(three.Url.ToString());
        await Expect(withOther.Page.Locator("#pick-model option")).ToHaveTextAsync(["sample (0)", "sample (123456)"]);
        await withOther.Page.Locator("#pick-model").SelectOptionAsync("sample (123456)");
        await Expect(withOther.Nodes).ToHaveCountAsync(other.Nodes.Count);
    }

    [BrowserFact]
    public async Task ACircuitThatCannotBeReadAnyMoreIsToldOfAndTheOneShownStays()
    {
        Circuit good = SampleReport.Circuit("brackets", 1);
        Write("good", good);
        Write("lost", SampleReport.Circuit("quotes", 3));
        using var viewer = new RunningViewer("--run", _folder.Path);
        File.WriteAllText(_folder["lost/circuit.json"], "{");
        await using OpenPage page = await browser.OpenAsync(viewer.Url.ToString());
        page.RefusalsExpected = true;

        await page.Page.Locator("#pick-task").SelectOptionAsync("quotes");

        await Expect(page.Page.Locator("#problem")).ToContainTextAsync("lost cannot be shown: ");
        await Expect(page.Nodes).ToHaveCountAsync(good.Nodes.Count);
        await page.Page.Locator("#tab-button-compare").ClickAsync();
        await Expect(page.Page.Locator("#tab-compare .bad")).ToContainTextAsync("circuit.json");
        await page.Page.Locator("#tab-button-graph").ClickAsync();
        await page.Page.Locator("#pick-task").SelectOptionAsync("brackets");
        await Expect(page.Page.Locator("#problem")).ToBeHiddenAsync();
    }

    [BrowserFact]
    public async Task TheCourseOfASearchIsDrawnWhereItIsTheCircuitsOwn()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 1) with { Settings = new PruningConfig { KCoef = [0.002] } };
        SearchTrial[] trials =
        [
            Trial(0, 0.001, 40, 0.05, true),
            Trial(1, 0.002, 20, 0.9, true),
            Trial(2, 0.003, 10, 0.9, false),
            Trial(3, 0.004, 30, 0.9, true),
        ];
        Write("search/target-0.15", circuit);
        Write("search/target-0.3", circuit with { Settings = new PruningConfig { KCoef = [0.5] } });
        File.WriteAllText(_folder["search/search.jsonl"], string.Concat(trials.Select(JsonText.WriteLine)));
        using var viewer = new RunningViewer("--run", _folder.Path);
        await using (OpenPage page = await OpenAsync("search/target-0.15"))
        {
            ILocator chart = page.Page.Locator("#tab-pruning svg").Filter(new() { HasText = "prunings" });
            await Expect(chart.Locator(".dot")).ToHaveCountAsync(4);
            await Expect(chart.Locator(".dot.hollow")).ToHaveCountAsync(2); // not necessary; missed
            double[] heights = await chart
                .Locator(".dot")
                .EvaluateAllAsync<double[]>("(dots) => dots.map((dot) => Number(dot.getAttribute('cy')))");
            double[] line = await chart
                .Locator(".line")
                .EvaluateAsync<double[]>(
                    "(line) => [...line.getAttribute('d').matchAll(/[ML][\\d.]+ ([\\d.]+)/g)].map((match) => Number(match[1]))"
                );
            Assert.Equal([heights[1], heights[1], heights[1]], line); // the first one does not count, the later ones are not better
            await chart.Locator(".dot").Nth(1).HoverAsync();
            await Expect(page.Page.Locator("#tooltip")).ToContainTextAsync("pruning 2: 20 edges");
        }

        await using OpenPage other = await OpenAsync("search/target-0.3");
        await Expect(other.Page.Locator("#tab-pruning")).ToContainTextAsync("Course of the search: not recorded.");

        // Above the run's folder nothing is read.
        using var inner = new RunningViewer("--run", _folder["search/target-0.15"]);
        string document = await inner.Client.GetStringAsync("api/circuit/circuit");
        Assert.DoesNotContain("\"search\"", document, StringComparison.Ordinal);

        Task<OpenPage> OpenAsync(string circuit) =>
            browser.OpenAsync($"{viewer.Url}#circuit={circuit}&tab=pruning", visible: "#tab-pruning svg");

        static SearchTrial Trial(int number, double kCoef, int edges, double without, bool meets) =>
            new(number, kCoef, 0.01, 0.95, 1, 0.1, 0.001, 0, 1, edges / 2, edges, 0.1, meets, without, edges);
    }

    private void Write(string folder, Circuit circuit) => File.WriteAllText(_folder[folder + "/circuit.json"], JsonText.Write(circuit));
}
