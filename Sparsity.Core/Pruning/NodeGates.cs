using Sparsity.Core.Circuits;
using Sparsity.Core.Engine;
using Sparsity.Core.Model;

namespace Sparsity.Core.Pruning;

/// <summary>
/// A mask over all nodes as a site hook: x * mask + replacement * (1 - mask) at each node location, the same for all prompts and positions,
/// and the gradient of the loss with respect to the mask, taken as real numbers.
/// </summary>
internal sealed class NodeGates : ISiteHook, IDisposable
{
    private readonly IComputeEngine _engine;
    private readonly Dictionary<Site, Gate> _gates = [];
    private readonly List<WeightTensor> _maskGradients = [];

    /// <param name="engine">The model's.</param>
    /// <param name="layout">All nodes.</param>
    /// <param name="replacements">What a masked node is frozen at: its mean activation, or 0; one per node.</param>
    public NodeGates(IComputeEngine engine, NodeLayout layout, ReadOnlySpan<float> replacements)
    {
        _engine = engine;
        Layout = layout;
        for (int i = 0; i < layout.Sites.Count; i++)
        {
            Site site = layout.Sites[i];
            int channels = layout.Config.ChannelsAt(site.Kind);
            var gate = new Gate(
                engine.AllocateWeights($"mask of {site}", 1, channels),
                engine.AllocateWeights($"means of {site}", 1, channels),
                engine.AllocateWeights($"mask gradient of {site}", 1, channels)
            );
            engine.Write(gate.Mean, replacements[layout.RangeOf(i)]);
            _gates[site] = gate;
            _maskGradients.Add(gate.MaskGradient);
        }
    }

    public NodeLayout Layout { get; }

    /// <summary>False: no gradient comes from tokens that nothing reads.</summary>
    public bool NeedsEveryToken => false;

    public bool Changes(Site site) => _gates.ContainsKey(site);

    /// <param name="mask">One per node; 1 keeps it, 0 freezes it.</param>
    public void SetMask(ReadOnlySpan<float> mask)
    {
        for (int i = 0; i < Layout.Sites.Count; i++)
        {
            _engine.Write(_gates[Layout.Sites[i]].Mask, mask[Layout.RangeOf(i)]);
        }
    }

    /// <summary>
    /// Overwrites <paramref name="gradient"/>, one per node, with what the backward passes since the last call accumulated, and clears it.
    /// </summary>
    public void TakeMaskGradient(Span<float> gradient)
    {
        _engine.Read(_maskGradients, gradient);
        _maskGradients.ForEach(_engine.Zero);
    }

    public void Forward(Site site, ActivationTensor activation)
    {
        if (_gates.TryGetValue(site, out Gate? gate))
        {
            _engine.GateForward(activation, gate.Mask, gate.Mean, activation, InputOf(site, gate, activation));
        }
    }

    public void Backward(Site site, ActivationTensor gradient)
    {
        if (_gates.TryGetValue(site, out Gate? gate))
        {
            _engine.GateBackward(InputOf(site, gate, gradient), gate.Mask, gate.Mean, gradient, gate.MaskGradient);
        }
    }

    public void Dispose()
    {
        foreach (Gate gate in _gates.Values)
        {
            gate.Mask.Dispose();
            gate.Mean.Dispose();
            gate.MaskGradient.Dispose();
            foreach (ByLength<SavedForBackward> inputs in gate.Inputs.Values)
            {
                inputs.Dispose();
            }
        }
    }

    /// <summary>Where the activation of a pass of this shape is kept for the way back.</summary>
    private SavedForBackward InputOf(Site site, Gate gate, ActivationTensor shape)
    {
        (int sequences, int channels) = (shape.Sequences, shape.Channels);
        if (!gate.Inputs.TryGetValue(sequences, out ByLength<SavedForBackward>? inputs))
        {
            inputs = new(
                tokens => _engine.AllocateSavedForBackward($"{site} before its mask", sequences, tokens, channels),
                (input, tokens) => input.Shortened(tokens)
            );
            gate.Inputs[sequences] = inputs;
        }

        return inputs[shape.Tokens];
    }

    private sealed record Gate(WeightTensor Mask, WeightTensor Mean, WeightTensor MaskGradient)
    {
        public Dictionary<int, ByLength<SavedForBackward>> Inputs { get; } = [];
    }
}
