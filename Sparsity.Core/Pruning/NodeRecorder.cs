using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Pruning;

/// <summary>Keeps the activations of chosen nodes from the last pass.</summary>
internal sealed class NodeRecorder : ISiteHook
{
    private readonly IComputeEngine _engine;
    private readonly ILookup<Site, (int Place, int Channel)> _wanted;
    private float[] _buffer = [];

    public NodeRecorder(IComputeEngine engine, IReadOnlyList<Node> nodes)
    {
        _engine = engine;
        _wanted = nodes
            .Select((node, place) => (node, place))
            .ToLookup(entry => entry.node.Site, entry => (entry.place, entry.node.Channel));
        Values = new float[nodes.Count][];
    }

    /// <summary>Per node, in the order given: [B,T] in row-major order.</summary>
    public float[][] Values { get; }

    /// <summary>T of the last pass.</summary>
    public int Tokens { get; private set; }

    public void Forward(Site site, ActivationTensor activation)
    {
        if (!_wanted.Contains(site))
        {
            return;
        }

        Array.Resize(ref _buffer, Math.Max(_buffer.Length, activation.Length));
        Span<float> all = _buffer.AsSpan(0, activation.Length);
        _engine.Read(activation, all);
        Tokens = activation.Tokens;
        foreach ((int place, int channel) in _wanted[site])
        {
            var values = new float[activation.Sequences * activation.Tokens];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = all[(i * activation.Channels) + channel];
            }

            Values[place] = values;
        }
    }

    public void Backward(Site site, ActivationTensor gradient) { }
}
