using ILGPU;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Gpu;

/// <summary>Row-major parameters in device memory, with the lists of their nonzero entries where they are sparse.</summary>
internal sealed class GpuWeights : WeightTensor
{
    private bool _isFree;

    /// <param name="device">Whose memory.</param>
    /// <param name="arena">Where it lies.</param>
    /// <param name="member">Its number there.</param>
    public GpuWeights(GpuDevice device, Arena<float> arena, int member, string name, int rows, int columns)
        : base(name, rows, columns)
    {
        Arena = arena;
        Place = arena.PlaceOf(member);
        View = arena.ViewOf(member);
        Sparse = new SparseWeights(device, this);
    }

    public Arena<float> Arena { get; }

    /// <summary>Where it begins in the arena, in units.</summary>
    public int Place { get; }

    public ArrayView<float> View { get; }

    /// <summary>Whether every row begins at a multiple of 16 bytes.</summary>
    public bool IsAligned => Columns % 4 == 0;

    /// <summary>An upper bound of the number of nonzero entries, known without asking the device.</summary>
    public int NonzeroBound { get; private set; }

    public SparseWeights Sparse { get; }

    /// <summary>The values were written. The engine says so for every operation; one that knows a lower bound says so again.</summary>
    /// <param name="nonzeroBound">At most so many are nonzero afterwards.</param>
    public void Changed(int nonzeroBound)
    {
        NonzeroBound = nonzeroBound;
        Sparse.IsCurrent = false;
    }

    protected override void Dispose(bool disposing)
    {
        if (!_isFree)
        {
            _isFree = true;
            Arena.Release();
            Sparse.Dispose();
        }
    }
}

/// <summary>
/// Activations token by token: entry (b, t, c) is at ((b * T) + t) * Stride + c of the view. A slice has the stride of its whole.
/// </summary>
internal sealed class GpuActivations : ActivationTensor
{
    private readonly GpuActivations? _whole;
    private readonly bool _isBorrowed;
    private readonly int _first;
    private DeviceMemory<float> _memory;
    private bool _isMostlyZero;

    public GpuActivations(GpuDevice device, string name, int sequences, int tokens, int channels)
        : base(name, sequences, tokens, channels)
    {
        _memory = device.Allocate<float>(name, Length);
        View = _memory.View;
        Stride = channels;
        IsAligned = channels % 4 == 0;
    }

    private GpuActivations(GpuActivations whole, int first, int count)
        : base(whole.Name, whole.Sequences, whole.Tokens, count)
    {
        _memory = whole._memory;
        _whole = whole._whole ?? whole;
        _first = whole._first + first;
        View = whole.View.SubView(first, (int)whole.View.Length - first);
        Stride = whole.Stride;
        IsAligned = whole.IsAligned && first % 4 == 0;
    }

    private GpuActivations(GpuActivations longer, int tokens)
        : base(longer.Name, longer.Sequences, tokens, longer.Channels)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens, longer.Tokens);
        _memory = longer._memory;
        _isBorrowed = true;
        View = longer.View.SubView(0, Length);
        Stride = longer.Channels;
        IsAligned = longer.IsAligned;
    }

    public ArrayView<float> View { get; private set; }

    /// <summary>Floats from one token to the next.</summary>
    public int Stride { get; }

    /// <summary>Whether every token begins at a multiple of 16 bytes.</summary>
    public bool IsAligned { get; }

    /// <summary>Whether the numbers lie one behind the other, as they do but in slices.</summary>
    public bool HasNoGaps => Stride == Channels;

    /// <summary>B * T.</summary>
    public int Rows => Sequences * Tokens;

    /// <summary>Whether this is another tensor, or a slice that leaves nothing of it out.</summary>
    public bool IsAllOf(GpuActivations other) => other == this || (_whole == other && Channels == other.Channels);

    /// <summary>Whether nothing that is written to this tensor can be seen in the other; of tensors with the same tokens.</summary>
    public bool IsApartFrom(GpuActivations other) =>
        _memory != other._memory
        || (Stride == other.Stride && (_first + Channels <= other._first || other._first + other.Channels <= _first));

    /// <summary>
    /// For operations on each entry by itself: tensors of equal shape without gaps are one long row, others rows of their channels.
    /// </summary>
    public static int EntriesOfRow(params ReadOnlySpan<GpuActivations> tensors)
    {
        foreach (GpuActivations tensor in tensors)
        {
            if (tensor.Stride != tensor.Channels)
            {
                return tensor.Channels;
            }
        }

        return tensors[0].Length;
    }

    /// <summary>
    /// Whether AbsTopK zeroed most entries here last, or in a slice of it. Decides which kernel is the faster one, never what it computes.
    /// </summary>
    public bool IsMostlyZero
    {
        get => (_whole ?? this)._isMostlyZero;
        set => (_whole ?? this)._isMostlyZero = value;
    }

    /// <summary>Gives this tensor the memory of another of the same shape, and the other this one's; neither may have slices.</summary>
    public void ExchangeMemory(GpuActivations other)
    {
        if (other.Length != Length || _whole is not null || other._whole is not null)
        {
            throw new ArgumentException($"'{other.Name}' and '{Name}' differ in shape or are slices.", nameof(other));
        }

        (_memory, other._memory) = (other._memory, _memory);
        (View, other.View) = (other.View, View);
        (IsMostlyZero, other.IsMostlyZero) = (other.IsMostlyZero, IsMostlyZero);
    }

    /// <summary>Not of slices.</summary>
    public override ActivationTensor Shortened(int tokens) => new GpuActivations(this, tokens);

    public override ActivationTensor Slice(int first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first + count, Channels);
        return new GpuActivations(this, first, count);
    }

    protected override void Dispose(bool disposing)
    {
        if (_whole is null && !_isBorrowed)
        {
            _memory.Dispose();
        }
    }
}

/// <summary>AbsTopK's choice: a byte for each token and channel, 1 where kept.</summary>
internal sealed class GpuSelection : SelectionTensor
{
    private readonly DeviceMemory<byte>? _memory;
    private readonly int _entriesOfToken;

    public GpuSelection(GpuDevice device, string name, int sequences, int tokens, int channels)
        : base(name)
    {
        _memory = device.Allocate<byte>(name, TensorSize.Of(name, sequences, tokens, channels));
        _entriesOfToken = sequences * channels;
        View = _memory.View;
    }

    private GpuSelection(GpuSelection longer, int tokens)
        : base(longer.Name)
    {
        _entriesOfToken = longer._entriesOfToken;
        View = longer.View.SubView(0, _entriesOfToken * tokens);
    }

    public ArrayView<byte> View { get; }

    /// <summary>Whether at most half of the entries were kept.</summary>
    public bool IsFew { get; set; }

    public override SelectionTensor Shortened(int tokens) => new GpuSelection(this, tokens);

    protected override void Dispose(bool disposing) => _memory?.Dispose();
}

/// <summary>All of the input, as it is.</summary>
internal sealed class GpuSavedForBackward(GpuActivations values) : SavedForBackward(values.Name)
{
    public GpuActivations Values { get; } = values;

    public override SavedForBackward Shortened(int tokens) => new GpuSavedForBackward((GpuActivations)Values.Shortened(tokens));

    protected override void Dispose(bool disposing) => Values.Dispose();
}

/// <summary>Token ids or positions [B,T], with the list of the places of each id where it was asked for.</summary>
internal sealed class GpuTokens : TokenTensor
{
    private readonly GpuDevice _device;
    private readonly DeviceMemory<int>? _memory;
    private readonly TokenPlaces _places;

    public GpuTokens(GpuDevice device, string name, int sequences, int tokens)
        : base(name, sequences, tokens)
    {
        _device = device;
        _memory = device.Allocate<int>(name, Length);
        _places = new TokenPlaces(device, Length);
        View = _memory.View;
    }

    private GpuTokens(GpuTokens longer, int tokens)
        : base(longer.Name, longer.Sequences, tokens)
    {
        _device = longer._device;
        _places = new TokenPlaces(_device, Length);
        View = longer.View.SubView(0, Length);
    }

    public ArrayView<int> View { get; }

    public override TokenTensor Shortened(int tokens) => new GpuTokens(this, tokens);

    /// <summary>For each id below <paramref name="ids"/> where it occurs, in order.</summary>
    public IndexLists Places(int ids) => _places.Of(View, ids);

    /// <summary>To be called when the ids are written.</summary>
    public void Changed() => _places.IsCurrent = false;

    protected override void Dispose(bool disposing)
    {
        _memory?.Dispose();
        _places.Dispose();
    }
}

/// <summary>Keys and values of the tokens seen so far, token by token: entry (b, t, c) at ((b * T) + t) * C + c.</summary>
internal sealed class GpuKeyValueCache(GpuDevice device, string name, int sequences, int tokens, int channels)
    : KeyValueCache(name, sequences, tokens, channels)
{
    private readonly DeviceMemory<float> _keys = device.Allocate<float>(name, TensorSize.Of(name, sequences, tokens, channels));
    private readonly DeviceMemory<float> _values = device.Allocate<float>(name, TensorSize.Of(name, sequences, tokens, channels));

    public ArrayView<float> Keys => _keys.View;

    public ArrayView<float> Values => _values.View;

    protected override void Dispose(bool disposing)
    {
        _keys.Dispose();
        _values.Dispose();
    }
}
