using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Sparsity.Core.Engine;

namespace Sparsity.Kernels.Cpu;

/// <summary>A block of 64-byte aligned memory outside the garbage collector's heap.</summary>
internal sealed unsafe class AlignedMemory : IDisposable
{
    /// <param name="bytes">From 0.</param>
    /// <param name="isCleared">Clearing touches every page: without it, those that are never used take no memory.</param>
    public AlignedMemory(long bytes, bool isCleared = true)
    {
        Pointer = NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 64), 64);
        if (isCleared)
        {
            NativeMemory.Clear(Pointer, (nuint)bytes);
        }
    }

    ~AlignedMemory() => Free();

    public void* Pointer { get; private set; }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(Pointer);
        Pointer = null;
    }
}

/// <summary>Numbers in double; operations write <see cref="Values"/>, and the host knows what it fetched.</summary>
internal sealed class CpuScalars(string name, int count) : ScalarTensor(name, count)
{
    public double[] Values { get; } = new double[count];

    public void Fetch() => Values.CopyTo(Fetched);

    protected override void Dispose(bool disposing) { }
}

/// <summary>The tensors, each gone over by itself.</summary>
internal sealed class CpuWeightList(string name, IReadOnlyList<WeightTensor> tensors) : WeightList(name, tensors)
{
    protected override void Dispose(bool disposing) { }
}

/// <summary>Row-major parameters, with the lists of their nonzero entries where they are sparse.</summary>
internal sealed unsafe class CpuWeights(string name, int rows, int columns) : WeightTensor(name, rows, columns)
{
    private readonly AlignedMemory _memory = new((long)rows * columns * sizeof(float));

    public float* Data => (float*)_memory.Pointer;

    public Span<float> Values => new(Data, Length);

    /// <summary>The nonzero entries; made anew on first use after <see cref="Changed"/>.</summary>
    public SparseWeights Sparse { get; } = new();

    /// <summary>
    /// Where <see cref="WeightTopK"/> found its threshold last, as bits; 0 before the first time. Only speed depends on it.
    /// </summary>
    public int Threshold { get; set; }

    /// <summary>How far from <see cref="Threshold"/> it looks first.</summary>
    public int ThresholdWindow { get; set; }

    /// <summary>
    /// A little below where <see cref="MinimumAlive"/> found each line's threshold last, as bits, or -1; empty before the first time. Only
    /// speed depends on it.
    /// </summary>
    public int[] LineGuesses { get; set; } = [];

    /// <summary>To be called by every operation that writes the values.</summary>
    public void Changed() => Sparse.IsCurrent = false;

    protected override void Dispose(bool disposing)
    {
        _memory.Dispose();
        Sparse.Dispose();
    }
}

/// <summary>
/// Activations in tiles: [tile][channel][lane], the lanes of a tile being up to 64 neighbouring tokens of one sequence. So a channel of a
/// tile is 1 to 4 vectors of 16 tokens, a weight multiplies all of them, and reductions over channels need no shuffles. A sequence whose
/// length is no multiple of the width ends in padding lanes: finite in activations, zero in gradients. A single token [1,1,C], which would
/// take a cache line for each number, also has a row where they lie side by side; whichever of the two the last operation used holds them,
/// and <see cref="InLanes"/> and <see cref="Row"/> move them when needed.
/// </summary>
internal sealed unsafe class CpuActivations : ActivationTensor
{
    public const int VectorLanes = 16;
    public const int MaximumWidth = 64;

    private readonly AlignedMemory _memory; // a slice holds its whole's, so that it outlives the whole
    private readonly bool _isSlice;
    private readonly float* _data;
    private readonly SingleTokenRow? _row;
    private readonly int _firstChannel;

    public CpuActivations(string name, int sequences, int tokens, int channels)
        : base(name, sequences, tokens, channels)
    {
        Width = TileWidth(tokens);
        TilesPerSequence = (tokens + Width - 1) / Width;
        Tiles = sequences * TilesPerSequence;
        TileStride = (long)channels * Width;
        _memory = new AlignedMemory(Tiles * TileStride * sizeof(float));
        _data = (float*)_memory.Pointer;
        _row = sequences == 1 && tokens == 1 ? new SingleTokenRow(_data, channels) : null;
    }

    private CpuActivations(CpuActivations whole, int first, int count)
        : base(whole.Name, whole.Sequences, whole.Tokens, count)
    {
        Width = whole.Width;
        TilesPerSequence = whole.TilesPerSequence;
        Tiles = whole.Tiles;
        TileStride = whole.TileStride;
        _memory = whole._memory;
        _isSlice = true;
        _data = whole._data + ((long)first * Width);
        _row = whole._row;
        _firstChannel = whole._firstChannel + first;
    }

    /// <summary>Whether the shape is [1,1,C], and so <see cref="Row"/> exists.</summary>
    public bool IsSingleToken => _row is not null;

    /// <summary>Lanes of a tile: 16, 32, 48 or 64.</summary>
    public int Width { get; }

    public int TilesPerSequence { get; }

    public int Tiles { get; }

    /// <summary>Floats from one tile to the next.</summary>
    public long TileStride { get; }

    public static int TileWidth(int tokens) => Math.Min(MaximumWidth, (tokens + VectorLanes - 1) / VectorLanes * VectorLanes);

    /// <summary>The lanes of one channel of one tile: Width floats.</summary>
    public float* Lanes(int tile, int channel) => _data + (tile * TileStride) + ((long)channel * Width);

    /// <summary>These activations, with their numbers in the tiles; to be called before <see cref="Lanes"/>.</summary>
    public CpuActivations InLanes()
    {
        _row?.Spread();
        return this;
    }

    /// <summary>The numbers of a single token side by side, to be read and written until the next call of <see cref="InLanes"/>.</summary>
    public float* Row() => _row!.Collect() + _firstChannel;

    /// <summary>Channel 0 of a token, and how far it is from one channel to the next, wherever the numbers are.</summary>
    public float* Token(int tile, int lane, out int stride)
    {
        stride = IsSingleToken ? 1 : Width;
        return IsSingleToken ? Row() : Lanes(tile, 0) + lane;
    }

    /// <summary>How many lanes of a tile are tokens; the rest is padding.</summary>
    public int ValidLanes(int tile) => Math.Min(Width, Tokens - (tile % TilesPerSequence * Width));

    /// <summary>All bits set in those of 16 lanes from <paramref name="lane"/> on that are below <paramref name="valid"/>.</summary>
    public static Vector512<float> ValidMask(int lane, int valid) =>
        Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(valid - lane)).AsSingle();

    public override ActivationTensor Shortened(int tokens) => new CpuActivations(Name, Sequences, tokens, Channels);

    public override ActivationTensor Slice(int first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first + count, Channels);
        return new CpuActivations(this, first, count);
    }

    protected override void Dispose(bool disposing)
    {
        if (!_isSlice)
        {
            _memory.Dispose();
            _row?.Dispose();
        }
    }

    /// <summary>The channels of a single token side by side, shared by the slices of a tensor.</summary>
    private sealed class SingleTokenRow(float* lanes, int channels) : IDisposable
    {
        private readonly AlignedMemory _memory = new((long)channels * sizeof(float));
        private bool _isCurrent;

        public float* Collect()
        {
            var row = (float*)_memory.Pointer;
            if (!_isCurrent)
            {
                for (int channel = 0; channel < channels; channel++)
                {
                    row[channel] = lanes[channel * VectorLanes];
                }

                _isCurrent = true;
            }

            return row;
        }

        public void Spread()
        {
            if (_isCurrent)
            {
                var row = (float*)_memory.Pointer;
                for (int channel = 0; channel < channels; channel++)
                {
                    lanes[channel * VectorLanes] = row[channel];
                }

                _isCurrent = false;
            }
        }

        public void Dispose() => _memory.Dispose();
    }
}

/// <summary>AbsTopK's choice: for each tile and channel a word whose bit i is lane i.</summary>
internal sealed unsafe class CpuSelection : SelectionTensor
{
    private readonly AlignedMemory _memory;
    private readonly int _sequences;
    private readonly int _channels;

    public CpuSelection(string name, int sequences, int tokens, int channels)
        : base(name)
    {
        int width = CpuActivations.TileWidth(tokens);
        _sequences = sequences;
        _channels = channels;
        _memory = new AlignedMemory((long)sequences * ((tokens + width - 1) / width) * channels * sizeof(ulong));
    }

    public ulong* Words(int tile) => (ulong*)_memory.Pointer + ((long)tile * _channels);

    public override SelectionTensor Shortened(int tokens) => new CpuSelection(Name, _sequences, tokens, _channels);

    protected override void Dispose(bool disposing) => _memory.Dispose();
}

/// <summary>
/// For each tile and channel a word whose bit i says whether lane i is kept, and behind one another the numbers that are: behind AbsTopK
/// few, and mask training waits for memory more than for anything else. There is room for all.
/// </summary>
internal sealed unsafe class CpuSavedForBackward : SavedForBackward
{
    private readonly AlignedMemory _words;
    private readonly AlignedMemory _values;
    private readonly int _sequences;
    private readonly int _channels;
    private readonly long _valuesOfTile;

    public CpuSavedForBackward(string name, int sequences, int tokens, int channels)
        : base(name)
    {
        int width = CpuActivations.TileWidth(tokens);
        long tiles = (long)sequences * ((tokens + width - 1) / width);
        _sequences = sequences;
        _channels = channels;
        _valuesOfTile = ((long)channels * width) + LanePacking.Overhang;
        _words = new AlignedMemory(tiles * channels * sizeof(ulong));
        _values = new AlignedMemory(tiles * _valuesOfTile * sizeof(float), isCleared: false);
    }

    public ulong* Words(int tile) => (ulong*)_words.Pointer + ((long)tile * _channels);

    public float* Values(int tile) => (float*)_values.Pointer + (tile * _valuesOfTile);

    public override SavedForBackward Shortened(int tokens) => new CpuSavedForBackward(Name, _sequences, tokens, _channels);

    protected override void Dispose(bool disposing)
    {
        _words.Dispose();
        _values.Dispose();
    }
}

/// <summary>Token ids or positions [B,T].</summary>
internal sealed unsafe class CpuTokens(string name, int sequences, int tokens) : TokenTensor(name, sequences, tokens)
{
    private readonly AlignedMemory _memory = new((long)sequences * tokens * sizeof(int));

    public int* Data => (int*)_memory.Pointer;

    public override TokenTensor Shortened(int tokens) => new CpuTokens(Name, Sequences, tokens);

    protected override void Dispose(bool disposing) => _memory.Dispose();
}
