using Sparsity.Core.Circuits;

namespace Sparsity.Core.Tests.Circuits;

public class NodeSetTests
{
    private static readonly NodeLayout Layout = new(TinyModels.Config, finalResid: true);

    [Fact]
    public void ASetHasWhatWasPutIn()
    {
        Node[] nodes = [Node.Parse("final_resid.3"), Node.Parse("0.attn.q.1"), Node.Parse("1.mlp.post_act.2"), Node.Parse("0.attn.q.1")];
        var set = NodeSet.Of(Layout, nodes);

        Assert.Equal(3, set.Count);
        Assert.Equal([nodes[1], nodes[2], nodes[0]], set.Nodes);
        Assert.Equal(set.Nodes.Select(Layout.IndexOf), set.Numbers);
        Assert.Equal(set.Numbers, Enumerable.Range(0, Layout.Count).Where(set.Contains));
        Assert.Equal(Enumerable.Range(0, Layout.Count).Select(i => set.Contains(i) ? 1f : 0f), set.ToMask());
    }

    [Fact]
    public void WhatIsTakenOutLeavesTheOriginalAlone()
    {
        var set = new NodeSet(Layout, [2, 5, 7]);
        NodeSet without = set.Without(5);

        Assert.Equal([2, 7], without.Numbers);
        Assert.Equal(2, without.Count);
        Assert.Equal([2, 5, 7], set.Numbers);
        Assert.Equal([2, 7], without.Without(5).Numbers);
    }

    [Fact]
    public void TheComplementIsEveryOtherNode()
    {
        var set = new NodeSet(Layout, Enumerable.Range(0, Layout.Count).Where(i => i % 3 == 0));
        NodeSet complement = set.Complement();

        Assert.Equal(Layout.Count, set.Count + complement.Count);
        Assert.DoesNotContain(complement.Numbers, set.Contains);
        Assert.Equal(set.Numbers, complement.Complement().Numbers);
    }

    [Fact]
    public void AllAndNoneAreComplements()
    {
        Assert.Equal(Enumerable.Range(0, Layout.Count), NodeSet.All(Layout).Numbers);
        Assert.Equal(0, NodeSet.Empty(Layout).Count);
        Assert.Empty(NodeSet.Empty(Layout).Nodes);
        Assert.Empty(NodeSet.All(Layout).Complement().Numbers);
    }
}
