using Sparsity.Core.Model;

namespace Sparsity.Core.Training;

/// <summary>
/// Sums gradients over the parts of a batch (see <see cref="BatchShare"/>). Each part's gradient is complete by itself before it is added,
/// and the parts are added in their order: so the bits are the same wherever the parts are computed.
/// </summary>
internal interface IGradientSum : IDisposable
{
    /// <summary>Time for which the backward passes waited for other ranks and the network.</summary>
    TimeSpan Waited { get; }

    /// <summary>Says that the gradients of a sublayer, and of those after it, are done in one of the parts; takes them away.</summary>
    /// <param name="sublayer">As <see cref="ParameterSpec.Sublayer"/>; -1, the embeddings, ends the part.</param>
    void Finished(int sublayer);

    /// <summary>After the last part, overwrites all gradients with their sums.</summary>
    void Complete();
}
