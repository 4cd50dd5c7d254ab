using System.Globalization;
using Microsoft.Playwright;
using Sparsity.Cli.Tests.Viewer;
using Sparsity.Core.Circuits;
using Sparsity.TestSupport;
using static Microsoft.Playwright.Assertions;

namespace Sparsity.Cli.Tests;

/// <summary>
/// Released circuits from the command line to the viewer, on the synthetic ones of tests/fixtures/official/official-circuits.
/// </summary>
public sealed class CircuitImportVerbTests(Browser browser) : IClassFixture<Browser>, IDisposable
{
    private static readonly string Released = Path.Combine(OfficialFixture.Root, "official-circuits");

    private static readonly string Sweeps = Path.Combine(Released, "viz", "csp_tiny", "single_double_quote");

    private readonly TemporaryFolder _folder = new();

    private static readonly string Model = Path.Combine(Released, "models", "csp_tiny");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AFolderOfSweepsIsImportedInOneGo()
    {
        string output = CommandLine.Succeed("circuit", "import", Sweeps, "--model", Model, "--out", _folder["all"]);

        Assert.Equal(
            ["prune_v2/24", "prune_v2/48", "prune_v4/k_optim"],
            Directory
                .EnumerateFiles(_folder["all"], "circuit.json", SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(_folder["all"], Path.GetDirectoryName(path)!).Replace('\\', '/'))
                .Order(StringComparer.Ordinal)
        );
        Assert.Contains("answers: token 40 and token 41, found from the logits", output, StringComparison.Ordinal);
        Assert.Contains("mean_baseline_pretrain.pt", output, StringComparison.Ordinal);
        Assert.Contains("3 circuits written", output, StringComparison.Ordinal);
        Assert.Equal(24, Circuit.Load(_folder["all/prune_v2/24/circuit.json"]).Nodes.Count);
        CommandLine.Refuse("already holds files", "circuit", "import", Sweeps, "--model", Model, "--out", _folder["all"]);
    }

    [Fact]
    public void OneFileIsImportedShownAndEdited()
    {
        string file = Path.Combine(Sweeps, "prune_v4", "k_optim", "viz_data.pt");
        string output = CommandLine.Succeed("circuit", "import", file, "--model", Model, "--out", _folder["one"]);
        Assert.Contains("circuit: loss 0.135582, the file says 0.135582 (difference ", output, StringComparison.Ordinal);
        Assert.Contains("full model: loss 0.000386, the file says 0.000386 (difference ", output, StringComparison.Ordinal);
        Assert.Contains("final_resid.14", CommandLine.Succeed("circuit", "show", _folder["one/circuit.json"]), StringComparison.Ordinal);
        foreach (string format in new[] { "json", "dot", "graphml", "csv" })
        {
            Assert.Contains(
                "final_resid.14",
                format == "csv"
                    ? "final_resid.14"
                    : CommandLine.Succeed("circuit", "export", _folder["one/circuit.json"], "--format", format),
                StringComparison.Ordinal
            );
        }

        string edited = CommandLine.Succeed(
            "circuit",
            "edit",
            _folder["one/circuit.json"],
            "--remove",
            "final_resid.14",
            "--model",
            Model,
            "--out",
            _folder["edited"]
        );
        Assert.Contains("after: 51 nodes, 59 edges", edited, StringComparison.Ordinal);
        Circuit circuit = Circuit.Load(_folder["edited/circuit.json"]);
        double effect = Circuit.Load(_folder["one/circuit.json"]).Nodes.Single(node => node.Name == "final_resid.14").AblationEffect!.Value;
        Assert.Equal(effect, circuit.Measurements.Loss - 0.135582, 1e-5);

        CommandLine.Refuse("no such file or folder", "circuit", "import", _folder["nothing"], "--model", Model, "--out", _folder["x"]);
        CommandLine.Refuse("holds no viz_data.pt", "circuit", "import", _folder["one"], "--model", Model, "--out", _folder["x"]);
        CommandLine.Refuse(
            "belongs to another model",
            "circuit",
            "import",
            file,
            "--model",
            Path.Combine(OfficialFixture.Root, "forward", "e_rms_sink_afrac8"),
            "--out",
            _folder["x"]
        );
        CommandLine.Refuse("--answers is '40'", "circuit", "import", file, "--model", Model, "--answers", "40", "--out", _folder["y"]);
        CommandLine.Refuse(
            "neither a token id nor one token",
            "circuit",
            "import",
            file,
            "--model",
            Model,
            "--answers",
            "a,b",
            "--out",
            _folder["y"]
        );
        CommandLine.Refuse("needs --model", "circuit", "import", file, "--out", _folder["y"]);
        CommandLine.Refuse(
            "either from --means FILE or measured on --data",
            "circuit",
            "import",
            file,
            "--model",
            Model,
            "--means",
            "a",
            "--data",
            "b",
            "--out",
            _folder["y"]
        );
    }

    [Fact]
    public void AFileThatCannotBeReadIsNamedAndTheOthersAreImported()
    {
        foreach (string k in new[] { "24", "48" })
        {
            File.Copy(Path.Combine(Sweeps, "prune_v2", k, "viz_data.pt"), _folder[$"sweep/{k}/viz_data.pt"]);
        }

        byte[] whole = File.ReadAllBytes(_folder["sweep/48/viz_data.pt"]);
        File.WriteAllBytes(_folder["sweep/48/viz_data.pt"], whole[..(whole.Length / 2)]);

        CommandResult result = CommandLine.Run("circuit", "import", _folder["sweep"], "--model", Model, "--out", _folder["out"]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("left out: ", result.Output, StringComparison.Ordinal);
        Assert.Contains("1 of 2 files could not be imported", result.Errors, StringComparison.Ordinal);
        Assert.True(File.Exists(_folder["out/24/circuit.json"]));
        Assert.StartsWith("zero: ", Circuit.Load(_folder["out/24/circuit.json"]).Imported!.Means, StringComparison.Ordinal);
    }

    [BrowserFact]
    [Trait("Category", "Browser")]
    public async Task TheViewerShowsASweepWithTheFilesPromptsAndEffects()
    {
        CommandLine.Succeed("circuit", "import", Sweeps, "--model", Model, "--out", _folder["all"]);
        using var viewer = new RunningViewer("--run", _folder["all"], "--model", Model);
        await using OpenPage page = await browser.OpenAsync(viewer.Url.ToString());
        Assert.Equal(["24", "48", "k_optim"], await page.Page.Locator("#pick-k option").AllTextContentsAsync());
        await page.Page.Locator("#pick-k").SelectOptionAsync("k_optim");
        await Expect(page.Nodes).ToHaveCountAsync(52);
        await Expect(page.Edges).ToHaveCountAsync(59);
        await Expect(page.Page.Locator("#fact-sweep")).ToHaveTextAsync("prune_v4");
        await Expect(page.Page.Locator("#fact-circuit")).ToHaveTextAsync("0.136 (file 0.136)");
        await Expect(page.Page.Locator("#imported")).ToContainTextAsync("answers: token 40 and token 41, found from the logits");
        await Expect(page.Page.Locator("#task-prompts .heat").First).ToContainTextAsync("#40");

        await page.Node("final_resid.14").ClickAsync();
        await Expect(page.Panel).ToContainTextAsync("final residual, which the logits read, channel 14");
        await Expect(page.Panel).ToContainTextAsync("1.attn.resid_delta.14");
        await Expect(page.Panel.Locator(".pair")).ToHaveCountAsync(16);
        await page.Page.Locator("#switch").ClickAsync();
        await Expect(page.Page.Locator("#live-before")).ToHaveTextAsync("0.136");
        await Expect(page.Page.Locator("#live-now")).ToHaveTextAsync("0.292");
        await Expect(page.Page.Locator("#live-predicted")).ToHaveTextAsync("0.292");

        await page.Node("1.attn.v.6").ClickAsync();
        await Expect(page.Panel.Locator("thead").First).ToContainTextAsync("effect");
        int thinByWeight = await ThinAsync();
        await page.Page.Locator("#by-effect").CheckAsync();
        int thinByEffect = await ThinAsync();

        // Most of the circuit's weights hardly matter.
        Assert.True(thinByEffect > thinByWeight + 15, $"{thinByWeight} lines are thin by weight, {thinByEffect} by effect.");
        await page.Page.Keyboard.PressAsync("Escape");
        Circuit opened = Circuit.Load(_folder["all/prune_v4/k_optim/circuit.json"]);
        double rise = opened.Imported!.LayerLosses["0.attn"] - opened.Imported.StoredLoss!.Value;
        Assert.True(rise > 0.3);
        await page.Page.Locator("#tab-button-pruning").ClickAsync();
        await Expect(page.Page.Locator("#tab-pruning")).ToContainTextAsync("Loss against nodes, of 608 in the model");
        await Expect(page.Page.Locator("#tab-pruning .chart > svg").Nth(1).Locator(".dot")).ToHaveCountAsync(opened.Imported.Rounds.Count);
        await Expect(page.Page.Locator("#tab-pruning .settings")).ToContainTextAsync("epochs");
        await page.Page.Locator("#tab-button-graph").ClickAsync();
        await page.Page.Locator("#canvas").PressAsync("Escape");
        ILocator part = page.Panel.Locator("#layers tbody tr").First;
        await Expect(part.Locator("th")).ToHaveTextAsync("0.attn");
        await Expect(part.Locator("td"))
            .ToHaveTextAsync([
                opened.Imported.LayerLosses["0.attn"].ToString("0.000", CultureInfo.InvariantCulture),
                "+" + rise.ToString("G3", CultureInfo.InvariantCulture),
                "●",
            ]);
        await page.Page.Locator("#tab-button-tasks").ClickAsync();
        await Expect(page.Page.Locator("#tab-tasks")).ToContainTextAsync("imported");
        await page.Page.Locator("#tab-button-sizes").ClickAsync();
        await Expect(page.Page.Locator("#tab-sizes")).ToContainTextAsync("Loss reached against nodes");

        Task<int> ThinAsync() =>
            page.Edges.EvaluateAllAsync<int>("lines => lines.filter((line) => Number(line.getAttribute('stroke-width')) < 0.9).length");
    }
}
