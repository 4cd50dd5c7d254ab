namespace Sparsity.Core.Engine;

/// <summary>
/// Memory that belongs to a compute engine. Where and in which order the numbers lie is the engine's own affair;
/// everyone else reads and writes them through <see cref="IComputeEngine"/> in the logical order each type states.
/// </summary>
public abstract class DeviceTensor(string name) : IDisposable
{
    /// <summary>What the tensor holds, for messages.</summary>
    public string Name { get; } = name;

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);
}

/// <summary>
/// Parameters, their gradients or their moments: float32 [Rows, Columns] in row-major logical order; a vector is one row.
/// </summary>
public abstract class WeightTensor(string name, int rows, int columns) : DeviceTensor(name)
{
    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    /// <summary>Rows * Columns.</summary>
    public int Length { get; } = TensorSize.Of(name, rows, columns);
}

/// <summary>
/// Weight tensors that operations go over together. An engine makes a list once (<see cref="IComputeEngine.ListWeights"/>); its owner
/// disposes it, and the tensors by themselves.
/// </summary>
public abstract class WeightList(string name, IReadOnlyList<WeightTensor> tensors) : DeviceTensor(name)
{
    /// <summary>In the order in which the list was given them.</summary>
    public IReadOnlyList<WeightTensor> Tensors { get; } = tensors;
}

/// <summary>How many entries of a weight tensor <see cref="IComputeEngine.KeepLargest"/> keeps.</summary>
/// <param name="Keep">0 to the tensor's length.</param>
/// <param name="AliveAxis">1: every row keeps its minimum; 0: every column; null: no minimum.</param>
/// <param name="MinimumAlive">Entries that each of these lines keeps, counted inside <paramref name="Keep"/>.</param>
public readonly record struct WeightBudget(int Keep, int? AliveAxis = null, int MinimumAlive = 0);

/// <summary>One number per token and channel: float32 [Sequences, Tokens, Channels], logical order row-major.</summary>
public abstract class ActivationTensor(string name, int sequences, int tokens, int channels) : DeviceTensor(name)
{
    public int Sequences { get; } = sequences;

    /// <summary>Tokens of each sequence.</summary>
    public int Tokens { get; } = tokens;

    public int Channels { get; } = channels;

    /// <summary>Sequences * Tokens * Channels.</summary>
    public int Length { get; } = TensorSize.Of(name, sequences, tokens, channels);

    /// <summary>
    /// Another tensor for passes over shorter sequences, to be used in this one's place: on a device in the same memory, so that writing
    /// the one overwrites the other. It must not outlive this one.
    /// </summary>
    /// <param name="tokens">At most this one's.</param>
    public abstract ActivationTensor Shortened(int tokens);

    /// <summary>
    /// A view of channels <paramref name="first"/> .. <paramref name="first"/> + <paramref name="count"/> - 1 of the same memory.
    /// </summary>
    public abstract ActivationTensor Slice(int first, int count);
}

/// <summary>
/// Sums and root mean squares that operations leave on the device. The host knows them from <see cref="IComputeEngine.Fetch"/> on, so that
/// it waits once for all the numbers of a step.
/// </summary>
public abstract class ScalarTensor(string name, int count) : DeviceTensor(name)
{
    private readonly double[] _fetched = new double[count];

    public int Count => _fetched.Length;

    /// <summary>As last fetched; 0 before.</summary>
    public double this[int index] => _fetched[index];

    /// <summary>For the engine to overwrite.</summary>
    protected Span<double> Fetched => _fetched;
}

/// <summary>Which entries of an activation [Sequences, Tokens, Channels] AbsTopK kept: one bit each.</summary>
public abstract class SelectionTensor(string name) : DeviceTensor(name)
{
    /// <inheritdoc cref="ActivationTensor.Shortened"/>
    public abstract SelectionTensor Shortened(int tokens);
}

/// <summary>
/// What an operation keeps of its input [Sequences, Tokens, Channels] for its backward pass, and nobody else reads: behind AbsTopK the few
/// entries that count are all that an engine need store.
/// </summary>
public abstract class SavedForBackward(string name) : DeviceTensor(name)
{
    /// <inheritdoc cref="ActivationTensor.Shortened"/>
    public abstract SavedForBackward Shortened(int tokens);
}

/// <summary>Token ids or positions: int32 [Sequences, Tokens], logical order row-major.</summary>
public abstract class TokenTensor(string name, int sequences, int tokens) : DeviceTensor(name)
{
    public int Sequences { get; } = sequences;

    public int Tokens { get; } = tokens;

    /// <summary>Sequences * Tokens.</summary>
    public int Length { get; } = TensorSize.Of(name, sequences, tokens);

    /// <inheritdoc cref="ActivationTensor.Shortened"/>
    public abstract TokenTensor Shortened(int tokens);
}

/// <summary>
/// Keys and values of the first tokens of each sequence: float32 [Sequences, Tokens, Channels] each; only
/// <see cref="IComputeEngine.CachedAttentionForward"/> reads and writes them.
/// </summary>
public abstract class KeyValueCache(string name, int sequences, int tokens, int channels) : DeviceTensor(name)
{
    public int Sequences { get; } = sequences;

    /// <summary>Most tokens of a sequence.</summary>
    public int Tokens { get; } = tokens;

    /// <summary>H*Dh.</summary>
    public int Channels { get; } = channels;
}
