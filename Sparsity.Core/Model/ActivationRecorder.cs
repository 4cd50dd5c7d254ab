using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>
/// Copies activations, and the gradients that reach them, to the host. Added to <see cref="ForwardState.Hooks"/> last, it sees what the
/// rest of the model sees.
/// </summary>
/// <param name="engine">The model's.</param>
/// <param name="isWanted">Which sites.</param>
internal sealed class ActivationRecorder(IComputeEngine engine, Func<Site, bool> isWanted) : ISiteHook
{
    private readonly Dictionary<Site, float[]> _activations = [];
    private readonly Dictionary<Site, float[]> _gradients = [];

    /// <summary>[B,T,C] of the last forward pass, row-major.</summary>
    public IReadOnlyDictionary<Site, float[]> Activations => _activations;

    /// <summary>[B,T,C] of the last backward pass: the derivative of the loss with respect to the activation.</summary>
    public IReadOnlyDictionary<Site, float[]> Gradients => _gradients;

    public bool Changes(Site site) => false;

    public void Forward(Site site, ActivationTensor activation) => Record(_activations, site, activation);

    public void Backward(Site site, ActivationTensor gradient) => Record(_gradients, site, gradient);

    private void Record(Dictionary<Site, float[]> records, Site site, ActivationTensor tensor)
    {
        if (!isWanted(site))
        {
            return;
        }

        if (!records.TryGetValue(site, out float[]? values) || values.Length != tensor.Length)
        {
            records[site] = values = new float[tensor.Length];
        }

        engine.Read(tensor, values);
    }
}
