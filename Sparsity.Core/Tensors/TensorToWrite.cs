using System.Runtime.InteropServices;
using Sparsity.Core.Files;

namespace Sparsity.Core.Tensors;

/// <summary>A tensor to be written: its values are made when its turn comes, so that not all need be in memory at once.</summary>
/// <param name="Shape">Empty for a single number.</param>
/// <param name="Bytes">The numbers, little-endian, in row-major order.</param>
internal sealed record TensorToWrite(string Name, IReadOnlyList<int> Shape, ElementType Type, TensorBytes Bytes)
{
    /// <summary>float32, in row-major order.</summary>
    public static TensorToWrite Of(string name, IReadOnlyList<int> shape, Func<float[]> values) =>
        new(name, shape, ElementType.F32, () => MemoryMarshal.AsBytes<float>(values()));

    /// <summary>int32, in row-major order.</summary>
    public static TensorToWrite Of(string name, IReadOnlyList<int> shape, Func<int[]> values) =>
        new(name, shape, ElementType.I32, () => MemoryMarshal.AsBytes<int>(values()));

    /// <summary>How many numbers the shape asks for.</summary>
    internal long Length => Shape.Aggregate(1L, (product, n) => checked(product * n));

    internal long ByteLength => checked(Length * Type.Size());

    /// <summary>Writes the numbers; returns their <see cref="Crc32C"/>.</summary>
    internal uint CopyTo(Stream stream)
    {
        ReadOnlySpan<byte> bytes = Bytes();
        if (bytes.Length != ByteLength)
        {
            throw new ArgumentException($"{Name} has {bytes.Length} bytes for its shape.");
        }

        stream.Write(bytes);
        return Crc32C.Of(bytes);
    }
}

/// <summary>Gives the bytes of a tensor.</summary>
public delegate ReadOnlySpan<byte> TensorBytes();
