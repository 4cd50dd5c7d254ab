using System.Text.Json.Nodes;
using Sparsity.Core.Circuits;
using Sparsity.Core.Files;
using Sparsity.Core.Model;
using Sparsity.TestSupport;

namespace Sparsity.Core.Tests.Circuits;

public class NodeTests
{
    [Theory]
    [InlineData("0.attn.act_in.0", 0, SiteKind.AttnActIn, 0)]
    [InlineData("11.attn.q.7", 11, SiteKind.AttnQ, 7)]
    [InlineData("0.attn.k.2047", 0, SiteKind.AttnK, 2047)]
    [InlineData("3.attn.v.10", 3, SiteKind.AttnV, 10)]
    [InlineData("10.attn.resid_delta.83", 10, SiteKind.AttnResidDelta, 83)]
    [InlineData("1.mlp.act_in.5", 1, SiteKind.MlpActIn, 5)]
    [InlineData("2.mlp.post_act.17", 2, SiteKind.MlpPostAct, 17)]
    [InlineData("2.mlp.resid_delta.1", 2, SiteKind.MlpResidDelta, 1)]
    [InlineData("final_resid.12", Site.FinalLayer, SiteKind.FinalResid, 12)]
    public void ANameIsALocationAndAChannel(string name, int layer, SiteKind kind, int channel)
    {
        var node = Node.Parse(name);

        Assert.Equal((layer, kind, channel), (node.Site.Layer, node.Site.Kind, node.Channel));
        Assert.Equal(name, node.Name);
        Assert.Equal($"[\"{name}\"]\n", JsonText.WriteLine(new[] { node }));
        Assert.Equal($"{{\"{name}\":1}}\n", JsonText.WriteLine(new Dictionary<Node, int> { [node] = 1 }));
        Assert.Equal([node], JsonText.Read<Node[]>(new JsonArray(name), "x"));
        Assert.Equal([node], JsonText.Read<Dictionary<Node, int>>(new JsonObject { [name] = 1 }, "x").Keys);
    }

    [Fact]
    public void EveryNodeOfEveryLocationIsReadAgain()
    {
        var layout = new NodeLayout(TinyModels.Config, finalResid: true);
        Node[] all = [.. NodeSet.All(layout).Nodes];

        Assert.Equal(SiteKinds.NodeLocations, all.Select(node => node.Site.Kind).Distinct());
        Assert.Equal(all, all.Select(node => Node.Parse(node.Name)));
        Assert.Equal(all, all.Reverse().Order()); // the order of computation
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData(".")]
    [InlineData("...")]
    [InlineData("7")]
    [InlineData("0.attn.q")]
    [InlineData("0.attn.q.")]
    [InlineData("0.attn.q.-1")]
    [InlineData("0.attn.q.+1")]
    [InlineData("0.attn.q.01")]
    [InlineData("0.attn.q. 1")]
    [InlineData("0.attn.q.1 ")]
    [InlineData("0.attn.q.1.0")]
    [InlineData("0.attn.q.99999999999")]
    [InlineData("00.attn.q.1")]
    [InlineData("-1.attn.q.1")]
    [InlineData(".attn.q.1")]
    [InlineData("attn.q.1")]
    [InlineData("0.ATTN.Q.1")]
    [InlineData("0.attn.y.1")] // a site without nodes
    [InlineData("0.resid_mid.1")]
    [InlineData("0.mlp.hidden.3")]
    [InlineData("0.final_resid.1")]
    [InlineData("2147483647.final_resid.1")]
    [InlineData("final_resid")]
    public void OtherNamesAreRefused(string name)
    {
        string message = $"'{name}' is no node. Nodes are LAYER.LOCATION.CHANNEL, such as 0.mlp.post_act.12, or final_resid.CHANNEL.";

        Assert.False(Node.TryParse(name, out _));
        Assert.Equal(message, Assert.Throws<BadInputException>(() => Node.Parse(name)).Message);
        Assert.Equal($"x: [0]: {message}", Assert.Throws<BadInputException>(() => JsonText.Read<Node[]>(new JsonArray(name), "x")).Message);
        Assert.Contains(
            message,
            Assert.Throws<BadInputException>(() => JsonText.Read<Dictionary<Node, int>>(new JsonObject { [name] = 1 }, "x")).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void WhatIsNoTextIsNoName()
    {
        foreach (JsonNode value in new JsonNode[] { 3, true, new JsonArray(), new JsonObject() })
        {
            Assert.Equal(
                "x: [0]: must be a text.",
                Assert.Throws<BadInputException>(() => JsonText.Read<Node[]>(new JsonArray(value), "x")).Message
            );
        }
    }

    [Theory]
    [InlineData("\"name\": \"0.attn.v.0\"", "\"name\": \"0.attn.z.0\"", "nodes[1].name: '0.attn.z.0' is no node. Nodes are")]
    [InlineData("\"name\": \"0.attn.v.0\"", "\"name\": \"0.attn.act_in.2\"", "node 0.attn.act_in.2 occurs twice")]
    [InlineData("\"to\": \"0.attn.v.0\"", "\"to\": \"0.attn.v\"", "edges[0].to: '0.attn.v' is no node. Nodes are")]
    [InlineData("\"to\": \"0.attn.v.0\"", "\"to\": null", "edges[0].to: must be a text")]
    [InlineData("\"to\": \"0.attn.v.0\"", "\"to\": \"0.attn.v.1\"", "the edge from 0.attn.act_in.2 to 0.attn.v.1 ends outside")]
    [InlineData("\"removed_by_hand\": []", "\"removed_by_hand\": [\"it\"]", "removed_by_hand[0]: 'it' is no node. Nodes are")]
    public void ACircuitsFileSaysWhichNameIsWrong(string old, string replacement, string named)
    {
        using var folder = new TemporaryFolder();
        string text = JsonText.Write(CircuitFileTests.Example);
        Assert.Contains(old, text, StringComparison.Ordinal);
        File.WriteAllText(folder["circuit.json"], text.Replace(old, replacement, StringComparison.Ordinal));

        string message = Assert.Throws<BadInputException>(() => Circuit.Load(folder["circuit.json"])).Message;

        Assert.StartsWith($"{folder["circuit.json"]}: {named}", message, StringComparison.Ordinal);
        Assert.EndsWith(".", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    /// <summary>A file of format version 1: its nodes and edges are written again byte for byte.</summary>
    [Fact]
    public void NodesOfAnOldFileStayAsTheyAre()
    {
        string path = Path.Combine(OfficialFixture.Root, "..", "version1", "pruned", "circuit.json");
        string written = JsonText.Write(Circuit.Load(path));

        string nodes = File.ReadAllText(path);
        nodes = nodes[nodes.IndexOf("  \"nodes\": [", StringComparison.Ordinal)..];
        Assert.True(nodes.Split("\"name\"").Length > 50);
        Assert.EndsWith(nodes, written, StringComparison.Ordinal);
    }

    [Fact]
    public void AModelHasItsOwnNodesOnly()
    {
        var layout = new NodeLayout(TinyModels.Config);
        foreach (string name in new[] { "2.attn.q.0", "0.attn.act_in.99", "final_resid.0", "no node" })
        {
            string message =
                $"'{name}' is no node of this model. Nodes are LAYER.LOCATION.CHANNEL, such as 0.mlp.post_act.12; in circuits that have "
                + $"them also final_resid.CHANNEL.";
            Assert.Equal(message, Assert.Throws<BadInputException>(() => layout.Parse(name)).Message);
            if (Node.TryParse(name, out Node node))
            {
                Assert.Equal(message, Assert.Throws<BadInputException>(() => NodeSet.Of(layout, [node])).Message);
            }
        }
    }
}
