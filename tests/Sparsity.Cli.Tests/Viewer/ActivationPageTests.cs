using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Sparsity.Cli.Tests.Report;
using Sparsity.Core.Circuits;
using Sparsity.TestSupport;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>What the panel shows of activations.json.</summary>
[Trait("Category", "Browser")]
public sealed class ActivationPageTests(Browser browser) : IClassFixture<Browser>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [BrowserFact]
    public async Task TheFullRangeOfColoursGoesFromTheSmallestToTheLargestActivation()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 1);
        File.WriteAllText(_folder["activations.json"], JsonSerializer.Serialize(Activations(circuit, circuit.ModelFingerprint)));
        await using OpenPage page = await browser.OpenCircuitAsync(_folder, circuit, "#node=" + circuit.Nodes[0].Name);
        ILocator section = page.Panel.Locator("[data-section='Activations over pretraining text']");
        ILocator tokens = section.Locator(".heat span");

        await Expect(section.Locator(".scale")).ToHaveTextAsync("colours \u221233");
        await Expect(tokens.Nth(0)).Not.ToHaveClassAsync(new Regex("warm"));
        await Expect(tokens.Nth(1)).ToHaveAttributeAsync("style", "--share: 0.17;"); // -0.5 of 3
        await section.Locator(".scale-switch input").CheckAsync();

        // From -1 to 3: 1 is in the middle.
        await Expect(section.Locator(".scale")).ToHaveTextAsync("colours \u221213");
        await Expect(tokens.Nth(0)).ToHaveClassAsync("warm negative");
        await Expect(tokens.Nth(0)).ToHaveAttributeAsync("style", "--share: 0.5;");
        await Expect(tokens.Nth(1)).ToHaveAttributeAsync("style", "--share: 0.75;");
        await Expect(tokens.Nth(2)).ToHaveClassAsync("warm positive focus");
        Assert.Contains("scale=range", page.Page.Url, StringComparison.Ordinal);
        await Expect(page.Panel.Locator("[data-section=\"Activations over the task's prompts\"] .scale"))
            .ToHaveTextAsync("colours \u221213");
    }

    [BrowserFact]
    public async Task StatisticsBesideTheCircuitAreShownInThePanel()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 1);
        File.WriteAllText(_folder["activations.json"], JsonSerializer.Serialize(Activations(circuit, circuit.ModelFingerprint)));
        await using OpenPage page = await browser.OpenCircuitAsync(_folder, circuit, "#node=" + circuit.Nodes[0].Name);

        ILocator section = page.Panel.Locator("[data-section='Activations over pretraining text']");
        await Expect(section.Locator("dd")).ToHaveTextAsync(["0.125", "0.5", "\u22121 to 3", "75.0 %", "4096"]);
        await Expect(section.Locator(".bar")).ToHaveCountAsync(4);
        await Expect(section.Locator("summary")).ToHaveTextAsync("top 0.1 %, activation 3");
        await Expect(section.Locator(".heat span")).ToHaveTextAsync(["def", " f", "('", "↵"]);
        await Expect(section.Locator(".heat .focus")).ToHaveTextAsync("('");
        await Expect(page.Panel).ToContainTextAsync("From 1.5 on 2.5, below 0: the circuit's loss becomes 0.2");
        await Expect(page.Panel.Locator("[data-section=\"In the task's prompts\"]")).ToContainTextAsync("not recorded");

        File.WriteAllText(_folder["activations.json"], JsonSerializer.Serialize(Activations(circuit, "another model")));
        CommandResult refused = CommandLine.Run("view", "--circuit", _folder["circuit.json"], "--html", _folder["page.html"]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("belongs to another circuit", refused.Errors, StringComparison.Ordinal);
    }

    /// <summary>An invented activations.json: every node does the same.</summary>
    private static object Activations(Circuit circuit, string fingerprint)
    {
        string[] tokens = ["'def'", "' f'", "'(\\''", "'\\n'"];
        object summary = new
        {
            count = 4096,
            mean = 0.125,
            deviation = 0.5,
            minimum = -1.0,
            maximum = 3.0,
            zero_share = 0.75,
            histogram = new
            {
                minimum = -1.0,
                maximum = 3.0,
                counts = new[] { 5, 3000, 90, 1 },
            },
            examples = new[]
            {
                new
                {
                    end = "top",
                    percent = 0.1,
                    position = 2,
                    tokens,
                    values = new[] { 0, -0.5, 3, 0.25 },
                },
            },
        };
        return new
        {
            format_version = 1,
            task = "quotes",
            model_fingerprint = fingerprint,
            binarised = new { circuit = 0.1, all_nodes = 0.4 },
            nodes = circuit.Nodes.Select(node => new
            {
                name = node.Name,
                pretraining = summary,
                task = summary,
                binarisation = new
                {
                    threshold = 1.5,
                    low = 0,
                    high = 2.5,
                    loss = 0.2,
                },
            }),
        };
    }
}
