using Sparsity.Cli.Tests.Report;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
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

    private void Write(string folder, Circuit circuit) => File.WriteAllText(_folder[folder + "/circuit.json"], JsonText.Write(circuit));
}
