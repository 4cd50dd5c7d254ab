using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>
/// What attention remembers of the tokens that a sequence began with. A <see cref="ForwardState"/> that has one continues the sequence.
/// </summary>
internal sealed class AttentionCache : IDisposable
{
    /// <param name="engine">The model's.</param>
    /// <param name="config">The model; the cache has room for block_size tokens.</param>
    public AttentionCache(IComputeEngine engine, ModelConfig config)
    {
        Layers =
        [
            .. Enumerable
                .Range(0, config.NLayer)
                .Select(layer =>
                    engine.AllocateKeyValueCache($"keys and values of layer {layer}", 1, config.BlockSize, config.AttentionChannels)
                ),
        ];
    }

    /// <summary>Tokens remembered, which is the position of the next one. Less than before drops the last tokens.</summary>
    public int Length { get; set; }

    internal IReadOnlyList<KeyValueCache> Layers { get; }

    public void Dispose()
    {
        foreach (KeyValueCache layer in Layers)
        {
            layer.Dispose();
        }
    }
}
