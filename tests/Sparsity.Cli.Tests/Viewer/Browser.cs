using Microsoft.Playwright;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>One headless browser for a class of tests.</summary>
public sealed class Browser : IAsyncLifetime
{
    private const float SlowMachine = 30_000; // milliseconds; a pass waits for none of it

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async Task InitializeAsync()
    {
        if (File.Exists(BrowserFactAttribute.Executable))
        {
            Assertions.SetDefaultExpectTimeout(SlowMachine);
            _playwright = await Playwright.CreateAsync();
            _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = BrowserFactAttribute.Executable });
        }
    }

    /// <summary>Opens a page in a context of its own.</summary>
    /// <param name="url">A file: address, for which the network is refused, or one of a server here.</param>
    /// <param name="visible">What must be there before a test begins.</param>
    public async Task<OpenPage> OpenAsync(
        string url,
        int width = 1280,
        ColorScheme scheme = ColorScheme.Light,
        int height = 800,
        string visible = "#canvas .node"
    )
    {
        IBrowserContext context = await _browser!.NewContextAsync(
            new()
            {
                ViewportSize = new() { Width = width, Height = height },
                ColorScheme = scheme,
                AcceptDownloads = true,
            }
        );
        IPage page = await context.NewPageAsync();
        var opened = new OpenPage(context, page, url);
        await opened.StartAsync(visible);
        return opened;
    }

    /// <summary>Writes the page of a circuit into a folder, and opens it from there.</summary>
    /// <param name="fragment">Of its address.</param>
    internal Task<OpenPage> OpenCircuitAsync(
        TemporaryFolder folder,
        Circuit circuit,
        string fragment = "",
        string visible = "#canvas .node"
    )
    {
        string file = folder["circuit.json"];
        string html = folder["page.html"];
        File.WriteAllText(file, JsonText.Write(circuit));
        CommandLine.Succeed("view", "--circuit", file, "--html", html);
        return OpenAsync(new Uri(html).AbsoluteUri + fragment, visible: visible);
    }

    public async Task DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
    }
}

/// <summary>
/// A page under test. On disposal it must have logged no error and asked for nothing but itself and the server it came from.
/// </summary>
public sealed class OpenPage(IBrowserContext context, IPage page, string url) : IAsyncDisposable
{
    private readonly List<string> _complaints = [];

    public IPage Page { get; } = page;

    /// <summary>Whether the server may refuse what the page asks for; the browser logs that as an error.</summary>
    public bool RefusalsExpected { get; set; }

    /// <summary>Nodes of the circuit as drawn: neither embeddings nor logits.</summary>
    public ILocator Nodes => Page.Locator("#canvas .node:not(.embedding):not(.logit)");

    public ILocator Edges => Page.Locator("#canvas .edge");

    public ILocator Panel => Page.Locator("#panel");

    public ILocator Node(string name) => Page.Locator($"#canvas [data-name='{name}']");

    public async Task StartAsync(string visible)
    {
        string origin = new Uri(url).GetLeftPart(UriPartial.Authority);
        Page.Console += (_, message) =>
            Complain(
                (message.Type == "error" || message.Type == "warning")
                    && !(RefusalsExpected && message.Text.Contains("status of 422", StringComparison.Ordinal)),
                $"console: {message.Text}"
            );
        Page.PageError += (_, error) => Complain(true, $"page error: {error}");
        Page.Request += (_, request) =>
            Complain(
                !request.Url.StartsWith("data:", StringComparison.Ordinal)
                    && !request.Url.StartsWith("blob:", StringComparison.Ordinal)
                    && !request.Url.StartsWith(
                        url.StartsWith("file:", StringComparison.Ordinal) ? url.Split('#')[0] : origin,
                        StringComparison.Ordinal
                    ),
                $"asked for {request.Url}"
            );
        if (url.StartsWith("file:", StringComparison.Ordinal))
        {
            await context.SetOfflineAsync(true);
        }

        await Page.GotoAsync(url);
        await Page.Locator(visible).First.WaitForAsync();
    }

    /// <summary>Every text of the drawing that lies on a node or on another text.</summary>
    public Task<string[]> OverlapsAsync() =>
        Page.EvaluateAsync<string[]>(
            """
            () => {
              const box = (element) => element.getBoundingClientRect();
              const texts = [...document.querySelectorAll("#canvas .graph text")].filter((text) => text.textContent);
              const shapes = [...document.querySelectorAll("#canvas .graph .shape")];
              const touch = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
              return texts.flatMap((text, i) => [...shapes, ...texts.slice(i + 1)].filter((other) => touch(box(text), box(other))).map((other) => text.textContent + " on " + (other.textContent || other.parentElement.id)));
            }
            """
        );

    /// <summary>What a click makes the browser save.</summary>
    public async Task<string> DownloadAsync(string button)
    {
        IDownload download = await Page.RunAndWaitForDownloadAsync(() => Page.Locator(button).ClickAsync());
        return await download.PathAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await context.DisposeAsync();
        Assert.Empty(_complaints);
    }

    private void Complain(bool holds, string what)
    {
        if (holds)
        {
            _complaints.Add(what);
        }
    }
}
