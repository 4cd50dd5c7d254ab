using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>The program serving, in a process of its own, at a free port.</summary>
internal sealed class RunningViewer : IDisposable
{
    private readonly Process _process;

    public RunningViewer(params string[] arguments)
    {
        _process = Process.Start(
            new ProcessStartInfo(
                "dotnet",
                [Path.Combine(AppContext.BaseDirectory, "sparsity.dll"), "view", "--port", "0", "--threads", "1", .. arguments]
            )
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
        const string Line = "serving at ";
        string? line = _process.StandardOutput.ReadLine();
        while (line is not null && !line.StartsWith(Line, StringComparison.Ordinal))
        {
            line = _process.StandardOutput.ReadLine();
        }

        if (line is null)
        {
            throw new InvalidOperationException("The viewer did not start: " + _process.StandardError.ReadToEnd());
        }

        Url = new Uri(line[Line.Length..line.IndexOf(" until", StringComparison.Ordinal)]);
        Client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{Url.Port}/"), Timeout = TimeSpan.FromMinutes(2) };
    }

    /// <summary>As printed.</summary>
    public Uri Url { get; }

    public HttpClient Client { get; }

    public bool HasExited => _process.HasExited;

    /// <summary>Bytes of memory in use.</summary>
    public long Memory()
    {
        _process.Refresh();
        return _process.WorkingSet64;
    }

    /// <summary>Sends a request exactly as it is written; HttpClient would tidy it up.</summary>
    /// <returns>Everything that comes back.</returns>
    public string Raw(string requestLine, string? host = null, params string[] headers)
    {
        using var connection = new TcpClient("127.0.0.1", Url.Port);
        using NetworkStream stream = connection.GetStream();
        stream.ReadTimeout = 30_000;
        stream.Write(
            Encoding.Latin1.GetBytes(
                string.Join("\r\n", [requestLine, $"Host: {host ?? Url.Authority}", "Connection: close", .. headers, "", ""])
            )
        );
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }

    public void Dispose()
    {
        Client.Dispose();
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }
}
