using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tensors;

/// <summary>A tensor in a mapped file. Its values are read when asked for; it ends with its <see cref="TensorFile"/>.</summary>
internal sealed class StoredTensor
{
    private readonly Func<float[]>? _unpack;
    private readonly MappedFile _file;
    private readonly long _offset;
    private readonly long[]? _strides;
    private uint? _checksum; // until it was found right

    /// <param name="file">Where it lies; the caller has checked that all of it does.</param>
    /// <param name="offset">Byte of the first number.</param>
    /// <param name="strides">Numbers from one index of each dimension to the next, not negative; none for row-major order without
    /// gaps.</param>
    /// <param name="checksum"><see cref="Crc32C"/> of the bytes of a tensor without gaps, where the file states it.</param>
    internal StoredTensor(
        MappedFile file,
        string name,
        ElementType type,
        ReadOnlySpan<long> shape,
        long offset,
        ReadOnlySpan<long> strides = default,
        uint? checksum = null
    )
    {
        _file = file;
        _checksum = checksum;
        _offset = offset;
        Name = name;
        Type = type;
        Shape = Array.ConvertAll(shape.ToArray(), size => checked((int)size));
        Length = TryCount(shape, out int count) ? count : throw new ArgumentOutOfRangeException(nameof(shape));
        _strides = strides.IsEmpty || IsRowMajor(Shape, strides) ? null : strides.ToArray();
    }

    /// <summary>A float32 tensor whose values are made from others of the file.</summary>
    /// <param name="unpack">Gives [Length] numbers in row-major order.</param>
    internal StoredTensor(MappedFile file, string name, ReadOnlySpan<long> shape, Func<float[]> unpack)
        : this(file, name, ElementType.F32, shape, offset: 0) => _unpack = unpack;

    public string Name { get; }

    public ElementType Type { get; }

    /// <summary>Empty for a single number.</summary>
    public IReadOnlyList<int> Shape { get; }

    /// <summary>How many numbers it has.</summary>
    public int Length { get; }

    /// <summary>
    /// [Length] in row-major order as float32: the mapped file itself where it holds just that, else a converted copy.
    /// Valid until the file is disposed. float64 is rounded to the nearest.
    /// </summary>
    /// <exception cref="BadInputException">The numbers are not those that were written.</exception>
    public ReadOnlySpan<float> Floats()
    {
        RequireUndamaged();
        if (_unpack is not null)
        {
            return _unpack();
        }

        switch (Type)
        {
            case ElementType.F32:
                // Formats do not promise alignment, and vector code may ask for it.
                return _strides is null && _offset % sizeof(float) == 0 ? _file.Span<float>(_offset, Length) : Values<float>();
            case ElementType.F16:
                return Array.ConvertAll(Values<Half>(), value => (float)value);
            case ElementType.BF16:
                return Array.ConvertAll(Values<ushort>(), bits => BitConverter.UInt32BitsToSingle((uint)bits << 16));
            case ElementType.F64:
                return Array.ConvertAll(Values<double>(), value => (float)value);
            default:
                throw new InvalidOperationException($"{Name} is {Type}: ask for its bytes.");
        }
    }

    /// <summary>[Length] in row-major order, of any type; 64-bit integers are rounded to the nearest.</summary>
    /// <exception cref="BadInputException">The numbers are not those that were written.</exception>
    public double[] Numbers()
    {
        RequireUndamaged();
        return Type switch
        {
            ElementType.BOOL or ElementType.U8 => Array.ConvertAll(Values<byte>(), value => (double)value),
            ElementType.I8 => Array.ConvertAll(Values<sbyte>(), value => (double)value),
            ElementType.U16 => Array.ConvertAll(Values<ushort>(), value => (double)value),
            ElementType.I16 => Array.ConvertAll(Values<short>(), value => (double)value),
            ElementType.U32 => Array.ConvertAll(Values<uint>(), value => (double)value),
            ElementType.I32 => Array.ConvertAll(Values<int>(), value => (double)value),
            ElementType.U64 => Array.ConvertAll(Values<ulong>(), value => (double)value),
            ElementType.I64 => Array.ConvertAll(Values<long>(), value => (double)value),
            ElementType.F64 => Values<double>(),
            _ => Array.ConvertAll(Floats().ToArray(), value => (double)value),
        };
    }

    /// <summary>The numbers as they are stored, little-endian, in row-major order.</summary>
    /// <exception cref="BadInputException">They do not fit one array, or are not those that were written.</exception>
    public byte[] Bytes()
    {
        RequireUndamaged();
        return Type.Size() switch
        {
            1 => Values<byte>(),
            2 => MemoryMarshal.AsBytes(Values<ushort>().AsSpan()).ToArray(),
            4 when Length <= Array.MaxLength / 4 => MemoryMarshal.AsBytes(Values<uint>().AsSpan()).ToArray(),
            8 when Length <= Array.MaxLength / 8 => MemoryMarshal.AsBytes(Values<ulong>().AsSpan()).ToArray(),
            _ => throw new BadInputException($"{_file.Path}: {Name} has {(long)Length * Type.Size()} bytes, more than one array holds."),
        };
    }

    /// <summary>
    /// The number of numbers in a shape as a file states it; false if a size is negative or the whole is more than one tensor holds.
    /// </summary>
    internal static bool TryCount(ReadOnlySpan<long> shape, out int count)
    {
        long product = 1;
        bool empty = shape.Contains(0);
        foreach (long size in shape)
        {
            // An empty tensor's other sizes still have to be sizes.
            if (size is < 0 or > int.MaxValue || (!empty && (product *= size) > int.MaxValue))
            {
                count = 0;
                return false;
            }
        }

        count = empty ? 0 : (int)product;
        return true;
    }

    private void RequireUndamaged()
    {
        if (_checksum is not { } written)
        {
            return;
        }

        const long PartBytes = 1 << 30; // a span holds no more than 2 GiB
        uint found = 0;
        long bytes = (long)Length * Type.Size();
        for (long at = 0; at < bytes; at += PartBytes)
        {
            found = Crc32C.Of(_file.Span<byte>(_offset + at, (int)Math.Min(PartBytes, bytes - at)), found);
        }

        if (found != written)
        {
            throw new BadInputException(
                $"{_file.Path}: {Name} is damaged: the checksum of its numbers is {found:x8}, but was {written:x8} when they were "
                    + $"written. Use another copy or checkpoint."
            );
        }

        _checksum = null;
    }

    private static bool IsRowMajor(IReadOnlyList<int> shape, ReadOnlySpan<long> strides)
    {
        long expected = 1;
        for (int i = shape.Count - 1; i >= 0; i--)
        {
            if (shape[i] != 1 && strides[i] != expected)
            {
                return false;
            }

            expected *= shape[i];
        }

        return true;
    }

    private T[] Values<T>()
        where T : unmanaged
    {
        if (_unpack is not null)
        {
            return MemoryMarshal.Cast<float, T>(_unpack()).ToArray();
        }

        if (_strides is null || Length == 0)
        {
            return _file.Span<T>(_offset, Length).ToArray();
        }

        // Row by row along the last dimension, the indices before it counting up like an odometer.
        var values = new T[Length];
        var index = new int[Shape.Count];
        int columns = Shape[^1];
        long step = _strides[^1];
        int size = Unsafe.SizeOf<T>();
        for (int row = 0; row < Length / columns; row++)
        {
            long start = 0;
            for (int i = 0; i < index.Length - 1; i++)
            {
                start += index[i] * _strides[i];
            }

            for (int column = 0; column < columns; column++)
            {
                values[(row * columns) + column] = _file.Span<T>(_offset + ((start + (column * step)) * size), 1)[0];
            }

            for (int i = index.Length - 2; i >= 0 && ++index[i] == Shape[i]; i--)
            {
                index[i] = 0;
            }
        }

        return values;
    }
}
