using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Sparsity.Core;

namespace Sparsity.Cli.Viewer;

/// <summary>
/// Serves the page and its documents. It reads no file by a name from the network: paths are looked up in <see cref="ViewerDocuments"/>. On
/// 127.0.0.1 it answers only requests addressed to this machine by name, so that no web page can reach it through a name of its own; on any
/// other address it asks for a secret token.
/// </summary>
internal sealed class ViewerServer : IAsyncDisposable
{
    private const int LargestBody = 1 << 20; // bytes
    private const string Api = "/api/";

    private readonly ViewerDocuments _documents;
    private readonly LiveAblation? _ablation;
    private readonly WebApplication _application;
    private readonly byte[] _page;
    private readonly string? _token;
    private HashSet<string> _hosts = [];

    /// <param name="title">Of the page.</param>
    /// <param name="documents">What it shows.</param>
    /// <param name="ablation">What computes; null for none.</param>
    /// <param name="address">To listen at.</param>
    /// <param name="port">0 for any free one.</param>
    public ViewerServer(string title, ViewerDocuments documents, LiveAblation? ablation, IPAddress address, int port)
    {
        _documents = documents;
        _ablation = ablation;
        _page = Encoding.UTF8.GetBytes(ViewerPage.Render(title, [], connects: true));
        _token = IPAddress.IsLoopback(address) ? null : Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

        // Empty: no configuration files, no environment variables, nothing but this listens.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "sparsity" });
        builder
            .WebHost.UseKestrelCore()
            .ConfigureKestrel(kestrel =>
            {
                kestrel.AddServerHeader = false;
                kestrel.Limits.MaxRequestBodySize = LargestBody;
                kestrel.Limits.MaxConcurrentConnections = 256;
                kestrel.Listen(address, port);
            });
        _application = builder.Build();
        _application.Run(Answer);
    }

    /// <summary>Starts to listen.</summary>
    /// <returns>The address to open, with its token.</returns>
    /// <exception cref="BadInputException">The port is taken or not allowed.</exception>
    public async Task<string> StartAsync()
    {
        try
        {
            await _application.StartAsync();
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            throw new BadInputException($"cannot listen ({e.Message}). Choose another --port, or 0 for any free one.", e);
        }

        string address = _application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        int port = new Uri(address).Port;
        _hosts = [$"127.0.0.1:{port}", $"localhost:{port}", $"[::1]:{port}"];
        return _token is null ? $"{address}/" : $"{address}/?token={_token}";
    }

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private async Task Answer(HttpContext context)
    {
        HttpRequest request = context.Request;
        IHeaderDictionary headers = context.Response.Headers;
        headers.CacheControl = "no-store";
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer"; // the address may hold the token
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        string path = request.Path.Value ?? "";
        try
        {
            if (!IsAddressedHere(request))
            {
                await Refuse(context, StatusCodes.Status421MisdirectedRequest, "This viewer answers under 127.0.0.1 and localhost only.");
            }
            else if (!HasToken(request))
            {
                await Refuse(
                    context,
                    StatusCodes.Status403Forbidden,
                    "The address lacks its token. Open the address that 'sparsity view' printed."
                );
            }
            else if (path == Api + LiveAblation.Path && _ablation is not null)
            {
                await Ablate(context, _ablation);
            }
            else if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
            {
                headers.Allow = "GET, HEAD";
                await Refuse(context, StatusCodes.Status405MethodNotAllowed, "Only GET is allowed here.");
            }
            else if (path == "/")
            {
                await Send(context, "text/html; charset=utf-8", _page);
            }
            else if (path.StartsWith(Api, StringComparison.Ordinal) && _documents.Find(path[Api.Length..]) is { } json)
            {
                await Send(context, "application/json", Encoding.UTF8.GetBytes(json));
            }
            else
            {
                await Refuse(context, StatusCodes.Status404NotFound, "There is nothing here.");
            }
        }
        catch (Exception e) when (e is BadInputException or NumericalException)
        {
            await Refuse(context, StatusCodes.Status422UnprocessableEntity, e.Message);
        }
        catch (BadHttpRequestException e)
        {
            await Refuse(context, e.StatusCode, "The request is malformed.");
        }
    }

    private static async Task Ablate(HttpContext context, LiveAblation ablation)
    {
        HttpRequest request = context.Request;
        if (!HttpMethods.IsPost(request.Method))
        {
            context.Response.Headers.Allow = "POST";
            await Refuse(context, StatusCodes.Status405MethodNotAllowed, "Only POST is allowed here.");
        }
        else if (
            !request.HasJsonContentType()
            || (request.Headers.Origin.Count > 0 && request.Headers.Origin != $"{request.Scheme}://{request.Host}")
        )
        {
            // What a form or a script of another site could send without asking.
            await Refuse(context, StatusCodes.Status415UnsupportedMediaType, "Only JSON from this page is taken.");
        }
        else
        {
            using var reader = new StreamReader(request.Body, Encoding.UTF8);
            string body = await reader.ReadToEndAsync(context.RequestAborted);
            await Send(context, "application/json", Encoding.UTF8.GetBytes(await ablation.RunAsync(body, context.RequestAborted)));
        }
    }

    private bool IsAddressedHere(HttpRequest request) => _token is not null || _hosts.Contains(request.Host.Value ?? "");

    private bool HasToken(HttpRequest request) =>
        _token is null
        || CryptographicOperations.FixedTimeEquals(
            Encoding.UTF8.GetBytes(_token),
            Encoding.UTF8.GetBytes(request.Query["token"].ToString())
        );

    private static Task Send(HttpContext context, string type, byte[] body)
    {
        context.Response.ContentType = type;
        context.Response.ContentLength = body.Length;
        return HttpMethods.IsHead(context.Request.Method)
            ? Task.CompletedTask
            : context.Response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    private static Task Refuse(HttpContext context, int status, string message)
    {
        context.Response.StatusCode = status;
        return Send(context, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(message));
    }
}
