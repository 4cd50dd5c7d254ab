using System.Text.Json.Nodes;
using Sparsity.TestSupport;

namespace Sparsity.Cli.Tests;

/// <summary>What verbs print is in the file of --json too.</summary>
public sealed class ResultsAsJsonTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void TasksAreListedAndShown()
    {
        string table = CommandLine.Succeed("tasks", "list", "--json", _folder["list.json"]);
        JsonArray list = Read("list.json");
        Assert.Equal(20, list.Count);
        Assert.All(list, task => Assert.Contains((string)task!["task"]!, table, StringComparison.Ordinal));

        string shown = CommandLine.Succeed("tasks", "show", "for_while", "var_if", "--pairs", "3", "--json", _folder["show.json"]);
        JsonArray pairs = Read("show.json");
        Assert.Equal(["for_while", "for_while", "for_while", "var_if", "var_if", "var_if"], pairs.Select(pair => (string)pair!["task"]!));
        Assert.Equal(["train", "test", "train"], pairs.Take(3).Select(pair => (string)pair!["template"]!));
        Assert.All(pairs, pair => Assert.Contains($"{pair!["first"]}[{pair["answer_a"]}]", shown, StringComparison.Ordinal));
    }

    [Fact]
    public void ATextIsShownAsTokens()
    {
        string tokenizer = Path.Combine(OfficialFixture.Root, "..", "..", "assets", "sparse-2x128", "tokenizer");
        string shown = CommandLine.Succeed("tokenizer", "show", "--from", tokenizer, "--text", "def f(", "--json", _folder["tokens.json"]);
        JsonArray tokens = Read("tokens.json");
        Assert.Equal("'def'' f''('", string.Concat(tokens.Select(token => (string)token!["text"]!)));
        Assert.All(tokens, token => Assert.Contains($"{token!["id"]}  {token["text"]}", shown, StringComparison.Ordinal));
    }

    [Fact]
    public void DevicesAreListed()
    {
        string shown = CommandLine.Succeed("devices", "--json", _folder["devices.json"]);
        JsonNode found = JsonNode.Parse(File.ReadAllText(_folder["devices.json"]))!;
        Assert.Contains($"auto takes {found["auto"]}", shown, StringComparison.Ordinal);
        Assert.All(
            found["devices"]!.AsArray(),
            device => Assert.Contains($"{device!["id"]}: {device["name"]}", shown, StringComparison.Ordinal)
        );
    }

    private JsonArray Read(string name) => JsonNode.Parse(File.ReadAllText(_folder[name]))!.AsArray();
}
