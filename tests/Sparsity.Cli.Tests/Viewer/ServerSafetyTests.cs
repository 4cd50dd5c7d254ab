using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Sparsity.Cli.Tests.Report;
using Sparsity.Core.Files;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>A run of invented circuits, served.</summary>
public sealed class ServedRun : IDisposable
{
    /// <summary>Stands in files that must not come out.</summary>
    public const string Secret = "what nobody may read";

    private readonly TemporaryFolder _folder = new();

    public ServedRun()
    {
        Write("run/circuits/quotes/circuit.json", JsonText.Write(SampleReport.Circuit("quotes", 2)));
        Write("run/circuits/brackets/circuit.json", JsonText.Write(SampleReport.Circuit("brackets", 3)));
        Write("run/circuits/damaged/circuit.json", "{");
        Write(
            "run/results.json",
            """{"results": [{"task": "with_as", "seed": 3, "target_loss": 0.15, "status": "skipped", "reason": "no single token", "folder": null}]}"""
        );
        Write("run/bridge/steering.json", """{"points": [{"strength": 1, "dense": {"counterfactual": 0.5}}]}""");
        Write("run/notes.txt", Secret);
        Write("secret.txt", Secret);
        Write("outside/circuit.json", JsonText.Write(SampleReport.Circuit(Secret, 2)));
        if (!OperatingSystem.IsWindows())
        {
            Directory.CreateSymbolicLink(_folder["run/circuits/linked"], _folder["outside"]);
            File.CreateSymbolicLink(_folder["run/circuits/linked-file/circuit.json"], _folder["outside/circuit.json"]);
        }

        Viewer = new RunningViewer("--run", _folder["run"]);
    }

    internal RunningViewer Viewer { get; }

    public string this[string name] => _folder[name];

    public void Dispose()
    {
        Viewer.Dispose();
        _folder.Dispose();
    }

    private void Write(string name, string text) => File.WriteAllText(_folder[name], text);
}

/// <summary>The server gives nothing but the page and its documents, to this machine only, and stays up.</summary>
public sealed class ServerSafetyTests(ServedRun run) : IClassFixture<ServedRun>
{
    private RunningViewer Viewer => run.Viewer;

    [Fact]
    public async Task ThePageAndTheListOfCircuitsAreServedWithSafeHeaders()
    {
        HttpResponseMessage page = await Viewer.Client.GetAsync("");
        string list = await Viewer.Client.GetStringAsync("api/run");

        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Equal("nosniff", page.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Equal("no-referrer", page.Headers.GetValues("Referrer-Policy").Single());
        Assert.Equal("DENY", page.Headers.GetValues("X-Frame-Options").Single());
        Assert.False(page.Headers.Contains("Server"));
        Assert.Contains("\"id\":\"circuits/quotes\"", list, StringComparison.Ordinal);
        Assert.Contains("\"id\":\"circuits/brackets\"", list, StringComparison.Ordinal);
        Assert.DoesNotContain("damaged", list, StringComparison.Ordinal);
        Assert.DoesNotContain("linked", list, StringComparison.Ordinal);
        Assert.Contains(
            "\"task\":\"with_as\",\"target_loss\":0.15,\"seed\":3,\"reason\":\"no single token\"",
            list,
            StringComparison.Ordinal
        );
        Assert.Contains("\"reports\":[\"bridge/steering\"]", list, StringComparison.Ordinal);
        Assert.Contains("\"strength\":1", await Viewer.Client.GetStringAsync("api/report/bridge/steering"), StringComparison.Ordinal);
        Assert.Contains("\"task\":\"quotes\"", await Viewer.Client.GetStringAsync("api/circuit/circuits/quotes"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/../secret.txt")]
    [InlineData("/%2e%2e/secret.txt")]
    [InlineData("/..%2fsecret.txt")]
    [InlineData("/notes.txt")]
    [InlineData("/circuits/quotes/circuit.json")]
    [InlineData("/api/../notes.txt")]
    [InlineData("/api/circuit/../../secret.txt")]
    [InlineData("/api/circuit/%2e%2e/%2e%2e/outside")]
    [InlineData("/api/circuit/circuits/quotes/../../../outside")]
    [InlineData("/api/circuit/circuits%2f..%2f..%2f..%2foutside")]
    [InlineData("/api/circuit/circuits\\..\\..\\..\\outside")]
    [InlineData("/api/circuit//etc/passwd")]
    [InlineData("/api/circuit/circuits/linked")]
    [InlineData("/api/circuit/circuits/linked-file")]
    [InlineData("/api/circuit/circuits/damaged")]
    [InlineData("/api/circuit/circuits/quotes%00")]
    [InlineData("/api/training/.")]
    [InlineData("//etc/passwd")]
    [InlineData("http://elsewhere.example/api/run")]
    public void NothingOutsideTheListComesOut(string path)
    {
        string answer = Viewer.Raw($"GET {path} HTTP/1.1");

        Assert.Matches("^HTTP/1.1 4", answer);
        Assert.DoesNotContain(ServedRun.Secret, answer, StringComparison.Ordinal);
        Assert.DoesNotContain("root:", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("elsewhere.example")]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.1.elsewhere.example")]
    [InlineData("localhost:1")]
    [InlineData("")]
    public void OtherHostsAreTurnedAway(string host)
    {
        string answer = Viewer.Raw("GET /api/run HTTP/1.1", host);

        Assert.Matches("^HTTP/1.1 4(21|00)", answer);
        Assert.DoesNotContain("circuits", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST", "/", 405)]
    [InlineData("PUT", "/api/run", 405)]
    [InlineData("DELETE", "/api/circuit/circuits/quotes", 405)]
    [InlineData("OPTIONS", "/api/ablation", 405)]
    [InlineData("TRACE", "/", 405)]
    [InlineData("GET", "/api/ablation", 405)]
    public void OtherMethodsAreTurnedAway(string method, string path, int status) =>
        Assert.StartsWith(
            $"HTTP/1.1 {status}",
            Viewer.Raw($"{method} {path} HTTP/1.1", null, "Content-Length: 0"),
            StringComparison.Ordinal
        );

    [Fact]
    public void AskingForTheHeadersSendsNoBody() => Assert.EndsWith("\r\n\r\n", Viewer.Raw("HEAD / HTTP/1.1"), StringComparison.Ordinal);

    [Theory]
    [InlineData("{}", "application/json", null, 422)]
    [InlineData("{", "application/json", null, 422)]
    [InlineData("{\"circuit\":\"nowhere\",\"of\":\"circuit\",\"scales\":{}}", "application/json", null, 422)]
    [InlineData("{\"circuit\":\"circuits/quotes\",\"of\":\"circuit\",\"scales\":{},\"more\":1}", "application/json", null, 422)]
    // Its model is not there.
    [InlineData("{\"circuit\":\"circuits/quotes\",\"of\":\"circuit\",\"scales\":{}}", "application/json", null, 422)]
    [InlineData("{\"circuit\":\"circuits/quotes\",\"of\":\"circuit\",\"scales\":{}}", "text/plain", null, 415)]
    [InlineData("{\"circuit\":\"circuits/quotes\",\"of\":\"circuit\",\"scales\":{}}", "application/json", "http://elsewhere.example", 415)]
    public async Task QuestionsThatCannotBeAnsweredAreRefusedInOneLine(string body, string type, string? origin, int status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "api/ablation")
        {
            Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue(type)),
        };
        if (origin is not null)
        {
            request.Headers.Add("Origin", origin);
        }

        HttpResponseMessage answer = await Viewer.Client.SendAsync(request);
        string text = await answer.Content.ReadAsStringAsync();

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.DoesNotContain('\n', text);
        Assert.DoesNotContain("   at ", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ABodyWithoutEndIsRefused()
    {
        using var body = new StringContent(new string(' ', 3 << 20), Encoding.UTF8, "application/json");
        HttpStatusCode status;
        try
        {
            status = (await Viewer.Client.PostAsync("api/ablation", body)).StatusCode;
        }
        catch (HttpRequestException)
        {
            status = HttpStatusCode.RequestEntityTooLarge; // the server may hang up while the body is still being sent
        }

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, status);
        Assert.Equal(HttpStatusCode.OK, (await Viewer.Client.GetAsync("api/run")).StatusCode);
    }

    [Fact]
    public async Task TenThousandRequestsAreAnsweredAlikeAndLeaveNoMemoryBehind()
    {
        string expected = await Viewer.Client.GetStringAsync("api/circuit/circuits/brackets");
        await Ask(1000);
        long before = Viewer.Memory();

        await Ask(10_000);

        Assert.False(Viewer.HasExited);
        Assert.InRange(Viewer.Memory() - before, long.MinValue, 200L << 20);

        Task Ask(int count) =>
            Parallel.ForEachAsync(
                Enumerable.Range(0, count),
                new ParallelOptions { MaxDegreeOfParallelism = 32 },
                async (i, stop) =>
                {
                    if (i % 10 == 0)
                    {
                        Assert.Equal(HttpStatusCode.NotFound, (await Viewer.Client.GetAsync($"api/circuit/{i}", stop)).StatusCode);
                    }
                    else
                    {
                        Assert.Equal(expected, await Viewer.Client.GetStringAsync("api/circuit/circuits/brackets", stop));
                    }
                }
            );
    }

    [Fact]
    public async Task AnyOtherAddressAsksForTheTokenItPrinted()
    {
        using var open = new RunningViewer("--run", run["run"], "--address", "0.0.0.0");

        Assert.Matches("token=[0-9a-f]{32}", open.Url.Query);
        Assert.Equal(HttpStatusCode.Forbidden, (await open.Client.GetAsync("")).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await open.Client.GetAsync("api/run?token=" + new string('0', 32))).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await open.Client.GetAsync(open.Url.Query)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await open.Client.GetAsync("api/run" + open.Url.Query)).StatusCode);
    }

    [LinkFact]
    public void ACircuitThatBecameALinkIsNotRead()
    {
        string path = run["run/circuits/swapped/circuit.json"];
        File.WriteAllText(path, JsonText.Write(SampleReport.Circuit("swapped", 1)));
        using var viewer = new RunningViewer("--run", run["run"]);
        File.Delete(path);
        File.CreateSymbolicLink(path, run["outside/circuit.json"]);

        string answer = viewer.Raw("GET /api/circuit/circuits/swapped HTTP/1.1");

        Assert.StartsWith("HTTP/1.1 422", answer, StringComparison.Ordinal);
        Assert.DoesNotContain(ServedRun.Secret, answer, StringComparison.Ordinal);
    }
}

/// <summary>A test that makes symbolic links.</summary>
internal sealed class LinkFactAttribute : FactAttribute
{
    public LinkFactAttribute() => Skip = OperatingSystem.IsWindows() ? "symbolic links need special rights on Windows" : null;
}
