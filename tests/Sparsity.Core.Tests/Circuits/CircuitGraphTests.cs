using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Kernels.Cpu;

namespace Sparsity.Core.Tests.Circuits;

/// <summary>Circuits of a one-layer model whose weights are written by hand, counted by hand.</summary>
public sealed class CircuitGraphTests : IDisposable
{
    // D = 3, one head of 2 channels, F = 4: nodes 0.attn.act_in.0..2, q.0..1, k.0..1, v.0..1, attn.resid_delta.0..2, mlp.act_in.0..2,
    // post_act.0..3, mlp.resid_delta.0..2.
    private static readonly ModelConfig Config = new ModelConfig
    {
        BlockSize = 4,
        VocabSize = 5,
        NLayer = 1,
        NHead = 1,
        DHeadField = 2,
        DModel = 3,
        DMlpField = 4,
        RmsNorm = true,
        TiedUnembed = false,
    }.Validated();

    private readonly CpuEngine _engine = new(1);
    private readonly ModelParameters _parameters;
    private readonly CircuitGraph _graph;

    public CircuitGraphTests()
    {
        _parameters = new ModelParameters(_engine, Config);
        Write("attn.c_attn.weight", (0, 1, 0.5f), (2, 0, -1f), (4, 2, 2f), (5, 0, 3f)); // q0<-1, k0<-0, v0<-2, v1<-0
        Write("attn.c_attn.bias", (0, 3, 0.25f)); // k1
        Write("attn.c_proj.weight", (1, 0, 1f), (2, 1, -2f)); // delta1<-v0, delta2<-v1
        Write("mlp.c_fc.weight", (0, 1, 1f), (1, 1, 1f), (3, 2, 4f)); // n0<-1, n1<-1, n3<-2
        Write("mlp.c_proj.weight", (0, 0, 5f), (2, 3, 6f)); // delta0<-n0, delta2<-n3
        _graph = new CircuitGraph(_parameters);
    }

    public void Dispose()
    {
        _parameters.Dispose();
        _engine.Dispose();
    }

    [Fact]
    public void AllNodesHaveAllNonzeroWeightsAsEdges()
    {
        Assert.Equal(3 + 2 + 2 + 2 + 3 + 3 + 4 + 3, _graph.Layout.Count);
        Assert.Equal(
            [
                "0.attn.act_in.1>0.attn.q.0 0.5",
                "0.attn.act_in.0>0.attn.k.0 -1",
                "0.attn.act_in.2>0.attn.v.0 2",
                "0.attn.act_in.0>0.attn.v.1 3",
                "0.attn.v.0>0.attn.resid_delta.1 1",
                "0.attn.v.1>0.attn.resid_delta.2 -2",
                "0.mlp.act_in.1>0.mlp.post_act.0 1",
                "0.mlp.act_in.1>0.mlp.post_act.1 1",
                "0.mlp.act_in.2>0.mlp.post_act.3 4",
                "0.mlp.post_act.0>0.mlp.resid_delta.0 5",
                "0.mlp.post_act.3>0.mlp.resid_delta.2 6",
            ],
            Edges(NodeSet.All(_graph.Layout))
        );
    }

    [Fact]
    public void AnEdgeNeedsBothItsEnds()
    {
        Assert.Equal(
            ["0.attn.act_in.2>0.attn.v.0 2"],
            Edges(Set("0.attn.act_in.2", "0.attn.v.0", "0.attn.resid_delta.2", "0.mlp.post_act.0"))
        );
        Assert.Empty(Edges(Set("0.attn.act_in.1", "0.attn.v.0", "0.mlp.post_act.0")));
    }

    [Fact]
    public void DeadEndsAreDroppedUntilNoneIsLeft()
    {
        // act_in.2 -> v.0 leads nowhere without delta1: first v.0 goes, then act_in.2. q and k, and what writes the residual, stay.
        NodeSet kept = _graph.WithoutDeadEnds(
            Set(
                "0.attn.act_in.2",
                "0.attn.v.0",
                "0.attn.act_in.1",
                "0.attn.q.0",
                "0.attn.k.1",
                "0.attn.resid_delta.2",
                "0.mlp.post_act.1",
                "0.mlp.act_in.1"
            )
        );
        Assert.Equal(["0.attn.act_in.1", "0.attn.q.0", "0.attn.k.1", "0.attn.resid_delta.2"], kept.Nodes.Select(node => node.Name));
    }

    [Fact]
    public void BiasesBelongToTheNodeTheyAreAddedTo()
    {
        Assert.Equal(0.25f, _graph.BiasOf(Index("0.attn.k.1")));
        Assert.Equal(0f, _graph.BiasOf(Index("0.attn.k.0")));
        Assert.Null(_graph.BiasOf(Index("0.attn.act_in.0")));
    }

    [Theory]
    [InlineData("0.attn.act_in.3")]
    [InlineData("1.attn.q.0")]
    [InlineData("0.attn.y.0")]
    [InlineData("0.attn.q.-1")]
    [InlineData("q")]
    public void NamesOfNoNodeAreRefused(string name) => Assert.Throws<BadInputException>(() => _graph.Layout.Parse(name));

    [Fact]
    public void EveryNodeHasItsOwnNumberAndName()
    {
        for (int i = 0; i < _graph.Layout.Count; i++)
        {
            Assert.Equal(i, _graph.Layout.IndexOf(_graph.Layout.Parse(_graph.Layout[i].Name)));
        }
    }

    private int Index(string name) => _graph.Layout.IndexOf(_graph.Layout.Parse(name));

    private NodeSet Set(params string[] names) => NodeSet.Of(_graph.Layout, names.Select(Node.Parse));

    private string[] Edges(NodeSet nodes) =>
        [
            .. _graph
                .Edges(nodes)
                .Select(edge => FormattableString.Invariant($"{_graph.Layout[edge.From]}>{_graph.Layout[edge.To]} {edge.Weight}")),
        ];

    private void Write(string name, params (int Row, int Column, float Value)[] entries)
    {
        Parameter parameter = _parameters[ParameterNames.Layer(0) + name];
        var values = new float[parameter.Spec.Length];
        foreach ((int row, int column, float value) in entries)
        {
            values[(row * parameter.Spec.Columns) + column] = value;
        }

        _engine.Write(parameter.Value, values);
    }
}
