using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Pruning;

/// <summary>Keeps all nodes' activations of one pass, and puts some of them into later passes over the same batch.</summary>
internal sealed class ActivationExchange(IComputeEngine engine, NodeLayout layout) : ISiteHook, IDisposable
{
    private readonly Dictionary<Site, SiteCopy> _copies = [];
    private bool _recording;

    /// <summary>The next pass is kept.</summary>
    public void Record() => _recording = true;

    /// <summary>Passes from now on have these nodes' activations from the pass kept.</summary>
    public void Insert(NodeSet nodes)
    {
        _recording = false;
        float[] taken = nodes.ToMask();
        float[] kept = nodes.Complement().ToMask();
        for (int i = 0; i < layout.Sites.Count; i++)
        {
            SiteCopy copy = _copies[layout.Sites[i]];
            engine.Write(copy.Taken, taken.AsSpan(layout.RangeOf(i)));
            engine.Write(copy.Kept, kept.AsSpan(layout.RangeOf(i)));
        }
    }

    public void Forward(Site site, ActivationTensor activation)
    {
        if (!layout.Sites.Contains(site))
        {
            return;
        }

        if (_recording)
        {
            engine.Copy(activation, CopyFor(site, activation).Values);
            return;
        }

        // The two parts are disjoint, so their sum has every number as it was.
        SiteCopy copy = _copies[site];
        engine.GateForward(copy.Values, copy.Taken, copy.Zero, copy.Part);
        engine.GateForward(activation, copy.Kept, copy.Zero, activation);
        engine.Add(activation, copy.Part, activation);
    }

    /// <summary>Only for measuring.</summary>
    public void Backward(Site site, ActivationTensor gradient) =>
        throw new NotSupportedException("Interchanged activations have no gradient.");

    public void Dispose()
    {
        foreach (SiteCopy copy in _copies.Values)
        {
            copy.Dispose();
        }
    }

    private SiteCopy CopyFor(Site site, ActivationTensor shape)
    {
        if (_copies.TryGetValue(site, out SiteCopy? copy))
        {
            if (copy.Values.Sequences == shape.Sequences && copy.Values.Tokens == shape.Tokens)
            {
                return copy;
            }

            copy.Dispose();
        }

        return _copies[site] = new SiteCopy(
            engine.AllocateActivations($"{site} of the other run", shape.Sequences, shape.Tokens, shape.Channels),
            engine.AllocateActivations($"part of {site}", shape.Sequences, shape.Tokens, shape.Channels),
            engine.AllocateWeights($"taken of {site}", 1, shape.Channels),
            engine.AllocateWeights($"kept of {site}", 1, shape.Channels),
            engine.AllocateWeights($"zeros of {site}", 1, shape.Channels)
        );
    }

    private sealed record SiteCopy(ActivationTensor Values, ActivationTensor Part, WeightTensor Taken, WeightTensor Kept, WeightTensor Zero)
        : IDisposable
    {
        public void Dispose()
        {
            foreach (DeviceTensor tensor in new DeviceTensor[] { Values, Part, Taken, Kept, Zero })
            {
                tensor.Dispose();
            }
        }
    }
}
