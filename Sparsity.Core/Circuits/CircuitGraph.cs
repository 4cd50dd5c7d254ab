using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Circuits;

/// <summary>
/// The graph between nodes that a model's weights make (docs/method.md section 4): act_in -> q, k, v (c_attn), v -> attn.resid_delta
/// (attention's c_proj), act_in -> post_act (c_fc), post_act -> mlp.resid_delta (the MLP's c_proj). Residual writes and later reads meet by
/// channel and are no edges.
/// </summary>
internal sealed class CircuitGraph
{
    private readonly IReadOnlyList<Connection> _connections;

    private readonly ModelParameters _parameters;

    /// <param name="parameters">Of the model.</param>
    /// <param name="finalResid">
    /// Whether final_resid has nodes too. They have no edges: the unembedding, which reads them, belongs to no circuit.
    /// </param>
    public CircuitGraph(ModelParameters parameters, bool finalResid = false)
    {
        _parameters = parameters;
        Layout = new NodeLayout(parameters.Config, finalResid);
        _connections = [.. Enumerable.Range(0, parameters.Config.NLayer).SelectMany(layer => ConnectionsOf(parameters, layer))];
    }

    public NodeLayout Layout { get; }

    /// <summary>
    /// Every nonzero weight whose ends both are in <paramref name="nodes"/>, in the order of layers, matrices, outputs, inputs.
    /// </summary>
    public IEnumerable<(int From, int To, float Weight)> Edges(NodeSet nodes)
    {
        foreach (Connection connection in _connections)
        {
            for (int output = 0; output < connection.Outputs; output++)
            {
                if (!nodes.Contains(connection.FirstTo + output))
                {
                    continue;
                }

                for (int input = 0; input < connection.Inputs; input++)
                {
                    float weight = connection.Weights[((connection.FirstRow + output) * connection.Inputs) + input];
                    if (weight != 0 && nodes.Contains(connection.FirstFrom + input))
                    {
                        yield return (connection.FirstFrom + input, connection.FirstTo + output, weight);
                    }
                }
            }
        }
    }

    /// <summary>Sets one weight of the model to zero until the result is disposed. Only one edge at a time.</summary>
    public IDisposable WithoutEdge(int from, int to)
    {
        Connection connection = _connections.Single(entry =>
            from >= entry.FirstFrom && from < entry.FirstFrom + entry.Inputs && to >= entry.FirstTo && to < entry.FirstTo + entry.Outputs
        );
        return new RemovedWeight(
            _parameters.Engine,
            _parameters[connection.Name].Value,
            connection.Weights,
            ((connection.FirstRow + to - connection.FirstTo) * connection.Inputs) + from - connection.FirstFrom
        );
    }

    /// <summary>The bias of the linear layer that computes a node; null for act_in, or where the model has none.</summary>
    public float? BiasOf(int node)
    {
        foreach (Connection connection in _connections)
        {
            if (node >= connection.FirstTo && node < connection.FirstTo + connection.Outputs)
            {
                return connection.Biases?[connection.FirstRow + node - connection.FirstTo];
            }
        }

        return null;
    }

    /// <summary>
    /// Drops, again and again, every act_in, v and post_act that no edge leaves. That changes no number of the circuit: such a node feeds
    /// only frozen ones.
    /// </summary>
    public NodeSet WithoutDeadEnds(NodeSet nodes)
    {
        while (true)
        {
            var left = new NodeSet(Layout, Edges(nodes).Select(edge => edge.From));
            var kept = new NodeSet(Layout, nodes.Numbers.Where(i => left.Contains(i) || !CanBeDeadEnd(i)));
            if (kept.Count == nodes.Count)
            {
                return nodes;
            }

            nodes = kept;
        }

        bool CanBeDeadEnd(int node) =>
            Layout[node].Site.Kind is SiteKind.AttnActIn or SiteKind.AttnV or SiteKind.MlpActIn or SiteKind.MlpPostAct;
    }

    private IEnumerable<Connection> ConnectionsOf(ModelParameters parameters, int layer)
    {
        int attention = parameters.Config.AttentionChannels;
        int attentionInput = First(SiteKind.AttnActIn);
        yield return Between(attentionInput, SiteKind.AttnQ, "attn.c_attn", 0);
        yield return Between(attentionInput, SiteKind.AttnK, "attn.c_attn", attention);
        yield return Between(attentionInput, SiteKind.AttnV, "attn.c_attn", 2 * attention);
        yield return Between(First(SiteKind.AttnV), SiteKind.AttnResidDelta, "attn.c_proj", 0);
        yield return Between(First(SiteKind.MlpActIn), SiteKind.MlpPostAct, "mlp.c_fc", 0);
        yield return Between(First(SiteKind.MlpPostAct), SiteKind.MlpResidDelta, "mlp.c_proj", 0);

        int First(SiteKind kind) => Layout.IndexOf(new Node(new Site(layer, kind), 0));

        Connection Between(int from, SiteKind to, string name, int firstRow)
        {
            Parameter weight = parameters[$"{ParameterNames.Layer(layer)}{name}.weight"];
            string bias = $"{ParameterNames.Layer(layer)}{name}.bias";
            return new Connection(
                weight.Spec.Name,
                from,
                First(to),
                weight.Spec.Columns,
                parameters.Config.ChannelsAt(to),
                firstRow,
                parameters.Read(weight.Spec.Name),
                parameters.Find(bias) is null ? null : parameters.Read(bias)
            );
        }
    }

    /// <summary>Rows FirstRow .. FirstRow+Outputs-1 of a weight matrix, between two runs of nodes.</summary>
    private sealed record Connection(
        string Name,
        int FirstFrom,
        int FirstTo,
        int Inputs,
        int Outputs,
        int FirstRow,
        float[] Weights,
        float[]? Biases
    );

    private sealed class RemovedWeight : IDisposable
    {
        private readonly IComputeEngine _engine;
        private readonly WeightTensor _tensor;
        private readonly float[] _weights;
        private readonly int _place;
        private readonly float _weight;

        public RemovedWeight(IComputeEngine engine, WeightTensor tensor, float[] weights, int place)
        {
            _engine = engine;
            _tensor = tensor;
            _weights = weights;
            _place = place;
            _weight = weights[place];
            Set(0);
        }

        public void Dispose() => Set(_weight);

        private void Set(float weight)
        {
            _weights[_place] = weight;
            _engine.Write(_tensor, _weights);
        }
    }
}
