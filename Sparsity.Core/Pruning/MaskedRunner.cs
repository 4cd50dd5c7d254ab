using Sparsity.Core.Circuits;
using Sparsity.Core.Model;
using Sparsity.Core.Tasks;

namespace Sparsity.Core.Pruning;

/// <summary>Runs a frozen model on pairs of prompts with a mask over all its nodes.</summary>
internal sealed class MaskedRunner : IDisposable
{
    /// <param name="model">Frozen.</param>
    /// <param name="layout">Its nodes.</param>
    /// <param name="replacements">What a masked node is frozen at: its mean activation, or 0; one per node.</param>
    /// <param name="pairs">Most pairs of one batch.</param>
    /// <param name="tokens">Longest prompt.</param>
    /// <param name="freezesNormScale">As <see cref="PruningConfig.FreezeNormScale"/>.</param>
    public MaskedRunner(
        Transformer model,
        NodeLayout layout,
        ReadOnlySpan<float> replacements,
        int pairs,
        int tokens,
        bool freezesNormScale = false
    )
    {
        Runner = new TaskRunner(model, pairs, tokens) { FreezesNormScale = freezesNormScale };
        Gates = new NodeGates(model.Parameters.Engine, layout, replacements);
        Runner.Hooks.Add(Gates);
    }

    /// <summary>What the prompts run through; further hooks see activations after the mask.</summary>
    public TaskRunner Runner { get; }

    /// <summary>The mask.</summary>
    public NodeGates Gates { get; }

    /// <summary>From now on only <paramref name="nodes"/> are active, everything else is frozen.</summary>
    public void Keep(NodeSet nodes) => Gates.SetMask(nodes.ToMask());

    /// <summary>Runs forward and backward with a mask.</summary>
    /// <param name="mask">One per node; 1 keeps it, 0 freezes it.</param>
    /// <param name="pairs">The prompts, from 1 pair.</param>
    /// <param name="loss">Which loss.</param>
    /// <param name="gradient">Overwritten with the loss's derivative with respect to the mask; one per node.</param>
    /// <returns>The mean loss in nats.</returns>
    public double LossAndMaskGradient(ReadOnlySpan<float> mask, IReadOnlyList<TokenizedPair> pairs, TaskLoss loss, Span<float> gradient)
    {
        Gates.SetMask(mask);
        double mean = Runner.LossAndBackward(pairs, loss);
        Gates.TakeMaskGradient(gradient);
        return mean;
    }

    public void Dispose()
    {
        Runner.Dispose();
        Gates.Dispose();
    }
}
