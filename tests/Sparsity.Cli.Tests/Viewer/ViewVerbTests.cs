using System.Net;
using System.Net.Sockets;
using Sparsity.Cli.Tests.Report;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>What <c>view</c> refuses, in one line and with exit code 2.</summary>
public sealed class ViewVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FlagsThatDoNotGoTogether()
    {
        string circuit = Write("circuit.json", SampleReport.Circuit("quotes", 1));

        Refused("one of the two");
        Refused("one of the two", "--circuit", circuit, "--run", _folder.Path);
        Refused("--html", "--circuit", circuit);
        Refused("--port is 70000", "--run", _folder.Path, "--port", "70000");
        Refused("--address is 'here'", "--run", _folder.Path, "--address", "here");
    }

    [Fact]
    public void FilesThatCannotBeShown()
    {
        Circuit circuit = SampleReport.Circuit("quotes", 1);
        string html = _folder["page.html"];
        string good = Write("circuit.json", circuit);
        string loose = Write(
            "loose.json",
            circuit with
            {
                Edges = [.. circuit.Edges, new CircuitEdge(circuit.Nodes[0].Node, Node.Parse("1.mlp.post_act.999"), 1)],
            }
        );
        string twice = Write("twice.json", circuit with { Nodes = [.. circuit.Nodes, circuit.Nodes[0]] });
        string odd = _folder["odd.json"];
        File.WriteAllText(odd, File.ReadAllText(good).Replace(circuit.Nodes[^1].Name, "1.mlp.hidden.3", StringComparison.Ordinal));

        Refused("1.mlp.post_act.999", "--circuit", loose, "--html", html);
        Refused("occurs twice", "--circuit", twice, "--html", html);
        Refused("1.mlp.hidden.3", "--circuit", odd, "--html", html);
        Refused("cannot be read", "--circuit", _folder["none.json"], "--html", html);
        Refused("no such folder", "--run", _folder["nowhere"]);
        Refused("neither a model", "--run", Directory.CreateDirectory(_folder["empty"]).FullName);
        Refused("no such folder", "--circuit", good, "--html", html, "--model", _folder["nowhere"]);
        Refused("unknown field", "--circuit", good, "--html", html, "--labels", good);
        Assert.False(File.Exists(html), "A refused circuit left a page.");
        Refused("cannot be written", "--circuit", good, "--html", _folder.Path);
    }

    [Fact]
    public void APortThatIsTaken()
    {
        Write("circuit.json", SampleReport.Circuit("quotes", 1));
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();

        Refused("--port", "--run", _folder.Path, "--port", $"{((IPEndPoint)taken.LocalEndpoint).Port}");
    }

    private string Write(string name, Circuit circuit)
    {
        File.WriteAllText(_folder[name], JsonText.Write(circuit));
        return _folder[name];
    }

    private static void Refused(string expected, params string[] arguments)
    {
        CommandResult result = CommandLine.Run(["view", .. arguments]);

        Assert.True(
            result.ExitCode == 2,
            $"sparsity view {string.Join(' ', arguments)} ended with {result.ExitCode}: {result.Output}{result.Errors}"
        );
        Assert.Contains(expected, result.Errors, StringComparison.Ordinal);
        Assert.Equal(1, result.Errors.Count(character => character == '\n'));
    }
}
