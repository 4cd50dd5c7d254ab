using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>Something that looks at or changes activations during a pass. Added to <see cref="ForwardState.Hooks"/>.</summary>
public interface ISiteHook
{
    /// <summary>
    /// Whether it must see every token at every site. Where not, a pass may leave out tokens at sites that nothing reads them from: B and T
    /// are then those of the rest.
    /// </summary>
    bool NeedsEveryToken => true;

    /// <summary>Whether <see cref="Forward"/> may change the activation at this site.</summary>
    bool Changes(Site site) => true;

    /// <summary>Called when the activation [B,T,C] at a site is final, after AbsTopK; may change it in place.</summary>
    void Forward(Site site, ActivationTensor activation);

    /// <summary>
    /// Called with the gradient [B,T,C] of the loss with respect to what <see cref="Forward"/> left; must turn it in place into that of
    /// what Forward found.
    /// </summary>
    void Backward(Site site, ActivationTensor gradient);
}
