using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Sparsity.Core.Corpora;

/// <summary>The first 128 bits of the SHA-256 of a text's UTF-8 bytes.</summary>
internal static class ContentHash
{
    internal static UInt128 Of(string text) => Of(Encoding.UTF8.GetBytes(text));

    internal static UInt128 Of(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return BinaryPrimitives.ReadUInt128BigEndian(hash);
    }
}
