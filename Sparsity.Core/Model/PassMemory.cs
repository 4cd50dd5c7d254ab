using Sparsity.Core.Engine;

namespace Sparsity.Core.Model;

/// <summary>The tensors of one pass over a batch [B,T], by name; for shorter sequences, in the memory of those for longer ones.</summary>
internal sealed class PassMemory(IComputeEngine engine, int sequences, int tokens) : IDisposable
{
    private readonly Dictionary<string, DeviceTensor> _tensors = [];
    private PassMemory? _longer;

    /// <summary>B.</summary>
    public int Sequences => sequences;

    /// <summary>T.</summary>
    public int Tokens => tokens;

    /// <summary>For passes over shorter sequences: see <see cref="ActivationTensor.Shortened"/>.</summary>
    /// <param name="fewer">At most T.</param>
    public PassMemory Shortened(int fewer) => new(engine, sequences, fewer) { _longer = this };

    /// <summary>[B,T].</summary>
    public TokenTensor TokenIds(string name) =>
        Take(name, length => engine.AllocateTokens(name, sequences, length), (tensor, length) => tensor.Shortened(length));

    /// <summary>[B,T,channels].</summary>
    public ActivationTensor Activation(string name, int channels) =>
        Take(name, length => engine.AllocateActivations(name, sequences, length, channels), (tensor, length) => tensor.Shortened(length));

    /// <summary>What the backward pass needs of activations [B,T,channels].</summary>
    public SavedForBackward Kept(string name, int channels) =>
        Take(
            name,
            length => engine.AllocateSavedForBackward(name, sequences, length, channels),
            (tensor, length) => tensor.Shortened(length)
        );

    /// <summary>A selection among activations [B,T,channels].</summary>
    public SelectionTensor Selection(string name, int channels) =>
        Take(name, length => engine.AllocateSelection(name, sequences, length, channels), (tensor, length) => tensor.Shortened(length));

    public void Dispose()
    {
        foreach (DeviceTensor tensor in _tensors.Values)
        {
            tensor.Dispose();
        }
    }

    private T Take<T>(string name, Func<int, T> allocate, Func<T, int, T> shorten)
        where T : DeviceTensor
    {
        if (!_tensors.TryGetValue(name, out DeviceTensor? tensor))
        {
            tensor = _longer is null ? allocate(tokens) : shorten(_longer.Take(name, allocate, shorten), tokens);
            _tensors.Add(name, tensor);
        }

        return (T)tensor;
    }
}

/// <summary>
/// One thing for each length of sequences, all in the memory of that for the longest so far. One of them is in use at a time.
/// </summary>
/// <param name="create">Makes the longest.</param>
/// <param name="shorten">Makes a shorter one in its memory.</param>
internal sealed class ByLength<T>(Func<int, T> create, Func<T, int, T> shorten) : IDisposable
    where T : IDisposable
{
    private readonly Dictionary<int, T> _made = [];
    private int _longest;

    public T this[int tokens]
    {
        get
        {
            if (tokens > _longest)
            {
                Dispose();
                _longest = tokens;
                _made[tokens] = create(tokens);
            }
            else if (!_made.ContainsKey(tokens))
            {
                _made[tokens] = shorten(_made[_longest], tokens);
            }

            return _made[tokens];
        }
    }

    public void Dispose()
    {
        foreach (T made in _made.Values)
        {
            made.Dispose();
        }

        _made.Clear();
        _longest = 0;
    }
}
